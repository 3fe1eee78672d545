"""Checks of a kernel's arrays, and the few moves of axes that its layouts share."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackopt.errors import InvalidGame
from stackopt.games.mean_field.namespace import beside, namespace

#: Largest deviation of a row's sum from 1 that is accepted (and then normalised away).
MASS_TOLERANCE = 1e-9


def floats(name: str, values: Any) -> np.ndarray:
    """A float64 copy, or an error that names the array."""
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidGame("kernel-axes", array=name, axes="an array of numbers", got=str(error)) from None


def with_axes(array: Any, ndim: int) -> Any:
    """Axes of length 1 in front."""
    return namespace(array).reshape(array, (1,) * (ndim - array.ndim) + tuple(array.shape)) if array.ndim < ndim else array


def transpose(array: Any) -> Any:
    """The last two axes exchanged."""
    return np.swapaxes(array, -1, -2) if isinstance(array, np.ndarray) else namespace(array).matrix_transpose(array)


def swapped(array: Any) -> Any:
    """The first two of three axes exchanged."""
    return np.swapaxes(array, 0, 1) if isinstance(array, np.ndarray) else namespace(array).permute_dims(array, (1, 0, 2))


def take(array: Any, index: Any, axis: int) -> Any:
    """Entries along an axis, by a slice or an integer array."""
    if isinstance(index, slice):
        return array[(slice(None),) * axis + (index, ...)]
    xp = namespace(array)
    return xp.take(array, xp.asarray(index, **beside(array)), axis=axis)


def distributions(name: str, array: Any, axes: str) -> Any:
    """Rows that are distributions, normalised; or the first row that is none."""
    xp = namespace(array)
    if xp is np:
        array = np.array(array, dtype=np.float64) if not np.issubdtype(array.dtype, np.inexact) else array
    mass = xp.sum(array, axis=-1)
    good = xp.all(xp.isfinite(array) & (array >= 0), axis=-1) & (xp.abs(mass - 1.0) <= MASS_TOLERANCE)
    if not bool(xp.all(good)):
        where = ""
        if xp is np:
            bad = np.argwhere(~good)
            first = tuple(int(i) for i in bad[0])
            letters = axes.split()[-len(first) :] if first else []
            row = array[first]
            wrong = row[~np.isfinite(row) | (row < 0)]
            said = f"holds {wrong[0]:.6g}" if wrong.size else f"sums to {mass[first]:.10g}"
            where = f"({', '.join(letters)}) = {first} {said}" + (f"; {len(bad) - 1} more rows" if len(bad) > 1 else "")
        raise InvalidGame("kernel-rows", array=name, where=where)
    return array / mass[..., None]
