"""When two bilevel programs are the same: a hash of the data that define the answer."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from stackopt.bilevel.program import BilevelProgram, Rows


def fingerprint(program: BilevelProgram) -> str:
    """A hash of the data, not of the names; neither the order nor the orientation of rows matters."""
    digest = hashlib.sha256(repr((program.ties, len(program.followers), len(program.multipliers))).encode())
    for array in (program.owner, program.lower, program.upper, program.integer):
        digest.update(np.ascontiguousarray(array + 0.0).tobytes())
    for k, level in enumerate((program.leader, *program.followers)):
        objective, keys = level.objective, row_keys(level.rows)
        ordered = sorted(keys)
        asked = [m.constraint for m in program.multipliers if k and m.follower == level.name]
        places = [ordered.index(keys[level.rows.names.index(name)]) for name in asked if name in level.rows.names]
        bounds = [program.names.index(name) for name in asked if name not in level.rows.names]
        digest.update(repr((objective.sense, objective.constant + 0.0, ordered, places, bounds)).encode())
        digest.update((objective.linear + 0.0).tobytes())
        digest.update(repr(_entries(objective.quadratic)).encode())
    return digest.hexdigest()[:16]


def row_keys(rows: Rows) -> list[tuple[Any, ...]]:
    """Each row as a sortable value, oriented so that its first coefficient is positive."""
    keys = []
    matrix = rows.matrix.tocsr()
    for i in range(len(rows)):
        part = slice(matrix.indptr[i], matrix.indptr[i + 1])
        entries = sorted((int(j), float(a)) for j, a in zip(matrix.indices[part], matrix.data[part]) if a)
        products = _entries(rows.quadratic.get(i))
        low, high = float(rows.lower[i]), float(rows.upper[i])
        first = entries[0][1] if entries else products[0][2] if products else 1.0
        if first < 0:
            entries = [(j, -a) for j, a in entries]
            products = [(j, h, -a) for j, h, a in products]
            low, high = -high, -low
        keys.append((tuple(entries), tuple(products), low + 0.0, high + 0.0))
    return keys


def _entries(form: Any) -> list[tuple[int, int, float]]:
    if form is None:
        return []
    found = form.tocoo()
    return sorted((int(i), int(j), float(a)) for i, j, a in zip(*found.coords, found.data) if a)
