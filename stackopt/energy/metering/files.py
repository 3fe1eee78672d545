"""Readings on disk: one file each, whole or absent, so that an interrupted leader goes on where it was."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from stackopt.energy.metering.meter import Reading
from stackopt.energy.tariff import Tariff

ARRAYS = ("share", "regime", "imports", "exports", "days", "price", "system", "generation")


class Readings:
    """A folder of readings, ``0001.npz`` and so on, of one world under one set of settings.

    Parameters
    ----------
    folder : Path
    settings : dict
        Plain data: readings that were kept under others are removed.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        from stackopt.comparison.files import output

        self.folder = folder
        head, text = folder / "settings.json", json.dumps(settings, sort_keys=True)
        if not head.is_file() or head.read_text() != text:
            for path in folder.glob("[0-9]*.npz"):
                path.unlink()
            output(head, text.encode())

    def kept(self) -> list[Reading]:
        """Those there are, in order, up to the first that is missing."""
        found: list[Reading] = []
        while (path := self._path(len(found))).is_file():
            found.append(_read(path))
        return found

    def add(self, k: int, reading: Reading) -> None:
        """Keep reading number k, from 0; those that stood there and after it are removed: the run went another way."""
        from stackopt.comparison.files import output

        for path in sorted(self.folder.glob("[0-9]*.npz"))[k:]:
            path.unlink()
        output(self._path(k), _written(reading))

    def _path(self, k: int) -> Path:
        return self.folder / f"{k + 1:04d}.npz"


def _written(reading: Reading) -> bytes:
    t = reading.tariff
    fixed = dict(t.fixed) if isinstance(t.fixed, dict) else t.fixed
    words = {"name": t.name, "pass_buy": t.pass_buy, "pass_sell": t.pass_sell, "fixed": fixed, "discount": dict(t.discount), "net_metering": t.net_metering,
             "groups": list(reading.groups)}  # fmt: skip
    stream = io.BytesIO()
    arrays = {name: getattr(reading, name) for name in ARRAYS}
    np.savez_compressed(stream, words=np.array(json.dumps(words)), buy=t.buy, sell=t.sell, **arrays)
    return stream.getvalue()


def _read(path: Path) -> Reading:
    with np.load(path, allow_pickle=False) as stored:
        words = json.loads(str(stored["words"]))
        groups = tuple(words.pop("groups"))
        tariff = Tariff(buy=stored["buy"], sell=stored["sell"], **words)
        arrays = {name: stored[name] for name in ARRAYS}
    return Reading(tariff=tariff, groups=groups, **arrays)
