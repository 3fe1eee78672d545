"""A long solve that can be interrupted: its whole state in one file, written whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import zipfile
from pathlib import Path

import numpy as np

from stackopt.errors import InvalidStore
from stackopt.games.operators import Array


def save(path: Path, fingerprint: str, state: dict[str, Array]) -> None:
    """Replace the file by one that holds `state`, by way of a temporary file in the same folder.

    Raises
    ------
    InvalidStore
        ``checkpoint``: the file cannot be written; the one before is untouched.
    """
    buffer = io.BytesIO()
    np.savez(buffer, fingerprint=np.array(fingerprint), **state)  # type: ignore[arg-type]
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            stream.write(buffer.getbuffer())
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise InvalidStore("checkpoint", path=path, why="cannot be written", where=error.strerror or str(error)) from error
    except BaseException:  # an interrupt too must leave nothing half-written
        temporary.unlink(missing_ok=True)
        raise


def load(path: Path, fingerprint: str) -> dict[str, Array] | None:
    """The state in the file, or None where there is no file yet.

    Raises
    ------
    InvalidStore
        ``checkpoint``: the file is not a checkpoint, or that of another problem or other settings.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            state = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidStore("checkpoint", path=path, why="cannot be read", where=str(error)) from error
    if str(state.pop("fingerprint", "")) != fingerprint:
        raise InvalidStore("checkpoint", path=path, why="belongs to another population, decision, temperature or tolerance")
    return state
