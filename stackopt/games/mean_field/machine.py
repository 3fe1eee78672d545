"""What this machine offers beside memory: Numba, and how many threads."""

from __future__ import annotations

import os
from importlib.util import find_spec


def compiled_available() -> bool:
    """Whether Numba is installed."""
    return find_spec("numba") is not None


def default_threads() -> int:
    """As many as this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
