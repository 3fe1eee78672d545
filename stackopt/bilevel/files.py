"""`read` and `write`: bilevel programs in files, by the ending of the file's name."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from stackopt.bilevel.program import BilevelProgram
from stackopt.errors import InvalidOutput, InvalidProgram


def read(path: str | os.PathLike[str], aux: str | os.PathLike[str] | None = None) -> BilevelProgram:
    """Read a bilevel program from JSON, or from MPS and AUX.

    Parameters
    ----------
    path : path
        ``.json``; or ``.mps``, ``.mps.gz`` or ``.aux``, whose other half lies next to it. The AUX file may list the follower's
        columns and rows by index or by name, or have the interdiction form.
    aux : path, optional
        The AUX file, where it is not next to the MPS file under the same name.

    Returns
    -------
    BilevelProgram
        Variables and rows under the names and in the order of the file.

    Raises
    ------
    InvalidProgram
        If a file cannot be read, is not what its name says, or states no bilevel program; the error names file and line.

    Examples
    --------
    >>> import stackopt as so
    >>> program = so.read(so.catalog.data_file("bilevel", "bjm_jump_03_dempe_ch3_2.json"))
    >>> program.size, program.kind(0)
    (2, 'LP')
    """
    path = Path(path)
    kind = _kind(path)
    if kind == "json":
        from stackopt.bilevel.json_file import read_json

        if aux is not None:
            raise InvalidProgram("file-format", path=path, where="an AUX file belongs to an MPS file, not to JSON")
        return read_json(path)
    if kind == "mps":
        from stackopt.bilevel.mps_aux import pair, read_mps_aux

        return read_mps_aux(*pair(path, None if aux is None else Path(aux)))
    raise InvalidProgram("file-format", path=path)


def write(program: BilevelProgram, path: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Write a bilevel program as JSON, or as MPS and AUX; reading it gives back the same program.

    Every number comes back exactly, except that in MPS one side of a row with two sides may be off by a unit in its last place.

    Parameters
    ----------
    program : BilevelProgram
    path : path
        ``.json`` holds every program. ``.mps`` or ``.aux`` writes the pair, for linear programs with one follower.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    InvalidProgram
        If the format cannot hold the program; the error says what.
    InvalidOutput
        If a file cannot be written.
    """
    path = Path(path)
    kind = _kind(path)
    if kind == "json":
        from stackopt.bilevel.json_file import text, to_record

        return (_put(path, text(to_record(program))),)
    if kind == "mps" and path.suffix.lower() != ".gz":
        from stackopt.bilevel.mps_write import mps_and_aux, paths

        mps, aux = paths(path)
        texts = mps_and_aux(program, mps.name)
        return tuple(_put(file, content) for file, content in zip((mps, aux), texts))
    raise InvalidProgram("file-format", path=path)


def _kind(path: Path) -> str:
    name = path.name.lower()
    if name.endswith(".json"):
        return "json"
    return "mps" if name.endswith((".mps", ".mps.gz", ".aux")) else ""


def _put(path: Path, content: str) -> Path:
    """Write beside and rename, so that nothing half-written is left."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(content, encoding="utf-8", newline="\n")
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise InvalidOutput("output", path=path, where=error.strerror or str(error)) from None
    return path
