"""Validation of a game's arrays: everything is normalised once, at the door; inside, everything is already right.

Each function returns the normalised value or raises `InvalidGame` with the first offending entry.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from stackopt.errors import InvalidGame
from stackopt.games.operators import Array

#: Largest deviation of a transition row's sum from 1 that is accepted (and then normalised away).
MASS_TOLERANCE = 1e-9
#: Largest absolute reward that is accepted: sums, discounted values and gradients of larger ones overflow.
LARGEST_REWARD = 1e100


def freeze(array: Array) -> Array:
    """Make an array read-only: a game is a value."""
    array.flags.writeable = False
    return array


def restore(game: object, state: dict[str, Any]) -> None:
    """Take up a copied or unpickled state: numpy forgets there that an array is read-only."""
    for value in state.values():
        if isinstance(value, np.ndarray):
            freeze(value)
    vars(game).update(state)


def witness(array: np.ndarray, bad: np.ndarray, axes: str) -> str:
    """``(s, a, b) = (1, 0, 0) is nan; 3 more differ`` for the first bad entry."""
    where = np.argwhere(bad)
    index = tuple(int(i) for i in where[0])
    letters = ", ".join(axes.split()) if len(axes.split()) == len(index) else "index"
    more = f"; {len(where) - 1} more" if len(where) > 1 else ""
    shown = str(index) if len(index) > 1 else f"({index[0]})"
    return f"({letters}) = {shown} is {array[index]:.6g}{more}"


def rewards(name: str, values: Any, expected: tuple[int, ...] | None) -> Array:
    """A reward array [..., S, A, B], finite, of the expected shape."""
    array = as_float(name, values, "[..., S, A, B]")
    if expected is None and 0 in array.shape:  # before the number of axes: an empty nested list has fewer
        raise InvalidGame("action-set", where=f"{name} has shape {array.shape}")
    if array.ndim < 3 or (expected is not None and array.shape != expected):
        want = expected if expected is not None else "at least three axes"
        raise InvalidGame("axes", array=name, axes="[..., S, A, B]", expected=want, got=array.shape)
    require_finite(name, array, "s a b")
    large = np.abs(array) > LARGEST_REWARD
    if large.any():
        raise InvalidGame("finite", array=name, where=f"{witness(array, large, 's a b')}; above {LARGEST_REWARD:g} values overflow", help="use other units")
    return array


def as_float(name: str, values: Any, axes: str) -> Array:
    """A float64 copy, or an error that names the array."""
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidGame("axes", array=name, axes=axes, expected="an array of numbers", got=str(error)) from None


def require_finite(name: str, array: Array, axes: str) -> None:
    """Refuse NaN and infinities, naming the first."""
    bad = ~np.isfinite(array)
    if bad.any():
        raise InvalidGame("finite", array=name, where=witness(array, bad, axes))


def transition(values: Any, batch: tuple[int, ...], S: int, A: int, B: int) -> Any:
    """Transition probabilities, dense [..., S, A, B, S] or CSR [S * A * B, S], rows summing to 1."""
    if callable(values) and not hasattr(values, "shape"):
        values = values(S, A, B)
        if batch:
            values = np.broadcast_to(values, (*batch, S, A, B, S))
    if hasattr(values, "tocsr"):
        return _sparse_transition(values, batch, S, A, B)
    array = as_float("transition", values, "[..., S, A, B, S]")
    if array.shape != (*batch, S, A, B, S):
        raise InvalidGame("axes", array="transition", axes="[..., S, A, B, S]", expected=(*batch, S, A, B, S), got=array.shape)
    require_finite("transition", array, "s a b t")
    if (array < 0).any():
        raise InvalidGame("transition-sign", where=witness(array, array < 0, "s a b t"))
    mass = array.sum(-1)
    _require_mass(mass)
    array /= mass[..., None]
    return freeze(array)


def _sparse_transition(values: Any, batch: tuple[int, ...], S: int, A: int, B: int) -> Any:
    if batch:
        raise InvalidGame("batch", what="sparse transitions have no batch axes")
    matrix = values.tocsr()
    if matrix.shape != (S * A * B, S):
        raise InvalidGame("axes", array="transition", axes="[S * A * B, S]", expected=(S * A * B, S), got=matrix.shape)
    matrix = matrix.astype(np.float64)
    matrix.sum_duplicates()
    data = matrix.data
    if not np.isfinite(data).all() or (data < 0).any():
        bad = int(np.flatnonzero(~(np.isfinite(data) & (data >= 0)))[0])
        row = int(np.searchsorted(matrix.indptr, bad, side="right")) - 1
        s, a, b = (int(i) for i in np.unravel_index(row, (S, A, B)))
        where = f"(s, a, b, t) = ({s}, {a}, {b}, {int(matrix.indices[bad])}) is {data[bad]:.6g}"
        raise InvalidGame(*(("transition-sign",) if np.isfinite(data[bad]) else ("finite",)), where=where, array="transition")
    mass = np.asarray(matrix.sum(axis=1)).reshape(S, A, B)
    _require_mass(mass)
    return matrix


def _require_mass(mass: Array) -> None:
    bad = np.abs(mass - 1.0) > MASS_TOLERANCE
    if bad.any():
        where = witness(mass, bad, "s a b" if mass.ndim == 3 else "...").replace(" is ", " sums to ").replace(" more", " more rows differ")
        raise InvalidGame("transition-mass", where=where)


def discount(name: str, value: float | None, shared: float | None) -> float:
    """A discount in [0, 1): its own or the shared one."""
    value = shared if value is None else value
    if value is None:
        raise InvalidGame("discount", name=name, where="none was given", help="discount=0.95, or one for each player")
    try:
        number_ = float(value)
    except (TypeError, ValueError):
        raise InvalidGame("discount", name=name, where=f"{name} = {value!r}") from None
    if not 0.0 <= number_ < 1.0:
        raise InvalidGame("discount", name=name, where=f"{name} = {number_:.6g}")
    return number_


def initial_distribution(values: Any, batch: tuple[int, ...], S: int) -> Array:
    """The distribution of the first state [..., S]; uniform by default."""
    if values is None:
        return np.full((*batch, S), 1.0 / S)
    array = as_float("initial", values, "[..., S]")
    if array.shape == (S,) and batch:
        array = np.broadcast_to(array, (*batch, S)).copy()
    if array.shape != (*batch, S):
        raise InvalidGame("axes", array="initial", axes="[..., S]", expected=(*batch, S), got=array.shape)
    require_finite("initial", array, "s")
    if (array < 0).any():
        raise InvalidGame("initial", where=witness(array, array < 0, "s"))
    mass = array.sum(-1)
    if (np.abs(mass - 1.0) > MASS_TOLERANCE).any():
        raise InvalidGame("initial", where=f"the weights sum to {mass.ravel()[np.abs(mass - 1).argmax()]:.6g}")
    array /= mass[..., None]
    return array


def observation_classes(values: Sequence[Hashable] | None, S: int) -> np.ndarray:
    """The observation class of each state, int [S], numbered in order of appearance."""
    if values is None:
        classes = np.arange(S)
    else:
        labels = _listed(values)
        if labels is None:
            raise InvalidGame("observation", states=S, where=f"{values!r} is not a sequence")
        if len(labels) != S:
            raise InvalidGame("observation", states=S, where=f"{len(labels)} given")
        for state, label in enumerate(labels):
            if not isinstance(label, Hashable) or (isinstance(label, float) and np.isnan(label)):  # a NaN equals nothing, itself included
                raise InvalidGame("observation", states=S, where=f"state {state} has {label!r}")
        seen: dict[Hashable, int] = {}
        classes = np.array([seen.setdefault(label, len(seen)) for label in labels])
    classes.flags.writeable = False
    return classes


def labels(name: str, values: Sequence[str] | None, count: int) -> tuple[str, ...] | None:
    """Distinct labels, one per index, or None."""
    if values is None:
        return None
    listed = _listed(values)
    if listed is None:
        raise InvalidGame("labels", name=name, expected=count, got=repr(values))
    found = tuple(str(label) for label in listed)
    if len(set(found)) != count or len(found) != count:
        raise InvalidGame("labels", name=name, expected=count, got=f"{len(found)} of which {len(set(found))} distinct")
    for label in found:
        printable(name, label)
    return found


def printable(name: str, text: str) -> None:
    """Refuse line breaks and control characters in what will be printed; they could also drive a terminal."""
    if not text.isprintable():
        raise InvalidGame("printable", name=name, got=repr(text))


def _listed(values: Any) -> list[Any] | None:
    """The entries of a sequence; None for anything else."""
    try:
        return list(values)
    except TypeError:
        return None
