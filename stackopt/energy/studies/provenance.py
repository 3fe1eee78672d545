"""Where the figures of a study come from: versions, commit, command, seeds, and digests of settings and data."""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stackopt.energy.studies.keys import KEYS
from stackopt.energy.studies.study import Study
from stackopt.solving import provenance as versions

#: Environment variables that set how many threads numerical libraries use.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def provenance(study: Study, *, command: str = "", seeds: Mapping[str, int] | None = None, started: datetime.datetime | None = None) -> dict[str, Any]:
    """What a reader needs to compute the same figures again, and to see whether the inputs are still the same.

    Parameters
    ----------
    study : Study
    command : str
        The command line; "" from a script or a notebook.
    seeds : mapping, optional
        Name to seed, of what was random; without, nothing was.
    started : datetime, optional
        When the computation began; now by default.

    Returns
    -------
    dict
        Plain JSON data: ``command``, ``python``, ``machine``, ``packages``, ``commit``, ``cpu``, ``cores``, ``threads``, ``seeds``,
        ``settings_sha256``, ``data_sha256`` (file to digest) and ``started``, which is left out where the environment has
        ``SOURCE_DATE_EPOCH``: the one entry that two runs of the same command on the same machine do not share.

    Notes
    -----
    ``settings_sha256`` is over the settings with defaults filled in, so two study files that mean the same have the same digest. ``data_sha256``
    has every file that the study names; built-in data belong to the version and the commit of the package.
    """
    from stackopt.comparison.plain import digest, plain
    from stackopt.comparison.plain import settings as described

    settings = {section: dict(keys) for section, keys in study.settings.items()}
    found: dict[str, Any] = {
        "command": command, **versions(), "commit": _commit(), "cpu": _cpu(), "cores": os.cpu_count(),
        "threads": {name: os.environ[name] for name in THREADS if name in os.environ}, "seeds": dict(seeds or {}),
        "settings_sha256": digest(plain({**settings, "own": {name: described(own) for name, own in study.own.items()}})),
        "data_sha256": {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in data_files(study).items()},
    }  # fmt: skip
    if "SOURCE_DATE_EPOCH" not in os.environ:
        found["started"] = (started or datetime.datetime.now(datetime.UTC)).isoformat(timespec="seconds")
    return found


def data_files(study: Study) -> dict[str, Path]:
    """Every file that the study names, as it names it, those of a folder of tables one by one, in the order of the settings."""
    found: dict[str, Path] = {}
    for key in (key for key in KEYS if "file" in key.law):
        for name in _texts(study[key.section, key.name]):
            path = study.folder / name
            found |= {f"{Path(name).as_posix()}/{f.name}": f for f in sorted(path.glob("*.csv"))} if path.is_dir() else {}
            found |= {Path(name).as_posix(): path} if path.is_file() else {}
    return found


def _texts(value: Any) -> list[str]:
    """The texts of a setting, which may be one, or several by name or in order."""
    values = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else [value]
    return [v for v in values if isinstance(v, str)]


def _commit() -> str | None:
    """Of the package, where it runs from a checkout of its own; with a word on changes that are not committed."""
    root = Path(__file__).resolve().parents[2]

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    top = git("rev-parse", "--show-toplevel")
    if not top or Path(top).resolve() != root:  # installed inside somebody else's checkout
        return None
    commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain", "--", "stackopt", "data")
    return f"{commit}, with changes that are not committed" if commit and changes else commit


def _cpu() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return named or platform.processor() or platform.machine()
