"""Output files: written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from stackopt.errors import InvalidOutput

#: Of the JSON form of a comparison, see `stackopt.comparison.compare`.
SCHEMA = "stackopt.comparison/1"


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: temporary name in the same folder, flush to the disk, rename.

    Raises
    ------
    OSError
        The temporary file is removed again.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:  # an interrupt too must leave nothing half-written
        temporary.unlink(missing_ok=True)
        raise


def output(path: Path, content: bytes) -> Path:
    """Write one output file, whole or not at all.

    Raises
    ------
    InvalidOutput
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, content)
    except OSError as error:
        raise InvalidOutput("output", path=path, where=error.strerror or str(error)) from error
    return path
