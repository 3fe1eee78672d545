"""MPS files: the linear program in one, with file and line of everything that is wrong.

HiGHS has a reader too, but it says neither what it did not understand nor in which line, wants its keywords in capitals, and
keeps the lower bound 0 under a negative upper bound. The dialect here is that of CoinUtils, which MibS reads; docs/bilevel-files.md
lists it. The tests hold this reader to HiGHS on every file that both read alike.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from stackopt.bilevel.program import Sense
from stackopt.errors import InvalidProgram

#: Numbers of at least this size are infinite, in bounds and right-hand sides.
INFINITE = 1e25
SECTIONS = ("NAME", "OBJSENSE", "OBJNAME", "ROWS", "COLUMNS", "RHS", "RANGES", "BOUNDS", "ENDATA")
#: Sections of other kinds of programs: refused by name, never skipped.
REFUSED = ("SOS", "SOS1", "SOS2", "SETS", "QUADOBJ", "QMATRIX", "QSECTION", "QCMATRIX", "CSECTION", "INDICATORS", "LAZYCONS", "USERCUTS", "GENCONS", "PWLOBJ")
SENSES: dict[str, Sense] = {"MAX": "max", "MAXIMIZE": "max", "MAXIMISE": "max", "MIN": "min", "MINIMIZE": "min", "MINIMISE": "min"}
SPACES = "fields are separated by blanks, so names must not contain any: rename, or state the program in JSON"


@dataclass
class Mps:
    """The linear program of an MPS file, in the order of the file.

    Attributes
    ----------
    path : Path
    name : str
        From the NAME line; may be empty.
    sense : str
        ``"min"`` or ``"max"``, of the objective row.
    constant : float
        Minus the right-hand side of the objective row.
    columns, rows : dict of str to int
        Names and their places; free rows (N) are not among `rows`.
    objective : dict of int to float
        Coefficients by column.
    entries : dict of (int, int) to float
        Coefficients by row and column.
    row_lower, row_upper, lower, upper : list of float
    integer : list of bool
    """

    path: Path
    name: str = ""
    sense: Sense = "min"
    constant: float = 0.0
    columns: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    objective: dict[int, float] = field(default_factory=dict)
    entries: dict[tuple[int, int], float] = field(default_factory=dict)
    row_lower: list[float] = field(default_factory=list)
    row_upper: list[float] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    integer: list[bool] = field(default_factory=list)


def read_mps(path: Path) -> Mps:
    """Read an MPS file, fixed or free, plain or gzipped.

    Raises
    ------
    InvalidProgram
        [bilevel-file] with the line, if the file cannot be read, has a section of another kind of program, names an unknown
        row or column, or gives something twice.
    """
    return _Reader(path).read()


def text_of(path: Path) -> str:
    """The text of a file, unzipped where its name ends in .gz; line ends of any system."""
    try:
        raw = path.read_bytes()
        if path.suffix.lower() == ".gz":
            raw = gzip.decompress(raw)
        return raw.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        where = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InvalidProgram("bilevel-file", path=path, where=where) from None


class _Reader:
    """One pass over the lines; every section has a method that takes the fields of a line."""

    def __init__(self, path: Path) -> None:
        self.mps = Mps(path)
        self.line = 0
        self.kinds: list[str] = []  # L, G or E, by row
        self.free: dict[str, bool] = {}  # N rows; True for the objective
        self.wanted = ""  # objective row by OBJNAME
        self.whole = False  # between INTORG and INTEND
        self.column = ""
        self.rhs: dict[str, float] = {}
        self.rhs_line: dict[str, int] = {}
        self.ranges: dict[str, float] = {}
        self.sets: dict[str, str] = {}  # section -> the name of its vector
        self.sides: set[tuple[int, str]] = set()  # bounds given so far
        self.bound_line: dict[int, int] = {}

    def read(self) -> Mps:
        lines = text_of(self.mps.path).splitlines()
        sections: dict[str, Callable[[list[str]], None]] = {
            "OBJSENSE": self._sense, "OBJNAME": self._objname, "ROWS": self._row, "COLUMNS": self._column,
            "RHS": self._rhs, "RANGES": self._range, "BOUNDS": self._bound,
        }  # fmt: skip
        section, seen = "", set[str]()
        for self.line, text in enumerate(lines, 1):
            fields = text.split()
            if not fields or text.startswith("*"):
                continue
            word = fields[0].upper()
            if not text[0].isspace() and word in REFUSED:
                self._fail(f"section {fields[0]} is not read", "only linear programs with integer variables are; state the program in JSON")
            if self._opens(word, fields, text, section):
                if word in seen:
                    self._fail(f"a second section {fields[0]}")
                seen.add(word)
                section = word
                if word == "ENDATA":
                    break
                if word == "NAME":
                    self.mps.name = " ".join(fields[1:])
                elif len(fields) == 2:  # OBJSENSE MAX
                    sections[word](fields[1:])
            elif section in sections:
                sections[section](fields)
            else:
                self._fail(f"no section is called {fields[0]!r}", f"sections are {', '.join(SECTIONS)}")
        if section != "ENDATA":
            self.line = len(lines)
            self._fail("the file ends before ENDATA", "it is cut short, or no MPS file")
        self._close()
        return self.mps

    def _opens(self, word: str, fields: list[str], text: str, section: str) -> bool:
        """Whether a line is the head of a section; a set of right-hand sides may well be called RHS."""
        if word not in SECTIONS or (section == "OBJNAME" and text[0].isspace()):
            return False
        if word == "NAME":
            return section in ("", "OBJSENSE", "OBJNAME") and not text[0].isspace()
        return len(fields) == 1 or (word in ("OBJSENSE", "OBJNAME") and len(fields) == 2 and not text[0].isspace())

    def _fail(self, where: str, help: str = "") -> NoReturn:
        raise InvalidProgram("bilevel-file", path=self.mps.path, where=f"line {self.line}: {where}", help=help)

    # --- sections ------------------------------------------------------------------------------------------------

    def _sense(self, fields: list[str]) -> None:
        word = fields[0].upper()
        if len(fields) != 1 or word not in SENSES:
            self._fail(f"objective sense {' '.join(fields)!r}", "MAX or MIN")
        self.mps.sense = SENSES[word]

    def _objname(self, fields: list[str]) -> None:
        self.wanted = fields[0]

    def _row(self, fields: list[str]) -> None:
        if len(fields) != 2:
            self._fail(f"a row is a type and a name; got {' '.join(fields)!r}", SPACES)
        kind, name = fields[0].upper(), fields[1]
        if kind not in ("N", "L", "G", "E"):
            self._fail(f"row type {fields[0]!r} of row `{name}`", "N, L, G or E")
        if name in self.mps.rows or name in self.free:
            self._fail(f"a second row `{name}`")
        if kind == "N":
            first = not any(self.free.values())
            self.free[name] = name == self.wanted if self.wanted else first
        else:
            self.mps.rows[name] = len(self.kinds)
            self.kinds.append(kind)

    def _column(self, fields: list[str]) -> None:
        if len(fields) == 3 and fields[1].strip("'\"").upper() == "MARKER":
            mark = fields[2].strip("'\"").upper()
            if mark not in ("INTORG", "INTEND"):
                self._fail(f"marker {fields[2]}", "INTORG and INTEND enclose integer columns; other markers are not read")
            self.whole = mark == "INTORG"
            return
        if len(fields) not in (3, 5):
            self._fail(f"a column is a name and one or two pairs of row and number; got {' '.join(fields)!r}", SPACES)
        mps, name = self.mps, fields[0]
        if name != self.column:
            if name in mps.columns:
                self._fail(f"column `{name}` continues after another one began", "all entries of a column stand together")
            mps.columns[name] = len(mps.columns)
            mps.integer.append(self.whole)
            mps.lower.append(0.0)
            mps.upper.append(math.inf)
            self.column = name
        j = mps.columns[name]
        for row, text in zip(fields[1::2], fields[2::2]):
            value = self._number(text, f"coefficient of `{name}` in row `{row}`")
            if row in self.free:
                if self.free[row]:
                    self._once(j not in mps.objective, f"coefficient of `{name}` in row `{row}`")
                    mps.objective[j] = value
                continue
            i = self._known(row)
            self._once((i, j) not in mps.entries, f"coefficient of `{name}` in row `{row}`")
            mps.entries[i, j] = value

    def _rhs(self, fields: list[str]) -> None:
        for row, value in self._vector("RHS", fields):
            self._once(row not in self.rhs, f"right-hand side of row `{row}`")
            self.rhs[row], self.rhs_line[row] = value, self.line
            if math.isinf(value) and row in self.free:
                self._fail(f"an infinite constant of the objective `{row}`")

    def _range(self, fields: list[str]) -> None:
        for row, value in self._vector("RANGES", fields):
            if row in self.free:
                self._fail(f"a range of the free row `{row}`")
            self._once(row not in self.ranges, f"range of row `{row}`")
            self.ranges[row] = value
            if math.isinf(value):
                self._fail(f"an infinite range of row `{row}`")

    def _vector(self, section: str, fields: list[str]) -> Iterator[tuple[str, float]]:
        """Pairs of row and number; the name of the vector before them may be left out."""
        if len(fields) not in (2, 3, 4, 5):
            self._fail(f"{section} has one or two pairs of row and number; got {' '.join(fields)!r}", SPACES)
        if len(fields) % 2:
            self._same_set(section, fields[0])
        pairs = fields[len(fields) % 2 :]
        for row, text in zip(pairs[::2], pairs[1::2]):
            if row not in self.free:
                self._known(row)
            yield row, self._number(text, f"{section} of row `{row}`", infinite=True)

    def _bound(self, fields: list[str]) -> None:
        kind, mps = fields[0].upper(), self.mps
        if kind in ("SC", "SI"):
            self._fail(f"bound type {fields[0]}: semicontinuous variables are not read", "write x <= u*z with a binary z")
        if kind not in ("UP", "LO", "FX", "FR", "MI", "PL", "BV", "UI", "LI"):
            self._fail(f"bound type {fields[0]!r}", "UP, LO, FX, FR, MI, PL, BV, UI or LI")
        valued = kind not in ("FR", "MI", "PL", "BV")
        rest = fields[1:]
        # the name of the vector may be left out, and the types without a value may have one
        named = len(rest) == 3 or (len(rest) == 2 and not valued and rest[1] in mps.columns)
        if named:
            self._same_set("BOUNDS", rest[0])
            rest = rest[1:]
        if not 1 <= len(rest) <= 2 or (valued and len(rest) != 2):
            self._fail(f"a bound is a type, a column{' and a number' if valued else ''}; got {' '.join(fields)!r}", SPACES)
        if rest[0] not in mps.columns:
            self._fail(f"no column is called `{rest[0]}`", SPACES if len(fields) > 4 else "names are compared letter by letter")
        j = mps.columns[rest[0]]
        value = self._number(rest[1], f"bound of `{rest[0]}`", infinite=True) if valued else 0.0
        self._set_bound(j, rest[0], kind, value)

    def _set_bound(self, j: int, name: str, kind: str, value: float) -> None:
        mps = self.mps
        lower = {"LO": value, "LI": value, "FX": value, "FR": -math.inf, "MI": -math.inf, "BV": 0.0}.get(kind)
        upper = {"UP": value, "UI": value, "FX": value, "FR": math.inf, "PL": math.inf, "BV": 1.0}.get(kind)
        if kind == "UP" and value < 0 and (j, "lower") not in self.sides:
            mps.lower[j] = -math.inf  # CoinUtils, like most readers: a negative upper bound alone takes the lower bound away
        for side, number in (("lower", lower), ("upper", upper)):
            if number is None:
                continue
            self._once((j, side) not in self.sides, f"{side} bound of `{name}`")
            self.sides.add((j, side))
            (mps.lower if side == "lower" else mps.upper)[j] = number
        mps.integer[j] |= kind in ("BV", "UI", "LI")
        self.bound_line[j] = self.line

    # --- at the end ----------------------------------------------------------------------------------------------

    def _close(self) -> None:
        """Rows from their types, right-hand sides and ranges; defaults of integer columns; crossed bounds."""
        mps = self.mps
        if not mps.columns:
            self._fail("there are no columns")
        if not any(self.free.values()):
            self._fail(f"no objective row `{self.wanted}`" if self.wanted else "no objective row", "the first row of type N is the objective")
        for row, value in self.rhs.items():
            if self.free.get(row):
                mps.constant = -value
        for name, i in mps.rows.items():
            low, high = sides(self.kinds[i], self.rhs.get(name, 0.0), self.ranges.get(name))
            if low == math.inf or high == -math.inf:
                self.line = self.rhs_line[name]
                self._fail(f"the sides of row `{name}` are [{low:g}, {high:g}]")
            mps.row_lower.append(low)
            mps.row_upper.append(high)
        for name, j in mps.columns.items():
            if mps.integer[j] and j not in self.bound_line:
                mps.upper[j] = 1.0  # the convention of CoinUtils, CPLEX, Gurobi and HiGHS: integer columns without bounds are binary
            if mps.lower[j] > mps.upper[j] or mps.lower[j] == math.inf or mps.upper[j] == -math.inf:
                self.line = self.bound_line[j]
                self._fail(f"`{name}` in [{mps.lower[j]:g}, {mps.upper[j]:g}]", "the lower bound is 0 unless LO, MI, FX or FR gives another one")

    def _known(self, row: str) -> int:
        if row not in self.mps.rows:
            self._fail(f"no row is called `{row}`", "names are compared letter by letter; they must not contain blanks")
        return self.mps.rows[row]

    def _once(self, new: bool, what: str) -> None:
        if not new:
            self._fail(f"a second {what}")

    def _same_set(self, section: str, name: str) -> None:
        if self.sets.setdefault(section, name) != name:
            self._fail(f"a second vector {name!r} in {section}", f"one vector is read; the first is {self.sets[section]!r}")

    def _number(self, text: str, what: str, *, infinite: bool = False) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if infinite and abs(value) >= INFINITE:
            value = math.copysign(math.inf, value)
        if math.isnan(value) or (math.isinf(value) and not infinite):
            self._fail(f"{what} is {text!r}, not a{'' if infinite else ' finite'} number", SPACES)
        return value


def sides(kind: str, rhs: float, reach: float | None) -> tuple[float, float]:
    """Lower and upper side of a row of type L, G or E with right-hand side `rhs` and range `reach`."""
    if kind == "E":
        if reach is None or reach == 0:
            return rhs, rhs
        return (rhs, rhs + reach) if reach > 0 else (rhs + reach, rhs)
    if kind == "L":
        return (-math.inf if reach is None else rhs - abs(reach)), rhs
    return rhs, (math.inf if reach is None else rhs + abs(reach))
