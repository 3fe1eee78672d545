"""`so.from_cvxpy`: ordinary CVXPY problems, one of the leader and one of each follower."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.bilevel.draft import Draft, Name, Places, Polynomial
from stackopt.bilevel.from_cvxpy_epigraphs import READABLE, Rewriter, Tightness, plain
from stackopt.bilevel.from_cvxpy_terms import Terms
from stackopt.bilevel.from_cvxpy_variables import bounds, check_attributes, entries, integers, owners
from stackopt.bilevel.multiplier_symbols import marked
from stackopt.errors import InvalidProgram, MissingPackage

if TYPE_CHECKING:
    from stackopt.bilevel.program import BilevelProgram, Sense, Ties


def from_cvxpy(
    leader: Any,
    follower: Any = None,
    *,
    followers: Sequence[Any] = (),
    follower_decides: Any,
    leader_decides: Sequence[Any] = (),
    ties: Ties = "optimistic",
    name: str = "program",
) -> BilevelProgram:
    """The bilevel program of CVXPY problems: the leader's, and one for each follower.

    A follower's problem may use the leader's variables, and the leader's problem the followers'; each player optimises only what it
    decides. Objectives and constraints must be polynomials of degree at most 2, in variables of any shape. Products of different
    players' variables are read as such, although CVXPY alone would not call them convex. ``abs``, ``norm1``, ``norm_inf``, ``max``,
    ``maximum``, ``pos``, ``sum_largest`` and their concave counterparts become variables of the player that writes them, with their
    rows, wherever that changes nothing (`stackopt.bilevel.from_cvxpy_epigraphs`). Parameters have their present values. Bounds given
    to a Variable belong to whoever decides it.

    Parameters
    ----------
    leader : cvxpy Problem
    follower : cvxpy Problem
        Of a single follower; or `followers`, a list of problems, each taking the others' decisions as given.
    follower_decides : list of cvxpy Variable; with `followers` a list of such lists
    leader_decides : list of cvxpy Variable, optional
        Only needed for variables of the leader that its own problem does not mention.
    ties, name : str

    Returns
    -------
    BilevelProgram
        The leader's variables come first in the order in which they were created, then each follower's as listed; entries are named
        ``flow[0, 1]`` and stand in C order. Rows are named by ``constraint.label`` or as CVXPY prints them, long ones
        ``constraints[k]``. ``solution[flow]`` has the shape of the variable.

    Raises
    ------
    InvalidProgram
        If a term is no such polynomial, a variable is decided by nobody or by two, a parameter has no value, or a constraint or an
        attribute of a variable cannot be read. The text names the sub-expression.
    MissingPackage
        If CVXPY is not installed.

    Examples
    --------
    >>> import cvxpy as cp, stackopt as so
    >>> toll, flow = cp.Variable(bounds=[0, 8], name="toll"), cp.Variable(name="flow")
    >>> traveller = cp.Problem(cp.Maximize(flow), [2 * flow <= 7 * toll, flow + toll <= 8])
    >>> operator = cp.Problem(cp.Minimize(3 * flow + toll), [flow <= 5])
    >>> so.from_cvxpy(leader=operator, follower=traveller, follower_decides=[flow], name="toll")
    BilevelProgram "toll": leader minimises, 1 follower maximises
      leader    min toll + 3 flow    decides toll in [0, 8], 1 row
      follower  max flow    decides flow, 2 rows, LP
      concept   optimistic (ties go to the leader)
      size      2 variables, 3 rows
      from      CVXPY problems of the leader and 1 follower
    """
    cp = _cvxpy()
    problems, decided = _players(cp, leader, follower, followers, follower_decides)
    names = ["follower"] if len(decided) == 1 else [f"follower[{k}]" for k in range(len(decided))]
    owner = owners(cp, problems, names, decided, leader_decides)
    reading = _Reading(cp, problems, owner, Draft(names), ties)
    reading.read()
    source = f"CVXPY problems of the leader and {len(decided)} follower{'s' * (len(decided) > 1)}"
    shapes = {variable.id: (variable.name(), variable.shape) for variable in owner}
    return reading.draft.program(ties=ties, name=name, source=source, origin=lambda places: CvxpyOrigin(places, shapes))


class CvxpyOrigin:
    """Finds CVXPY variables and constraints again, by their ids.

    Parameters
    ----------
    places : Places
    shapes : dict of id to (name, shape)
        Of the user's variables.
    """

    def __init__(self, places: Places, shapes: dict[int, tuple[str, tuple[int, ...]]]) -> None:
        self._places, self._shapes = places, shapes

    def find(self, key: Any) -> Any:
        """Places of a Variable among the symbols, in its shape; an int if it is a scalar; also of an entry or a slice of one."""
        if not hasattr(key, "is_affine") or not hasattr(key, "shape"):
            return None
        if type(key).__name__ in ("index", "special_index", "transpose", "reshape") and len(key.args) == 1:
            inner = self.find(key.args[0])
            if inner is None:
                return None
            found = key.copy([_cvxpy().Constant(inner)]).value
            return int(found) if np.ndim(found) == 0 else np.asarray(found, np.int64)
        of, known = marked(key), self._shapes.get(getattr(key, "id", -1))
        if known is not None and known != (key.name(), key.shape):
            return None
        found = np.full(key.shape, -1, np.int64)
        for position, place in entries(key.shape):
            symbol, multiplier = self._places.symbol, self._places.multiplier
            found[position] = symbol.get((getattr(key, "id", -1), place), -1) if of is None else multiplier.get(_key(of, place), -1)
        if (found < 0).any():
            return None
        return int(found) if found.ndim == 0 else found

    def row(self, key: Any) -> Any:
        """(follower, row) of a follower's scalar constraint, (follower, variable) of its scalar variable, an object array of such
        pairs for other shapes; None for anything else."""
        if not hasattr(key, "id") or not hasattr(key, "shape"):
            return None
        found = np.empty(key.shape, object)
        for position, place in entries(key.shape):
            pair = self._places.row.get(_key(key, place))
            if pair is None:
                return None
            found[position] = pair
        return found.item() if found.ndim == 0 else found


class _Reading:
    """Puts the problems into the draft: first everything is rewritten, so that all columns are known, then read."""

    def __init__(self, cp: Any, problems: list[Any], owner: dict[Any, int], draft: Draft, ties: Ties) -> None:
        self.cp, self.problems, self.draft, self.ties = cp, problems, draft, ties
        self.user = list(owner)
        self.owner = owner
        self.symbols = _symbols(problems)
        shadows = {v.id: cp.Variable(v.shape, name=v.name()) for v in (*self.user, *self.symbols)}
        self.shadows = shadows
        self.rewriters = [Rewriter(cp, shadows) for _ in problems]
        self.tight = Tightness()

    def read(self) -> None:
        """Variables, multipliers, objectives, rows."""
        players = range(-1, len(self.problems) - 1)
        rewritten = [self._rewritten(k) for k in players]
        self._variables()
        columns = [(self.shadows[v.id], v.id) for v in (*self.user, *self.symbols)]
        columns += [(made.variable, made.variable.id) for rewriter in self.rewriters for made in rewriter.epigraphs]
        keys = [(id, place) for variable, id in columns for place in range(variable.size)]
        self.terms = Terms(self.cp, [variable for variable, _ in columns], keys)
        self.targets = self._targets()
        for k, (objective, rows) in zip(players, rewritten):
            minimises = isinstance(self.problems[k + 1].objective, self.cp.Minimize)
            sense: Sense = "min" if minimises else "max"
            who = "the leader" if k < 0 else f"follower `{self.draft.followers[k]}`"
            body = self.terms.polynomials(objective, f"the objective of {who}")[0]
            self.tight.check(body, 1 if minimises else -1, f"the objective of {who}")
            self._check_symbols(body, k, f"the objective of {who}")
            self.draft.objective(k, sense, body)
            for text, position, constraint, expression in rows:
                self._row(k, text, position, constraint, expression)
            for position, (text, expression, made) in enumerate(self.rewriters[k + 1].rows):
                self._epigraph_row(k, text, position, expression, made)

    def _rewritten(self, k: int) -> tuple[Any, list[tuple[str, int, Any, Any]]]:
        problem, rewrite = self.problems[k + 1], self.rewriters[k + 1]
        rows = []
        for position, constraint in enumerate(problem.constraints):
            if type(constraint).__name__ not in ("Inequality", "Equality", "Zero", "NonNeg", "NonPos"):
                where = f"`{_text(constraint, position)}` is a {type(constraint).__name__} constraint"
                raise InvalidProgram("unread-component", where=where, help="linear and quadratic equations and inequalities are read")
            rows.append((_text(constraint, position), position, constraint, rewrite(constraint.args[0] if len(constraint.args) == 1 else constraint.expr)))
        return rewrite(problem.objective.args[0]), rows

    def _variables(self) -> None:
        for variable in self.user:
            check_attributes(variable)
            low, high = bounds(self.cp, variable)
            whole, k = integers(variable), self.owner[variable]
            for position, place in entries(variable.shape):
                text = _entry(variable.name(), position)
                player = "leader" if k < 0 else self.draft.followers[k]
                self.draft.variable((variable.id, place), Name(text, f"{player}.{text}"), k, low[position], high[position], bool(whole[position]))
                self._note_sign((variable.id, place), low[position], high[position])
        for k, rewriter in enumerate(self.rewriters, -1):
            for number, made in enumerate(rewriter.epigraphs):
                for position, place in entries(made.variable.shape):
                    key = (made.variable.id, place)
                    name = Name(_entry(made.text, position), _entry(f"{made.text}#{number}", position))
                    self.draft.variable(key, name, k, float(made.lower[position]), float(made.upper[position]), False)
                    self.tight.kind[key] = (made.kind, made.text)
                    self.tight.sign[key] = int(made.nonnegative[position])

    def _note_sign(self, key: Any, low: float, high: float) -> None:
        self.tight.sign[key] = 1 if low >= 0 else -1 if high <= 0 else 0

    def _targets(self) -> dict[int, Any]:
        """id of each multiplier symbol: what it belongs to."""
        mine: dict[int, int] = {c.id: k for k, problem in enumerate(self.problems, -1) for c in problem.constraints}
        mine |= {variable.id: k for variable, k in self.owner.items()}
        for symbol in self.symbols:
            of = marked(symbol)
            if mine.get(of.id, -1) < 0:
                reason = "is the leader's" if of.id in mine else "is in no follower's problem"
                what = of.name() if hasattr(of, "is_affine") else _text(of, 0)
                raise InvalidProgram("multiplier-place", where=f"dual({what}) is used, but `{what}` {reason}")
        return {symbol.id: marked(symbol) for symbol in self.symbols}

    def _check_symbols(self, body: Polynomial, k: int, where: str) -> None:
        """Notes the multipliers that a polynomial uses; only the leader may."""
        for key in _keys(body):
            of = self.targets.get(key[0])
            if of is not None:
                self.draft.multiplier(key, _key(of, key[1]))
                if k >= 0:
                    raise InvalidProgram("multiplier-place", where=f"{where} uses dual(...)")

    def _row(self, k: int, text: str, position: int, constraint: Any, expression: Any) -> None:
        kind, where = type(constraint).__name__, f"constraint `{text}`"
        flipped = kind == "NonNeg" or (len(constraint.args) == 2 and not constraint.args[0].variables() and bool(constraint.args[1].variables()))
        equal = kind in ("Equality", "Zero")
        bodies = self.terms.polynomials(-expression if flipped and kind != "NonNeg" else expression, where)
        low, high = (0.0, 0.0) if equal else (0.0, math.inf) if flipped else (-math.inf, 0.0)
        for at, place in entries(constraint.shape):
            body = bodies[place]
            sides = low, high
            if body.constant == (math.inf if flipped else -math.inf) and not equal:
                body, sides = replace(body, constant=0.0), (-math.inf, math.inf)  # an infinite right-hand side restricts nothing
            for direction, side in ((-1, sides[0]), (1, sides[1])):
                if math.isfinite(side):
                    self.tight.check(body, direction, where)
            self._check_symbols(body, k, where)
            name = Name(_entry(text, at), _entry(f"constraints[{position}]", at))
            self.draft.row(_key(constraint, place), name, k, body, *sides)

    def _epigraph_row(self, k: int, text: str, position: int, expression: Any, made: Any) -> None:
        for place, body in enumerate(self.terms.polynomials(expression, f"`{text}`")):
            self.tight.check(body, 1, f"`{text}`", own=made.variable.id)
            self._check_symbols(body, k, f"`{text}`")
            if k < 0 and self.ties == "pessimistic" and any(self.draft.owner.get(key, 0) >= 0 for key in _keys(body)):
                where = f"`{made.text}` in the leader's problem contains decisions of a follower"
                raise InvalidProgram("piecewise", where=where, help='the worst optimum of the follower is not found term by term; use ties="optimistic"')
            at = np.unravel_index(place, expression.shape, order="F") if expression.shape else ()
            name = Name(_entry(text, tuple(map(int, at))), _entry(f"epigraph[{position}]", tuple(map(int, at))))
            self.draft.row(("epigraph", k, position, place), name, k, body, -math.inf, 0.0)


def _key(thing: Any, place: int) -> Any:
    """What an entry of a variable or of a constraint is called in the draft."""
    return (thing.id, place) if hasattr(thing, "is_affine") else ("row", thing.id, place)


def _keys(body: Polynomial) -> list[Any]:
    """Everything that a polynomial uses."""
    return [*body.linear, *(key for pair in body.quadratic for key in pair)]


def _players(cp: Any, leader: Any, follower: Any, followers: Sequence[Any], decides: Any) -> tuple[list[Any], list[list[Any]]]:
    """Problems of the leader and of each follower, and what each follower decides."""
    if (follower is None) == (not followers):
        raise InvalidProgram("follower-problems", where="give either `follower` or `followers`")
    listed = [follower] if follower is not None else list(followers)
    given = list(decides) if isinstance(decides, list | tuple) else [decides]
    groups = [given] if follower is not None and not any(isinstance(group, list | tuple) for group in given) else given
    if len(groups) != len(listed) or not all(isinstance(group, list | tuple) for group in groups):
        where = f"`follower_decides` must have {len(listed)} list{'s' * (len(listed) > 1)} of variables, one per follower; got {len(groups)} entries"
        raise InvalidProgram("follower-problems", where=where)
    for what, problem in (("leader", leader), *(("follower", problem) for problem in listed)):
        if not isinstance(problem, cp.Problem):
            raise InvalidProgram("follower-problems", where=f"`{what}` is {type(problem).__name__}", help="cp.Problem(cp.Minimize(...), [...])")
        if not isinstance(problem.objective, cp.Minimize | cp.Maximize):
            kind = type(problem.objective).__name__
            raise InvalidProgram("follower-problems", where=f"the objective of `{what}` is {kind}", help="cp.Minimize or cp.Maximize")
    return [leader, *listed], [list(group) for group in groups]


def _symbols(problems: list[Any]) -> list[Any]:
    """Every multiplier symbol that occurs, once."""
    return list({v.id: v for problem in problems for v in problem.variables() if marked(v) is not None}.values())


def _text(constraint: Any, position: int) -> str:
    label = getattr(constraint, "label", None)
    text = str(label) if label else plain(str(constraint))
    return text if len(text) <= READABLE and text.isprintable() else f"constraints[{position}]"


def _entry(text: str, position: tuple[int, ...]) -> str:
    if not position:
        return text
    compared = any(sign in text for sign in ("<=", ">=", "=="))
    return f"{f'({text})' if compared else text}[{', '.join(map(str, position))}]"


def _cvxpy() -> Any:
    try:
        return importlib.import_module("cvxpy")
    except ImportError:
        raise MissingPackage("package", feature="from_cvxpy", package="cvxpy") from None
