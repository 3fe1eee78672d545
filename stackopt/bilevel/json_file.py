"""Bilevel programs in JSON: everything a `BilevelProgram` can hold. docs/bilevel-files.md describes the schema."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from stackopt.bilevel.mps import text_of
from stackopt.bilevel.program import BilevelProgram, Level, Multiplier, Objective, Rows
from stackopt.errors import InvalidProgram

SCHEMA = "stackopt.bilevel/1"
#: What describes a recorded case and says nothing about the program.
RECORD = ("title", "class", "known", "verified", "verification", "source", "note", "notes", "tolerance")
OPERATORS = {"<=": (False, True), ">=": (True, False), "==": (True, True)}


def read_json(path: Path) -> BilevelProgram:
    """Read a program.

    Raises
    ------
    InvalidProgram
        [bilevel-file] if it is not JSON, [bilevel-json] with the place if it breaks the schema, or the code of the law that
        the program breaks.
    """
    return from_record(load(path), path)


def load(path: Path) -> dict[str, Any]:
    """The object that a file holds."""
    try:
        record = json.loads(text_of(path))
    except (ValueError, RecursionError) as error:
        raise InvalidProgram("bilevel-file", path=path, where=str(error)) from None
    if not isinstance(record, dict):
        raise InvalidProgram("bilevel-json", path=path, where="it is not an object with keys")
    return record


def from_record(record: Mapping[str, Any], path: Path) -> BilevelProgram:
    """The program of a parsed file; see `read_json`."""
    return _Reader(record, path).program()


def is_bilevel(record: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a bilevel program rather than a game."""
    if "schema" in record:
        return str(record["schema"]).startswith("stackopt.bilevel/")
    return {"leader", "followers", "variables"} <= set(record)


def holds_bilevel(path: str | Path) -> bool:
    """Whether a JSON file is a bilevel program; a file that cannot be read is left to the reader of games, which says why."""
    try:
        record = json.loads(Path(path).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(record, dict) and is_bilevel(record)


class _Reader:
    """Turns the objects of a file into arrays, and names the place of what does not fit."""

    def __init__(self, record: Mapping[str, Any], path: Path) -> None:
        self.record, self.path = record, path
        self.symbols: dict[str, int] = {}

    def program(self) -> BilevelProgram:
        record = self.record
        if record.get("schema", SCHEMA) != SCHEMA:
            self._fail(f"schema is {record['schema']!r}", help=f'"schema": "{SCHEMA}"')
        self._keys("the file", record, ("variables", "leader", "followers"), ("schema", "name", "optimistic", "duals", *RECORD))
        variables, followers = self._list("variables", record["variables"]), self._list("followers", record["followers"])
        for at, level in enumerate(followers):
            self._keys(f"followers[{at}]", level, ("name", "objective"), ("constraints",))
        owners = {"leader": -1}
        for k, level in enumerate(followers):
            if level["name"] in owners:
                self._fail(f"followers[{k}] is called {level['name']!r}", help="another player has that name; leader is the leader's")
            owners[level["name"]] = k
        multipliers = tuple(self._multiplier(at, one) for at, one in enumerate(self._list("duals", record.get("duals", []))))
        parsed = [self._variable(at, one, owners) for at, one in enumerate(variables)]
        names = [one["name"] for one in variables]
        for name in (*names, *(m.name for m in multipliers)):
            if name in self.symbols:
                self._fail(f"two symbols are called {name!r}", help="variables and duals share one set of names")
            self.symbols[name] = len(self.symbols)
        self._keys("leader", record["leader"], ("objective",), ("constraints", "name"))
        owner, lower, upper, integer = (np.array(part) for part in zip(*parsed)) if parsed else (np.zeros(0),) * 4
        optimistic = record.get("optimistic", True)
        if not isinstance(optimistic, bool):
            self._fail(f"optimistic is {optimistic!r}", help="true or false")
        return BilevelProgram(
            names=tuple(names),
            owner=owner.astype(int),
            lower=lower.astype(float),
            upper=upper.astype(float),
            integer=integer.astype(bool),
            leader=self._level("leader", record["leader"], record["leader"].get("name", "leader")),
            followers=tuple(self._level(f"followers[{k}]", level, level["name"]) for k, level in enumerate(followers)),
            multipliers=multipliers,
            ties="optimistic" if optimistic else "pessimistic",
            name=record.get("name") or self.path.stem,
            source=f"JSON file {self.path.name}",
        )

    def _variable(self, at: int, one: Any, owners: dict[str, int]) -> tuple[int, float, float, bool]:
        where = f"variables[{at}]"
        self._keys(where, one, ("name", "owner"), ("lb", "ub", "type"))
        where = f"variable `{one['name']}`"
        if one["owner"] not in owners:
            self._fail(f"{where} is owned by {one['owner']!r}", help=f"owners are {', '.join(owners)}")
        kind = one.get("type", "continuous")
        if kind not in ("continuous", "integer", "binary"):
            self._fail(f"{where} has type {kind!r}", help="continuous, integer or binary")
        low = -math.inf if one.get("lb") is None else self._number(one["lb"], f"lb of {where}")
        high = math.inf if one.get("ub") is None else self._number(one["ub"], f"ub of {where}")
        if kind == "binary":
            low, high = max(low, 0.0), min(high, 1.0)
        return owners[one["owner"]], low, high, kind != "continuous"

    def _multiplier(self, at: int, one: Any) -> Multiplier:
        self._keys(f"duals[{at}]", one, ("name", "follower", "constraint"), ("convention",))
        return Multiplier(one["name"], one["follower"], one["constraint"])

    def _level(self, where: str, level: Mapping[str, Any], name: str) -> Level:
        objective = level["objective"]
        self._keys(f"{where}.objective", objective, ("sense",), ("constant", "linear", "quadratic"))
        linear = np.zeros(len(self.symbols))
        for j, value in self._linear(f"{where}.objective", objective.get("linear", {})):
            linear[j] = value
        constant = self._number(objective.get("constant", 0.0), f"{where}.objective.constant")
        quadratic = self._quadratic(f"{where}.objective", objective.get("quadratic", []))
        return Level(name, Objective(objective["sense"], linear, quadratic, constant), self._rows(where, level.get("constraints", [])))

    def _rows(self, where: str, constraints: Any) -> Rows:
        from scipy import sparse

        names, low, high = list[str](), list[float](), list[float]()
        entries = list[tuple[int, int, float]]()
        forms = {}
        for i, row in enumerate(self._list(f"{where}.constraints", constraints)):
            place = f"{where}.constraints[{i}]"
            self._keys(place, row, (), ("name", "linear", "quadratic", "op", "rhs", "lower", "upper"))
            names.append(row.get("name", f"row[{i}]"))
            place += f" `{names[-1]}`"
            below, above = self._sides(place, row)
            low.append(below)
            high.append(above)
            entries += [(i, j, value) for j, value in self._linear(place, row.get("linear", {})) if value]
            form = self._quadratic(place, row.get("quadratic", []))
            if form is not None:
                forms[i] = form
        rows, columns, values = zip(*entries) if entries else ((), (), ())
        shape = (len(names), len(self.symbols))
        matrix = sparse.csr_array((np.array(values, float), (np.array(rows, int), np.array(columns, int))), shape=shape)
        return Rows(tuple(names), matrix, np.array(low, float), np.array(high, float), forms)

    def _sides(self, place: str, row: Mapping[str, Any]) -> tuple[float, float]:
        if "op" in row:
            if str(row["op"]) not in OPERATORS or "rhs" not in row or "lower" in row or "upper" in row:
                self._fail(f"{place} has op {row['op']!r}" + ("" if "rhs" in row else " and no rhs"), help='op "<=", ">=" or "==" with rhs, or lower and upper')
            rhs = self._number(row["rhs"], f"rhs of {place}")
            below, above = OPERATORS[row["op"]]
            return (rhs if below else -math.inf), (rhs if above else math.inf)
        if "rhs" in row or not ("lower" in row or "upper" in row):
            self._fail(f"{place} has no op", help='op "<=", ">=" or "==" with rhs, or lower and upper')
        low, high = row.get("lower"), row.get("upper")
        return (
            -math.inf if low is None else self._number(low, f"lower of {place}"),
            math.inf if high is None else self._number(high, f"upper of {place}"),
        )

    def _linear(self, where: str, given: Any) -> list[tuple[int, float]]:
        if not isinstance(given, dict):
            self._fail(f"{where}.linear is {type(given).__name__}", help='an object {"variable": coefficient}')
        return [(self._symbol(name, where), self._number(value, f"coefficient of `{name}` in {where}")) for name, value in given.items()]

    def _quadratic(self, where: str, given: Any) -> Any:
        from scipy import sparse

        found: dict[tuple[int, int], float] = {}
        for term in self._list(f"{where}.quadratic", given):
            if not isinstance(term, list) or len(term) != 3:
                self._fail(f"{where} has the quadratic term {term!r}", help="[variable, variable, coefficient], without a factor 1/2")
            i, j = sorted((self._symbol(term[0], where), self._symbol(term[1], where)))
            if (i, j) in found:
                self._fail(f"{where} has the product of `{term[0]}` and `{term[1]}` twice", help="each pair once, in either order; add the coefficients")
            found[i, j] = self._number(term[2], f"coefficient of `{term[0]}` `{term[1]}` in {where}")
        if not found:
            return None
        places = tuple(np.array(part) for part in zip(*found))
        return sparse.csr_array((np.array(list(found.values()), float), places), shape=(len(self.symbols),) * 2)

    def _symbol(self, name: Any, where: str) -> int:
        if not isinstance(name, str) or name not in self.symbols:
            self._fail(f"{where} has {name!r}", help=f"symbols are {', '.join(list(self.symbols)[:12])}{', ...' if len(self.symbols) > 12 else ''}")
        return self.symbols[name]

    def _number(self, value: Any, what: str) -> float:
        try:
            fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        except OverflowError:  # an integer beyond the range of floating point
            fits = False
        if not fits:
            shown = repr(value)
            self._fail(f"{what} is {shown if len(shown) < 40 else shown[:20] + '...'}", help="a finite number; null or nothing where a bound is infinite")
        return float(value)

    def _list(self, where: str, given: Any) -> list[Any]:
        if not isinstance(given, list):
            self._fail(f"{where} is {type(given).__name__}", help="a list")
        return given

    def _keys(self, where: str, given: Any, needed: tuple[str, ...], allowed: tuple[str, ...]) -> None:
        if not isinstance(given, dict):
            self._fail(f"{where} is {type(given).__name__}", help="an object with keys")
        for key in needed:
            if key not in given:
                self._fail(f"{where} has no {key!r}")
        for key in given:
            if key not in needed and key not in allowed:
                self._fail(f"{where} has the unknown key {key!r}", help=f"keys are {', '.join((*needed, *allowed))}")
        for key in ("name", "owner", "follower", "constraint"):
            if not isinstance(given.get(key, ""), str):
                self._fail(f"{where} has the {key} {given[key]!r}", help="a text")

    def _fail(self, where: str, help: str = "") -> NoReturn:
        raise InvalidProgram("bilevel-json", path=self.path, where=where, help=help)


# --- writing -------------------------------------------------------------------------------------------------------------


def to_record(program: BilevelProgram) -> dict[str, Any]:
    """A program as plain data in the schema; numbers read back exactly.

    Raises
    ------
    InvalidProgram
        [not-writable] if a follower is called "leader".
    """
    names = program.symbols
    owners = ["leader", *(level.name for level in program.followers)]
    if "leader" in owners[1:]:
        raise InvalidProgram("not-writable", format="JSON", what="a follower called leader", help="rename it: that name is the leader's in the file")
    record: dict[str, Any] = {"schema": SCHEMA, "name": program.name, "optimistic": program.ties == "optimistic"}
    record["variables"] = [
        {
            "name": name,
            "owner": owners[int(program.owner[j]) + 1],
            "lb": _finite(program.lower[j]),
            "ub": _finite(program.upper[j]),
            "type": "continuous" if not program.integer[j] else "binary" if (program.lower[j], program.upper[j]) == (0, 1) else "integer",
        }
        for j, name in enumerate(program.names)
    ]
    if program.multipliers:
        record["duals"] = [{"name": m.name, "follower": m.follower, "constraint": m.constraint} for m in program.multipliers]
    named = {} if program.leader.name == "leader" else {"name": program.leader.name}
    record["leader"] = {**named, **_player(program.leader, names)}
    record["followers"] = [{"name": level.name, **_player(level, names)} for level in program.followers]
    return record


def text(record: Mapping[str, Any]) -> str:
    """JSON with one variable, row or term list to a line."""
    return _laid_out(dict(record), 0) + "\n"


def _laid_out(value: Any, depth: int) -> str:
    flat = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if not isinstance(value, dict | list) or len(flat) + depth <= 150:
        return flat
    pad, end = " " * (depth + 1), "\n" + " " * depth
    if isinstance(value, dict):
        inner = [f"{pad}{json.dumps(key, ensure_ascii=False)}: {_laid_out(one, depth + 1)}" for key, one in value.items()]
        return "{\n" + ",\n".join(inner) + end + "}"
    return "[\n" + ",\n".join(pad + _laid_out(one, depth + 1) for one in value) + end + "]"


def _player(level: Level, names: tuple[str, ...]) -> dict[str, Any]:
    objective, rows = level.objective, level.rows
    matrix = rows.matrix.tocsr()
    constraints = []
    for i, name in enumerate(rows.names):
        part = slice(matrix.indptr[i], matrix.indptr[i + 1])
        row: dict[str, Any] = {"name": name, "linear": {names[j]: _plain(a) for j, a in zip(matrix.indices[part], matrix.data[part]) if a}}
        if i in rows.quadratic:
            row["quadratic"] = _products(rows.quadratic[i], names)
        constraints.append({**row, **_operator(float(rows.lower[i]), float(rows.upper[i]))})
    goal: dict[str, Any] = {"sense": objective.sense, "constant": _plain(objective.constant)}
    goal["linear"] = {names[j]: _plain(objective.linear[j]) for j in np.flatnonzero(objective.linear)}
    goal["quadratic"] = [] if objective.quadratic is None else _products(objective.quadratic, names)
    return {"objective": goal, "constraints": constraints}


def _operator(low: float, high: float) -> dict[str, Any]:
    if low == high:
        return {"op": "==", "rhs": _plain(low)}
    if math.isinf(low) and math.isfinite(high):
        return {"op": "<=", "rhs": _plain(high)}
    if math.isinf(high) and math.isfinite(low):
        return {"op": ">=", "rhs": _plain(low)}
    return {"lower": _finite(low), "upper": _finite(high)}


def _products(form: Any, names: tuple[str, ...]) -> list[list[Any]]:
    found = form.tocoo()
    return [[names[i], names[j], _plain(a)] for i, j, a in sorted(zip(*(c.tolist() for c in found.coords), found.data.tolist())) if a]


def _finite(value: Any) -> float | int | None:
    return None if math.isinf(value) else _plain(value)


def _plain(value: Any) -> float | int:
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < 1e15 else number
