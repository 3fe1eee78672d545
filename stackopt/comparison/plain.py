"""Values as plain JSON data and as short Python source: what is stored, hashed and printed for a cell."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from typing import Any

import numpy as np

from stackopt.errors import InvalidMethod

#: Longest history kept; longer ones are thinned evenly, first and last points included.
HISTORY_POINTS = 400


def plain(value: Any) -> Any:
    """`value` as JSON data without NaN: NaN becomes null, an infinity the string ``"inf"`` or ``"-inf"``."""
    if value is None or isinstance(value, bool | str | int):
        return str(value) if isinstance(value, str) else value  # a StrEnum becomes its text
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return value if math.isfinite(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return str(value)


def figure(value: Any) -> float:
    """The number a stored figure stands for; null is NaN."""
    return math.nan if value is None else float(value)


def settings(method: Any) -> dict[str, Any]:
    """A method's class and fields as plain data.

    Raises
    ------
    InvalidMethod
        If a field is neither plain data nor an array: such a method has no name in a store.
    """
    if dataclasses.is_dataclass(method):
        fields = {f.name: getattr(method, f.name) for f in dataclasses.fields(method)}
    else:
        fields = {k: v for k, v in vars(method).items() if not k.startswith("_")}
    return {"class": type(method).__name__, **{k: _setting(type(method).__name__, k, v) for k, v in fields.items()}}


def _setting(owner: str, name: str, value: Any) -> Any:
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return {"array": f"{value.dtype.str}{value.shape}", "sha256": digest}
    if isinstance(value, list | tuple):
        return [_setting(owner, name, v) for v in value]
    if isinstance(value, dict):
        return {str(k): _setting(owner, name, v) for k, v in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return settings(value)
    if value is None or isinstance(value, bool | str | int | float | np.generic):
        return plain(value)
    raise InvalidMethod("setting", name=name, law="plain data or an array, to identify a cell", got=f"a {type(value).__name__} in {owner}")


def digest(data: Any) -> str:
    """SHA-256 of the canonical JSON text of plain data."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()).hexdigest()


def thinned(history: Any) -> tuple[dict[str, list[Any]], int]:
    """One-dimensional series of at most `HISTORY_POINTS` points, and the number of iterations between two points."""
    series = {k: np.asarray(v, float) for k, v in history.items()}
    series = {k: v for k, v in series.items() if v.ndim == 1 and v.size}
    longest = max((v.size for v in series.values()), default=0)
    step = max(1, math.ceil(longest / HISTORY_POINTS))
    kept = {k: plain(v[::step]) + ([] if (v.size - 1) % step == 0 else [plain(v[-1])]) for k, v in series.items()}
    return kept, step


def chosen(method: Any) -> dict[str, Any]:
    """The fields of a method that are not at their defaults."""
    found = {}
    for f in dataclasses.fields(method):
        value = getattr(method, f.name)
        default = f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
        if f.init and (default is dataclasses.MISSING or not _same(value, default)):
            found[f.name] = value
    return found


def call(method: Any) -> str:
    """Python source that builds `method`, leaving out fields at their defaults."""
    if not dataclasses.is_dataclass(method):
        return repr(method)
    return f"{type(method).__name__}({', '.join(f'{name}={value!r}' for name, value in chosen(method).items())})"


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(np.array_equal(a, b))
