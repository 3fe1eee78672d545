"""Memory is estimated before it is allocated: a refusal can be caught, an exhausted machine cannot."""

from __future__ import annotations

import os
from pathlib import Path

from stackopt.errors import Refused


def available() -> int | None:
    """Bytes that can be allocated without swapping, as the operating system estimates it; None where it does not say.

    On Linux the smaller of the machine's and of the control group's (a container's limit).
    """
    found = [memory for memory in (_machine(), _control_group()) if memory is not None]
    return min(found) if found else None


def _machine() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _control_group(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    try:
        return max(int((folder / "memory.max").read_text()) - int((folder / "memory.current").read_text()), 0)
    except (OSError, ValueError):  # no such file, or the word "max"
        return None


def size(count: int) -> str:
    """Bytes in words: ``"1.3 GB"``."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} bytes"


def require(need: int, what: str, *, where: str = "", limit: int | None = None) -> None:
    """Refuse work whose arrays would not fit.

    Parameters
    ----------
    need : int
        Bytes at the peak.
    what : str
        The work, as the subject of a sentence.
    where : str, optional
        How the estimate is made, e.g. ``"K * T * S * B * S = ... float64"``.
    limit : int, optional
        Bytes allowed; by default what the machine has available.

    Raises
    ------
    Refused
        ``memory``, with the estimate.
    """
    limit = available() if limit is None else limit
    if limit is not None and need > limit:
        raise Refused("memory", what=what, need=size(need), available=size(limit), where=where)
