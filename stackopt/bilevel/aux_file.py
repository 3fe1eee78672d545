"""AUX files: which columns and rows of an MPS file are the follower's, and what the follower optimises.

Three forms, all of MibS: by index (N, M, LC, LR, LO, OS), by name (@VARSBEGIN ...), and by index with costs and a budget of
interdiction (IC, IB).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from stackopt.bilevel.mps import text_of
from stackopt.bilevel.program import Sense
from stackopt.errors import InvalidProgram

#: Of the form by name, besides the two that end a section; CONSTR for CONSTRS is read as well.
KEYWORDS = ("@NUMVARS", "@NUMCONSTRS", "@VARSBEGIN", "@CONSTRSBEGIN", "@NAME", "@MPS")


@dataclass
class Aux:
    """What an AUX file says.

    Attributes
    ----------
    path : Path
    by_name : bool
        Whether `columns` and `rows` are names, as in the file; else they are indices, as integers.
    columns, rows : list of (int or str)
        The follower's.
    costs : list of float
        Its objective, by the order of `columns`.
    sense : str
        ``"min"`` or ``"max"``, of the follower.
    interdiction : list of float
        Cost of interdicting each column; empty unless the file has the interdiction form.
    budget : float
        NaN unless it has.
    mps : str
        File named by @MPS; empty if none is.
    name : str
        From @NAME; may be empty.
    lines : dict of str to list of int
        Line of each entry: "columns", "rows", "interdiction".
    """

    path: Path
    by_name: bool = False
    columns: list[int | str] = field(default_factory=list)
    rows: list[int | str] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    sense: Sense = "min"
    interdiction: list[float] = field(default_factory=list)
    budget: float = math.nan
    mps: str = ""
    name: str = ""
    lines: dict[str, list[int]] = field(default_factory=lambda: {"columns": [], "rows": [], "interdiction": []})

    def fail(self, where: str, *, code: str = "aux-file", help: str = "", line: int | None = None) -> NoReturn:
        """Raise InvalidProgram with the place."""
        raise InvalidProgram(code, path=self.path, where=where if line is None else f"line {line}: {where}", help=help)


def read_aux(path: Path) -> Aux:
    """Read an AUX file of any of the three forms.

    Raises
    ------
    InvalidProgram
        [bilevel-file] if it cannot be read; [aux-file] with the line, if a keyword is unknown, an entry is no number, or the
        counts that the file announces are not those of its entries.
    """
    lines = [(i, text) for i, line in enumerate(text_of(path).splitlines(), 1) if (text := line.strip()) and not line.startswith(("*", "#"))]
    aux = Aux(path, by_name=any(text.startswith("@") for _, text in lines))
    (_by_name if aux.by_name else _by_index)(aux, lines)
    return aux


def _by_index(aux: Aux, lines: list[tuple[int, str]]) -> None:
    """Pairs of keyword and number, however they are spread over lines."""
    words = [(i, word) for i, text in lines for word in text.split()]
    announced: dict[str, int] = {}
    sense = 0
    if len(words) % 2:
        aux.fail(f"{words[-1][1]!r} has no value", line=words[-1][0])
    for (line, key), (_, text) in zip(words[::2], words[1::2]):
        word = key.upper()
        if word in ("N", "M"):
            if word in announced:
                aux.fail(f"a second {word}", line=line)
            announced[word] = _index(aux, line, key, text)
        elif word in ("LC", "LR"):
            what = "columns" if word == "LC" else "rows"
            getattr(aux, what).append(_index(aux, line, key, text))
            aux.lines[what].append(line)
        elif word == "LO":
            aux.costs.append(_number(aux, line, key, text))
        elif word == "IC":
            aux.interdiction.append(_number(aux, line, key, text))
            aux.lines["interdiction"].append(line)
        elif word == "IB":
            if not math.isnan(aux.budget):
                aux.fail("a second IB", line=line, help="one budget row is read")
            aux.budget = _number(aux, line, key, text)
        elif word == "OS":
            value = _number(aux, line, key, text)
            if value not in (1, -1) or sense:
                aux.fail(f"OS {text}" if not sense else "a second OS", line=line, help="1 if the follower minimises, -1 if it maximises")
            sense = int(value)
        else:
            aux.fail(f"no keyword is called {key!r}", line=line, help="N, M, LC, LR, LO, OS, and IC, IB for interdiction")
    if not sense:
        aux.fail("OS is missing", help="OS 1 if the follower minimises, OS -1 if it maximises")
    aux.sense = "min" if sense == 1 else "max"
    counts = {"N": ("LC", len(aux.columns)), "M": ("LR", len(aux.rows))}
    for key, (entry, count) in counts.items():
        if key not in announced:
            aux.fail(f"{key} is missing", help=f"{key} announces the number of {entry} entries")
        if announced[key] != count:
            aux.fail(f"{key} announces {announced[key]}, but there are {count} entries {entry}", code="aux-count")
    _as_many(aux, "LO")
    if bool(aux.interdiction) != (not math.isnan(aux.budget)):
        aux.fail(f"{'IB' if aux.interdiction else 'IC'} is missing", help="interdiction has a cost IC for each follower column and a budget IB")
    if aux.interdiction and len(aux.interdiction) != len(aux.columns):
        aux.fail(f"{len(aux.interdiction)} entries IC for {len(aux.columns)} follower columns", code="aux-count")


def _by_name(aux: Aux, lines: list[tuple[int, str]]) -> None:
    """Sections between keywords that begin with @."""
    announced: dict[str, int] = {}
    section = ""
    for line, text in lines:
        if text.startswith("@"):
            word = text.split()[0].upper().replace("CONSTR", "CONSTRS").replace("CONSTRSS", "CONSTRS")
            if word in ("@VARSEND", "@CONSTRSEND"):
                if section != word.replace("END", "BEGIN"):
                    aux.fail(f"{text} without its beginning", line=line)
                section = ""
            elif word in KEYWORDS:
                if section:
                    aux.fail(f"{text} inside {section}", line=line, help="each section ends with its keyword @...END, each other keyword has one line")
                section = word
                _value_beside(aux, text, word, line)
            elif word == "@LP":
                aux.fail("@LP: programs in LP format are not read", line=line, help="write the program as MPS")
            else:
                aux.fail(f"no keyword is called {text.split()[0]!r}", line=line, help=", ".join(KEYWORDS))
        elif section == "@VARSBEGIN":
            fields = text.split()
            if len(fields) != 2:
                aux.fail(f"a follower variable is a name and its cost; got {text!r}", line=line, help="names must not contain blanks")
            aux.columns.append(fields[0])
            aux.costs.append(_number(aux, line, f"cost of `{fields[0]}`", fields[1]))
            aux.lines["columns"].append(line)
        elif section == "@CONSTRSBEGIN":
            if len(text.split()) != 1:
                aux.fail(f"a follower row is a name; got {text!r}", line=line, help="names must not contain blanks")
            aux.rows.append(text)
            aux.lines["rows"].append(line)
        elif section in ("@NUMVARS", "@NUMCONSTRS"):
            announced[section] = _index(aux, line, section, text)
            section = ""
        elif section in ("@NAME", "@MPS"):
            setattr(aux, section[1:].lower(), text)
            section = ""
        else:
            aux.fail(f"{text!r} stands in no section", line=line)
    if section:
        aux.fail(f"{section} does not end", help="the file is cut short")
    for key, count in (("@NUMVARS", len(aux.columns)), ("@NUMCONSTRS", len(aux.rows))):
        if announced.get(key, count) != count:
            aux.fail(f"{key} announces {announced[key]}, but there are {count}", code="aux-count")


def _value_beside(aux: Aux, text: str, word: str, line: int) -> None:
    if len(text.split()) > 1:
        aux.fail(f"{text!r}: the value of {word} stands in the next line", line=line)


def _as_many(aux: Aux, key: str) -> None:
    if len(aux.costs) != len(aux.columns):
        aux.fail(f"{len(aux.costs)} entries {key} for {len(aux.columns)} follower columns LC", code="aux-count")


def _index(aux: Aux, line: int, key: str, text: str) -> int:
    if not text.isdecimal():
        aux.fail(f"{key} is {text!r}, not a number of at least 0", line=line)
    return int(text)


def _number(aux: Aux, line: int, key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        aux.fail(f"{key} is {text!r}, not a finite number", line=line)
    return value
