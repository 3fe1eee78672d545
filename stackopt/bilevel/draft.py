"""A bilevel program while a front end reads it: variables, rows and polynomials under the front end's own keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stackopt.bilevel.program import BilevelProgram, Level, Multiplier, Objective, Rows, Sense, Ties

#: What a front end calls a variable or multiplier; any hashable that stands for one scalar.
Key = Hashable


@dataclass
class Polynomial:
    r"""A polynomial of degree at most 2: :math:`c + \sum a_v v + \sum q_{vw} vw`.

    Attributes
    ----------
    constant : float
    linear : dict of key to float
    quadratic : dict of (key, key) to float
        Coefficients of products; (v, w) and (w, v) add up.
    """

    constant: float = 0.0
    linear: dict[Key, float] = field(default_factory=dict)
    quadratic: dict[tuple[Key, Key], float] = field(default_factory=dict)


@dataclass(frozen=True)
class Name:
    """What a component is called: `short` where that is unambiguous, else `full`."""

    short: str
    full: str


@dataclass(frozen=True)
class _Variable:
    key: Key
    name: Name
    lower: float
    upper: float
    integer: bool


@dataclass(frozen=True)
class _Row:
    key: Key
    name: Name
    body: Polynomial
    lower: float
    upper: float


@dataclass(frozen=True)
class Places:
    """Where everything that was read went.

    Attributes
    ----------
    symbol : dict of key to int
        Place of each variable and multiplier among the program's symbols.
    row : dict of key to (str, str)
        Of each row of a follower and of each of its variables: names of the follower and of the row or variable.
    multiplier : dict of key to int
        Place of the multiplier of a follower's row or variable, where the leader uses it.
    """

    symbol: dict[Key, int]
    row: dict[Key, tuple[str, str]]
    multiplier: dict[Key, int]


class Draft:
    """Collects variables, rows and objectives in any order.

    Variables of the program are the leader's in the order they were given, then each follower's; rows keep their order.

    Parameters
    ----------
    followers : sequence of str
        Their names. Player -1 is the leader, player k follower k.
    """

    def __init__(self, followers: Sequence[str]) -> None:
        self.followers = tuple(followers)
        self._variables: list[list[_Variable]] = [[] for _ in range(len(followers) + 1)]
        self._rows: list[list[_Row]] = [[] for _ in range(len(followers) + 1)]
        self._goals: dict[int, tuple[Sense, Polynomial]] = {}
        self._multipliers: dict[Key, tuple[Key, str]] = {}
        self.owner: dict[Key, int] = {}

    def variable(self, key: Key, name: Name, owner: int, lower: float, upper: float, integer: bool) -> None:
        """Add a variable of player `owner`."""
        self.owner[key] = owner
        self._variables[owner + 1].append(_Variable(key, name, lower, upper, integer))

    def row(self, key: Key, name: Name, owner: int, body: Polynomial, lower: float, upper: float) -> None:
        """Add the row lower <= body <= upper of player `owner`."""
        self._rows[owner + 1].append(_Row(key, name, body, lower, upper))

    def objective(self, owner: int, sense: Sense, body: Polynomial) -> None:
        """Set what player `owner` optimises."""
        self._goals[owner] = (sense, body)

    def multiplier(self, key: Key, of: Key, name: str = "") -> None:
        """Add a symbol for the multiplier of the follower row, or of the bounds of the follower variable, with key `of`."""
        self._multipliers.setdefault(key, (of, name))

    def called(self, owner: int) -> tuple[str, ...]:
        """Names of a player's variables."""
        return tuple(v.name.short for v in self._variables[owner + 1])

    def program(self, *, ties: Ties, name: str, source: str, origin: Callable[[Places], Any]) -> BilevelProgram:
        """Everything put together; `origin` makes the object that finds the front end's variables again.

        Raises
        ------
        InvalidProgram
            If it breaks a law of `BilevelProgram`.
        """
        variables = [v for mine in self._variables for v in mine]
        names = _settled([v.name for v in variables])
        called = {v.key: name for v, name in zip(variables, names)}
        symbol = {v.key: j for j, v in enumerate(variables)}
        row: dict[Key, tuple[str, str]] = {}
        row_names = []
        for k, rows in enumerate(self._rows):
            mine = {called[v.key] for v in self._variables[k]}
            settled = _settled([r.name for r in rows], taken=mine)
            row_names.append(settled)
            if k:
                row |= {v.key: (self.followers[k - 1], called[v.key]) for v in self._variables[k]}
                row |= {r.key: (self.followers[k - 1], text) for r, text in zip(rows, settled)}
        multipliers = self._symbols(row, symbol, len(variables))
        width = len(variables) + len(multipliers)
        levels = []
        for k, rows in enumerate(self._rows):
            goal = _objective(*self._goals[k - 1], symbol, width)
            levels.append(Level(("leader", *self.followers)[k], goal, _rows(rows, row_names[k], symbol, width)))
        return BilevelProgram(
            names=names,
            owner=np.array([self.owner[v.key] for v in variables], np.int64),
            lower=np.array([v.lower for v in variables], float),
            upper=np.array([v.upper for v in variables], float),
            integer=np.array([v.integer for v in variables], bool),
            leader=levels[0],
            followers=tuple(levels[1:]),
            multipliers=multipliers,
            ties=ties,
            name=name,
            source=source,
            origin=origin(Places(symbol, row, {of: symbol[key] for key, (of, _) in self._multipliers.items()})),
        )

    def _symbols(self, row: dict[Key, tuple[str, str]], symbol: dict[Key, int], n: int) -> tuple[Multiplier, ...]:
        """The multipliers that are used, each once however often the model names it; fills in their places."""
        found: dict[tuple[str, str], Multiplier] = {}
        shared = Counter(constraint for _, constraint in {row[of] for of, _ in self._multipliers.values()})
        for key, (of, name) in self._multipliers.items():
            follower, constraint = row[of]
            text = name or (f"dual({constraint})" if shared[constraint] == 1 else f"dual({follower}.{constraint})")
            found.setdefault(row[of], Multiplier(text, follower, constraint))
            symbol[key] = n + list(found).index(row[of])
        return tuple(found.values())


def _settled(names: Sequence[Name], taken: set[str] | None = None) -> tuple[str, ...]:
    count = Counter(name.short for name in names)
    return tuple(name.short if count[name.short] == 1 and name.short not in (taken or ()) else name.full for name in names)


def _objective(sense: Sense, body: Polynomial, symbol: dict[Key, int], width: int) -> Objective:
    linear = np.zeros(width)
    for key, value in body.linear.items():
        linear[symbol[key]] += value
    return Objective(sense, linear, _upper(body, symbol, width), float(body.constant))


def _rows(rows: Sequence[_Row], names: tuple[str, ...], symbol: dict[Key, int], width: int) -> Rows:
    from scipy import sparse

    entries = [(i, symbol[key], value) for i, row in enumerate(rows) for key, value in row.body.linear.items()]
    at = np.array([(i, j) for i, j, _ in entries], np.int64).reshape(-1, 2)
    matrix = sparse.csr_array(sparse.coo_array((np.array([a for *_, a in entries], float), (at[:, 0], at[:, 1])), shape=(len(rows), width)))
    matrix.eliminate_zeros()
    constant = np.array([row.body.constant for row in rows], float)
    lower, upper = (np.array([getattr(row, side) for row in rows], float) - constant + 0.0 for side in ("lower", "upper"))
    quadratic = {i: form for i, row in enumerate(rows) if (form := _upper(row.body, symbol, width)) is not None}
    return Rows(names, matrix, lower, upper, quadratic)


def _upper(body: Polynomial, symbol: dict[Key, int], width: int) -> Any:
    """The products as an upper triangle; None if there are none."""
    from scipy import sparse

    if not body.quadratic:
        return None
    at = np.sort(np.array([(symbol[v], symbol[w]) for v, w in body.quadratic], np.int64), axis=1)
    form = sparse.csr_array(sparse.coo_array((np.array(list(body.quadratic.values()), float), (at[:, 0], at[:, 1])), shape=(width, width)))
    form.eliminate_zeros()
    return form if form.nnz else None

