"""The dispatch as a linear or quadratic program in plain arrays; its first rows are the balances, with the load alone on the right-hand side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.market.network import Market

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Program:
    """The dispatch in plain arrays. Columns: generation, angles, charge, discharge, state, unserved, spilled; each [item, hour]."""

    linear: Array
    hessian: csr_array
    matrix: csr_array
    row_lower: Array
    row_upper: Array
    lower: Array
    upper: Array
    parts: dict[str, slice]
    shapes: dict[str, tuple[int, int]]

    def of(self, x: Array, part: str) -> Array:
        """One part of a point as [item, hour]."""
        return x[self.parts[part]].reshape(self.shapes[part])


def build(market: Market, load: Array, cyclic: bool) -> Program:
    """The linear or quadratic program; rows begin with the balance of each bus and hour, the load on the right-hand side."""
    from scipy import sparse

    N, T = load.shape
    G, L, S = len(market.generators), len(market.lines), len(market.storages)
    counts = {"generation": G, "angle": N, "charge": S, "discharge": S, "state": S, "unserved": N, "spilled": N}
    parts, at = {}, 0
    for name, items in counts.items():
        parts[name], at = slice(at, at + items * T), at + items * T
    linear, curved, lower, upper = np.zeros(at), np.zeros(at), np.zeros(at), np.full(at, np.inf)

    def every(values: Array) -> Array:
        return np.repeat(values, T)

    plants = parts["generation"]
    linear[plants], curved[plants] = every(market.column("generators", "linear")), 2.0 * every(market.column("generators", "quadratic"))
    lower[plants], upper[plants] = every(market.column("generators", "minimum")), every(market.column("generators", "capacity"))
    reference = np.zeros(N, bool)
    reference[[island[0] for island in market.islands]] = True
    lower[parts["angle"]] = every(np.where(reference, 0.0, -np.inf))
    upper[parts["angle"]] = every(np.where(reference, 0.0, np.inf))
    for part in ("charge", "discharge"):
        upper[parts[part]] = every(market.column("storages", "power"))
    upper[parts["state"]] = every(market.column("storages", "energy"))
    linear[parts["unserved"]] = market.voll or 0.0
    upper[parts["unserved"]] = np.maximum(load, 0.0).ravel() if market.voll is not None else 0.0
    linear[parts["spilled"]] = market.spill or 0.0
    upper[parts["spilled"]] = np.inf if market.spill is not None else 0.0

    eye = sparse.eye_array(T, format="csr")
    hours = np.arange(0 if cyclic else 1, T)  # those that have an hour before them
    before = sparse.csr_array((np.ones(len(hours)), (hours, (hours - 1) % T)), shape=(T, T))

    def placed(buses: NDArray[np.int64], sign: float = 1.0) -> Any:
        return sparse.kron(sparse.csr_array((np.full(len(buses), sign), (buses, np.arange(len(buses)))), shape=(N, len(buses))), eye)

    ends = np.zeros((L, N))
    ends[np.arange(L), market.bus_of("lines", "start")] += 1.0
    ends[np.arange(L), market.bus_of("lines", "end")] -= 1.0
    incidence = sparse.csr_array(ends)
    flows = sparse.csr_array(sparse.diags_array(market.susceptance / market.base) @ incidence)  # of angles in units of base
    shifted = market.susceptance * market.column("lines", "shift")
    balance = [
        placed(market.bus_of("generators")), sparse.kron(-(incidence.T @ flows), eye), placed(market.bus_of("storages"), -1.0),
        placed(market.bus_of("storages")), sparse.csr_array((N * T, S * T)), sparse.eye_array(N * T), -sparse.eye_array(N * T),
    ]  # fmt: skip
    right = load - (incidence.T @ shifted)[:, None]
    rows, low, high = [sparse.hstack(balance)], [right.ravel()], [right.ravel()]

    def add(blocks: dict[str, Any], least: Array, most: Array) -> None:
        height = len(least)
        rows.append(sparse.hstack([blocks.get(name, sparse.csr_array((height, items * T))) for name, items in counts.items()]))
        low.append(least)
        high.append(most)

    limited = np.isfinite(market.column("lines", "capacity"))
    if limited.any():
        capacity, offset = every(market.column("lines", "capacity")[limited]), every(shifted[limited])
        add({"angle": sparse.kron(flows[limited], eye)}, offset - capacity, offset + capacity)
    if S:
        each, loss = sparse.eye_array(S), np.sqrt(market.column("storages", "efficiency"))
        initial = np.zeros((S, T))
        fixed = np.array([store.initial is not None for store in market.storages])
        if not cyclic:
            initial[:, 0] = [store.initial or 0.0 for store in market.storages]
        elif fixed.any():  # a day that repeats ends as it begins: with what is said to be held
            held = lower[parts["state"]].reshape(S, T), upper[parts["state"]].reshape(S, T)
            for s in map(int, np.flatnonzero(fixed)):
                held[0][s, -1] = held[1][s, -1] = float(market.storages[s].initial or 0.0)
        kept = sparse.kron(each, eye - before)
        taken, given = sparse.kron(sparse.diags_array(-loss), eye), sparse.kron(sparse.diags_array(1.0 / loss), eye)
        add({"charge": taken, "discharge": given, "state": kept}, initial.ravel(), initial.ravel())
    ramp = market.column("generators", "ramp")
    slow = np.isfinite(ramp)
    if slow.any() and T > 1:
        changes = sparse.csr_array(eye - before)[(0 if cyclic else 1) :]
        chosen = sparse.csr_array(np.eye(G)[slow])
        most = np.repeat(ramp[slow], changes.shape[0])
        add({"generation": sparse.kron(chosen, changes)}, -most, most)
    matrix = sparse.csr_array(sparse.vstack(rows, format="csr"))
    hessian = sparse.csr_array(sparse.diags_array(curved, format="csr"))
    hessian.eliminate_zeros()
    shapes = {name: (items, T) for name, items in counts.items()}
    return Program(linear, hessian, matrix, np.concatenate(low), np.concatenate(high), lower, upper, parts, shapes)
