"""Validation of a mean-field game's data: normalised once, at the door, to compact arrays with leading axes [K or 1, T or 1]."""

from __future__ import annotations

import functools
import hashlib
import pickle
import types
from typing import Any

import numpy as np

from stackopt.errors import InvalidGame
from stackopt.games import validation
from stackopt.games.operators import Array

#: Transitions may miss a total mass of 1 by this much.
MASS_TOLERANCE = validation.MASS_TOLERANCE


def compact(name: str, values: Any, tail: tuple[int, ...], axes: str, K: int, T: int) -> Array:
    """An array that broadcasts to [K, T, *tail], as float64 [K or 1, T or 1, *tail], finite and read-only."""
    array = validation.as_float(name, values, axes)
    lead = array.shape[: array.ndim - len(tail)] if array.ndim >= len(tail) else ()
    fits = array.ndim >= len(tail) and array.shape[array.ndim - len(tail) :] == tail and len(lead) <= 2
    lead = (1,) * (2 - len(lead)) + lead
    if not fits or lead[0] not in (1, K) or lead[1] not in (1, T):
        raise InvalidGame("axes", array=name, axes=axes, expected=f"(K, T) + {tail} or what broadcasts to it, K = {K}, T = {T}", got=array.shape,
                          help="leading axes are types K and stages T, in this order; a single leading axis is T, [K, 1, ...] is by type")
    array = array.reshape(*lead, *tail)
    validation.require_finite(name, array, "k t " + " ".join(f"i{n}" for n in range(len(tail))))
    return validation.freeze(array)


def distribution(name: str, values: Any, K: int, S: int) -> Array:
    """Distributions of the first state [S] or [K, S], as [K, S]."""
    given = validation.as_float(name, values, "[S] or [K, S]")
    by_type = given[:, None] if given.ndim == 2 else given  # a single axis in front would be stages
    array = compact(name, by_type, (S,), "[S] or [K, S]", K, 1)[:, 0]
    rows = np.broadcast_to(array, (K, S)).copy()
    if (rows < 0).any() or (np.abs(rows.sum(-1) - 1.0) > MASS_TOLERANCE).any():
        raise InvalidGame("mean-field-initial", where=f"type {int(np.argmax(np.abs(rows.sum(-1) - 1.0)))} sums to {rows.sum(-1).max():.6g}")
    return validation.freeze(rows / rows.sum(-1, keepdims=True))


def weights(values: Any, K: int) -> Array:
    """Shares of the types [K]: non-negative, sum 1; equal by default."""
    if values is None:
        return validation.freeze(np.full(K, 1.0 / K))
    array = np.atleast_1d(validation.as_float("weights", values, "[K]"))
    if array.shape != (K,) or not np.isfinite(array).all() or (array < 0).any() or abs(array.sum() - 1.0) > MASS_TOLERANCE:
        raise InvalidGame("types-weights", got=f"{array.tolist()[:6]} for {K} types, sum {array.sum():.9g}")
    return validation.freeze(array / array.sum())


def first(bad: np.ndarray) -> tuple[int, ...]:
    """The index of the first True."""
    return tuple(int(i) for i in np.argwhere(bad)[0])


def fits(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether an array of `shape` broadcasts to `target` without changing it."""
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False


def identity(value: Any) -> bytes:
    """What a value is, for a fingerprint. A function counts by its code and by what it holds, not by where it lies in memory."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes()
    if isinstance(value, functools.partial):
        parts = (value.func, *value.args, *(part for pair in sorted(value.keywords.items()) for part in pair))
    elif isinstance(value, types.CodeType):
        parts = (value.co_code.hex(), value.co_names, *value.co_consts)
    elif isinstance(value, types.FunctionType):
        held = (cell.cell_contents for cell in value.__closure__ or ())
        parts = (value.__code__, *held, *(value.__defaults__ or ()))
    else:
        try:
            state = pickle.dumps(value)
        except Exception:  # what cannot be pickled is known by its class alone
            state = b""
        return type(value).__qualname__.encode() + state
    return b"(" + b",".join(identity(part) for part in parts) + b")"


def digest(*values: Any) -> str:
    """SHA-256 of arrays, callables and plain values."""
    total = hashlib.sha256(b"stackopt.MeanFieldStackelbergGame/1")
    for value in values:
        total.update(identity(value))
    return total.hexdigest()
