r"""SCIP as the second engine of the occupancy search: the same rows with the two products exact instead of relaxed  [D8].

.. math:: \textstyle\sum_b m(s,a,b) = x(a|s)\,d(s),\qquad z(s,a,t) = x(a|s)\,V_F(t),\qquad y(s,b)\in\{0,1\}

over the box of all policies, its ranges narrowed to what policies worth at least the best known one can have. So a program that SCIP
calls infeasible is a fault of SCIP, and so is a bound below what a policy attains.

SCIP's policies are worth little as they are: rounding hides at ties which response is the best. Each is polished for SCIP's response and for
its own best response, tried with tiny probabilities rounded off, and the game evaluates what comes out (theory A1).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from stackopt.backends import scip
from stackopt.display import number
from stackopt.exact.occupancy.box import Box, tighten
from stackopt.exact.occupancy.rows import PRODUCTS, Rows
from stackopt.exact.occupancy.search import OccupancySearch
from stackopt.programs.quadratic import QuadraticProgram
from stackopt.solution import Progress, Status

#: A bound below an attained value by more than this, relative, is a fault.
AGREEMENT = 5e-7
#: Policies worth less than the best known one by more than this, relative, are left out.
SLACK = 1e-6
#: Smaller probabilities of SCIP's are tried as 0, too.
ROUNDED = 1e-5


@dataclass(frozen=True)
class Said:
    """What SCIP said and what it is worth.

    Attributes
    ----------
    bound : float
        Upper bound on the strong value in the game's units; infinite if none is to be trusted.
    fault : bool
        Whether SCIP contradicted itself or the game.
    because : str
    nodes : int
    """

    bound: float
    fault: bool
    because: str
    nodes: int


def ask_scip(search: OccupancySearch, *, time_limit: float, seed: int = 0) -> Said:
    """Let SCIP work on the game of `search`, offer it every policy found, and say what SCIP proved.

    Parameters
    ----------
    search : OccupancySearch
        Its best policy cuts SCIP's program off below; it is told nothing but policies.
    time_limit : float
        Seconds.
    seed : int

    Raises
    ------
    MissingPackage
        If pyscipopt is not installed.
    """
    deadline = time.perf_counter() + time_limit
    if search.report:
        search.report(Progress("SCIP", search.nodes))
    box, least = tighten(search.choices, search.root(), 400), -np.inf
    if np.isfinite(search.attained()):
        least = search.normal(search.attained() - SLACK * max(1.0, abs(search.attained())))
        for _ in range(2):
            box = tighten(search.choices, search.relaxation.narrowed(box, least, time_limit=0.1 * time_limit))
    found = scip.solve_program(occupancy_program(search.relaxation.rows, box, least), time_limit=deadline - time.perf_counter(), seed=seed)
    if found.point is not None:
        policy = np.clip(found.point[search.relaxation.rows.x], 0.0, 1.0)
        policy /= policy.sum(1, keepdims=True)
        raw = search.offer(policy[search.choices.observations])
        pure = np.where(policy < ROUNDED, 0.0, policy)  # a tie that holds only where an action is never played
        search.offer((pure / pure.sum(1, keepdims=True))[search.choices.observations])
        search.polish(policy, (found.point[search.relaxation.rows.y].argmax(1), raw.response.argmax(1)))
    if found.status not in (Status.OPTIMAL, Status.LIMIT):
        return Said(np.inf, True, f"{found.because} of a program that has a solution", found.nodes)
    bound = search.real(-found.bound)
    if bound < search.attained() - AGREEMENT * max(1.0, abs(search.attained())):
        return Said(np.inf, True, f"SCIP's bound {number(bound, 9)} is below {number(search.attained(), 9)}, which a policy attains", found.nodes)
    shown = f"bound {number(bound, 9)}" if np.isfinite(bound) else "no bound"
    return Said(bound, False, f"{found.because}, {shown} after {found.nodes} nodes", found.nodes)


def occupancy_program(rows: Rows, box: Box, least: float = -np.inf) -> QuadraticProgram:
    """The occupancy form of a game over a box, with products exact: its optimum is minus the best leader value there.

    Parameters
    ----------
    rows : Rows
    box : Box
        Not empty.
    least : float
        Policies worth less are left out.
    """
    from scipy import sparse

    g, n = rows.game, rows.count
    S, A, _, _ = rows.shape
    matrix, low, high = rows.matrix(box)
    kinds = [(block.name, i) for block in rows.blocks(box) for i in range(block.count)]
    exact = np.array([name not in PRODUCTS for name, _ in kinds])
    names = [f"{name} {k}" for k, (name, _) in enumerate(kinds) if name not in PRODUCTS]
    lower, upper = rows.bounds(box)
    l, u = box.lower[g.observations], box.upper[g.observations]  # noqa: E741  # [S, A]
    corners = np.stack([side[..., None] * value for side in (l, u) for value in (box.value_low, box.value_high)])
    lower[rows.z], upper[rows.z] = corners.min(0), corners.max(0)
    # (column of the policy, column of the other factor, columns of the product)
    products = [(rows.mine[s, a], rows.d[s], rows.m[s, a]) for s in range(S) for a in range(A)]
    products += [(rows.mine[s, a], rows.V[t], rows.z[s, a, [t]]) for s in range(S) for a in range(A) for t in range(S) if rows.moving[s, t] > 0.0]
    of = sparse.lil_array((len(products), n))
    forms = {}
    for k, (first, second, columns) in enumerate(products):
        of[k, columns] = 1.0
        forms[len(names) + k] = sparse.csr_array(([-1.0], ([min(first, second)], [max(first, second)])), shape=(n, n))
    parts, sides = [matrix[exact], of.tocsr()], [(low[exact], high[exact]), (np.zeros(len(products)), np.zeros(len(products)))]
    names += [f"product {k}" for k in range(len(products))]
    if np.isfinite(least):
        parts.append(sparse.csr_array(-rows.cost()[None]))
        sides.append((np.array([least]), np.array([np.inf])))
        names.append("worth")
    integer = np.zeros(n, bool)
    integer[rows.y] = True
    low, high = (np.concatenate([side[i] for side in sides]) for i in range(2))
    return QuadraticProgram(
        tuple(f"v{j}" for j in range(n)), lower, upper, integer, rows.cost(), tuple(names), sparse.csr_array(sparse.vstack(parts, format="csr")), low, high,
        row_quadratic=forms, name="occupancy form",
    )
