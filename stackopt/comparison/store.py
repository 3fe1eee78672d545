"""A store: a folder with one immutable file per finished cell, `<key>.json`, and its policies beside it, `<key>.npz`.

No database and no lock. A file is written under a temporary name, flushed to the disk and renamed, so it is there whole or
not at all; two processes that finish the same cell write the same answer, and the last rename stays. The JSON is written
after the policies: where it exists, the cell is finished. Files are JSON and NPZ, never pickle.

A file that cannot be read is an error that names it: an answer is never dropped in silence. ``compare(..., retry="failed")``
computes such cells again and replaces the file.
"""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stackopt.comparison.files import write_file
from stackopt.errors import InvalidStore, StackoptError

CELL_SCHEMA = "stackopt.cell/1"
#: Seconds after which a temporary file belongs to nobody any more.
STALE = 3600
#: What a stored cell must have, and of which kind: without it a table or a report could not be made.
FIELDS: dict[str, type | tuple[type, ...]] = {
    "key": str, "problem": str, "method": str, "seed": int, "settings": dict, "family": str, "concept": str, "response": str,
    "status": str, "certified": bool, "verified": bool, "because": str, "values": dict, "objective": str, "bounds": list, "checks": list,
    "notes": list, "stats": dict, "history": dict, "provenance": dict, "reproduce": dict,
}
#: Columns of `index.csv`.
INDEX = ("key", "problem", "method", "seed", "status", "certified", "value", "cpu_seconds")


class Store:
    """A folder of finished cells.

    Parameters
    ----------
    folder : path
        Created with its parents on the first write.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def path(self, key: str) -> Path:
        """Where the cell of that key lives."""
        return self.folder / f"{key}.json"

    def read(self, key: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The record and the problem description of a finished cell, or None if there is none.

        Raises
        ------
        InvalidStore
            If the file cannot be read, is not a cell, or belongs to another key.
        """
        return self._load(self.path(key)) if self.path(key).exists() else None

    def _load(self, path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            data = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise self._error("read", path, error) from error
        if not isinstance(data, dict) or data.get("schema") != CELL_SCHEMA:
            raise self._error("read", path, f"not a cell of schema {CELL_SCHEMA}")
        cell, problem = data.get("cell"), data.get("problem")
        if not isinstance(cell, dict) or not isinstance(problem, dict) or cell.get("key") != path.stem:
            raise self._error("read", path, "the key inside is not the name of the file")
        wrong = [name for name, kind in FIELDS.items() if not isinstance(cell.get(name), kind)]
        wrong += [f"problem {name}" for name in ("name", "fingerprint") if not isinstance(problem.get(name), str)]
        if wrong:
            raise self._error("read", path, f"its {wrong[0]} is missing or damaged")
        if cell.get("policies") and not (self.folder / cell["policies"]).exists():
            raise self._error("read", path, f"its policies {cell['policies']} are missing")
        return cell, problem

    def policies(self, key: str) -> dict[str, np.ndarray]:
        """The policies of a finished cell, by name.

        Raises
        ------
        InvalidStore
            If there is no such file or it cannot be read.
        """
        path = self.folder / f"{key}.npz"
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise self._error("read", path, error) from error

    def write(self, cell: Mapping[str, Any], problem: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Store a finished cell.

        Returns
        -------
        dict
            The record with the name of the file its policies are in.

        Raises
        ------
        InvalidStore
            If the folder cannot be created or written to; nothing half-written is left.
        """
        path = self.path(cell["key"])
        record = {**cell, "policies": path.with_suffix(".npz").name if arrays else None}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if arrays:
                buffer = io.BytesIO()
                np.savez(buffer, **arrays)  # type: ignore[arg-type]  # names never clash with its one keyword
                write_file(path.with_suffix(".npz"), buffer.getvalue())
            text = json.dumps({"schema": CELL_SCHEMA, "cell": {**record, "cached": False}, "problem": problem}, indent=1, allow_nan=False)
            write_file(path, text.encode())
        except OSError as error:
            raise self._error("written", path, error) from error
        return record

    def require_writable(self) -> None:
        """Fail now rather than after the first hour of work; sweep away temporary files of processes that were killed.

        Raises
        ------
        InvalidStore
            If the folder cannot be created or a file cannot be written in it.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".probe.", suffix=".tmp") as probe:
                probe.write(b"probe")
                for left in self.folder.glob(".*.tmp"):
                    if left.stat().st_mtime < os.fstat(probe.fileno()).st_mtime - STALE:
                        left.unlink(missing_ok=True)
        except OSError as error:
            raise self._error("written", self.folder, error) from error

    def __iter__(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """All finished cells, oldest first.

        Raises
        ------
        InvalidStore
            If the folder is not there or one of its cells cannot be read.
        """
        for path in self.files():
            yield self._load(path)

    def files(self) -> list[Path]:
        """The files of finished cells, oldest first.

        Raises
        ------
        InvalidStore
            If the folder cannot be read.
        """
        try:
            if not self.folder.is_dir():
                raise FileNotFoundError(f"{self.folder} is not a folder")
            return sorted(self.folder.glob("*.json"), key=lambda path: (path.stat().st_mtime_ns, path.name))
        except OSError as error:
            raise self._error("read", self.folder, error) from error

    def write_index(self) -> Path:
        """Rebuild `index.csv` from the files; a file that cannot be read is listed as UNREADABLE."""
        rows = []
        for path in self.files():
            try:
                cell, _ = self._load(path)
            except InvalidStore:
                rows.append({"key": path.stem, "status": "UNREADABLE"})
                continue
            value = cell["values"].get(cell["objective"])
            rows.append({**{k: cell[k] for k in INDEX[:6]}, "value": value, "cpu_seconds": cell["stats"].get("cpu_seconds")})
        stream = io.StringIO()
        writer = csv.DictWriter(stream, INDEX, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        path = self.folder / "index.csv"
        try:
            write_file(path, stream.getvalue().encode(errors="backslashreplace"))
        except OSError as error:
            raise self._error("written", path, error) from error
        return path

    def _error(self, verb: str, path: Path, cause: object) -> StackoptError:
        reason = getattr(cause, "strerror", None) or str(cause)
        return InvalidStore("store", path=self.folder, verb=verb, where=f"{path}: {reason}", help=_remedy(verb))


def _remedy(verb: str) -> str:
    if verb == "read":
        return 'remove the file named above, or compute it again with retry="failed" (--retry failed)'
    return "choose a folder that you may write to and that has room"
