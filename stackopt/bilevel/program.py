"""`BilevelProgram`: a leader's program over the optimal responses of one or several followers."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from stackopt.bilevel.point import Array, Point
from stackopt.certificate import Certificate
from stackopt.display import Block, number
from stackopt.errors import InvalidProgram
from stackopt.programs.algebra import interval, terms

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse import csr_array

Sense = Literal["min", "max"]
Ties = Literal["optimistic", "pessimistic"]
#: A player whose goal and decisions take fewer characters is printed on one line.
ONE_LINE = 60
#: An eigenvalue below minus this, relative to the largest, makes a quadratic form not convex.
CURVATURE = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class Objective:
    r"""What a player optimises: :math:`c_0 + c^\top v + \sum_{i\le j} q_{ij} v_i v_j`.

    Attributes
    ----------
    sense : str
        ``"min"`` or ``"max"``.
    linear : array [N]
    quadratic : sparse [N, N] or None
        Upper triangle: the coefficient of each product, once, without a factor 1/2.
    constant : float
    """

    sense: Sense
    linear: Array
    quadratic: csr_array | None = None
    constant: float = 0.0

    def value(self, symbols: Array) -> float:
        """The objective at `symbols` [N]."""
        quadratic = 0.0 if self.quadratic is None else float(symbols @ (self.quadratic @ symbols))
        return self.constant + float(self.linear @ symbols) + quadratic

    def gradient(self, symbols: Array) -> Array:
        """Its gradient at `symbols` [N]; [N]."""
        if self.quadratic is None:
            return self.linear.copy()
        return np.asarray(self.linear + self.quadratic @ symbols + self.quadratic.T @ symbols, float)

    @property
    def sign(self) -> float:
        """+1 if it is minimised, -1 if it is maximised."""
        return 1.0 if self.sense == "min" else -1.0


@dataclass(frozen=True, eq=False, repr=False)
class Rows:
    r"""Named constraints: :math:`lower \le Av + \text{quadratic terms} \le upper`; equal bounds make an equation.

    Attributes
    ----------
    names : tuple of str
    matrix : sparse [m, N]
    lower, upper : array [m]
    quadratic : mapping of int to sparse [N, N]
        Upper triangles, for the rows that have quadratic terms.
    """

    names: tuple[str, ...]
    matrix: csr_array
    lower: Array
    upper: Array
    quadratic: Mapping[int, csr_array] = field(default_factory=dict)

    def activity(self, symbols: Array) -> Array:
        """Left-hand sides at `symbols` [N]; [m]."""
        found = np.asarray(self.matrix @ symbols, float)
        for row, form in self.quadratic.items():
            found[row] += symbols @ (form @ symbols)
        return found

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, eq=False, repr=False)
class Level:
    """One player: a name, an objective and rows over all symbols."""

    name: str
    objective: Objective
    rows: Rows


@dataclass(frozen=True)
class Multiplier:
    """A follower's multiplier as a symbol of the leader: the derivative of that follower's optimal value, in its own sense,
    with respect to the right-hand side of a row, or to the bounds of a variable (both together).

    Attributes
    ----------
    name : str
    follower : str
    constraint : str
        A row of that follower, or one of its variables.
    """

    name: str
    follower: str
    constraint: str


@dataclass(frozen=True, eq=False, repr=False)
class BilevelProgram:
    r"""A leader decides knowing that each follower answers with an optimum of its own program.

    Symbols :math:`v` are the n variables followed by the d follower multipliers that the leader uses, N = n + d. Each follower
    optimises the variables it owns and takes all others as fixed; followers that use each other's variables play a Nash
    equilibrium among themselves.

    Parameters
    ----------
    names : tuple of str
        Of the variables, distinct and printable on one line.
    owner : int array [n]
        -1 for the leader, k for follower k.
    lower, upper : array [n]
        Bounds belong to the variable's owner: those of follower variables are follower constraints, with multipliers.
    integer : bool array [n]
    leader : Level
        Its rows may contain follower variables (coupling rows) and multipliers.
    followers : tuple of Level
    multipliers : tuple of Multiplier
    ties : str
        ``"optimistic"``: a follower with several optima picks the leader's best. ``"pessimistic"``: the leader's worst, and
        coupling rows hold for every optimum.
    name, source : str
    origin : object
        Kept by a front end to find its own variables and rows again; not part of what defines the answer.

    Raises
    ------
    InvalidProgram
        With the first offending variable or row, by the name the user gave it.

    Examples
    --------
    >>> import stackopt as so
    >>> program = so.BilevelProgram.from_matrices(
    ...     leader_cost=([1.0], [3.0]), leader_bounds=(0, 8), leader_rows=([[0.0]], [[1.0]], [5.0]),
    ...     follower_cost=[-1.0], follower_bounds=(None, None),
    ...     follower_rows=([[-7.0], [-1.0], [1.0], [1.0]], [[2.0], [-4.0], [2.0], [1.0]], [0.0, -8.0, 13.0, 8.0]),
    ...     leader_names=["toll"], follower_names=["flow"], name="toll",
    ... )
    >>> round(float(so.solve(program).value), 6)
    6.133333
    """

    names: tuple[str, ...]
    owner: NDArray[np.int64]
    lower: Array
    upper: Array
    integer: NDArray[np.bool_]
    leader: Level
    followers: tuple[Level, ...]
    multipliers: tuple[Multiplier, ...] = ()
    ties: Ties = "optimistic"
    name: str = "program"
    source: str = ""
    origin: Any = None

    def __post_init__(self) -> None:
        from stackopt.bilevel.validation import validate

        validate(self)

    @classmethod
    def from_matrices(
        cls,
        *,
        leader_cost: tuple[ArrayLike, ArrayLike],
        follower_cost: ArrayLike,
        leader_rows: tuple[Any, Any, ArrayLike] | None = None,
        leader_equations: tuple[Any, Any, ArrayLike] | None = None,
        follower_rows: tuple[Any, Any, ArrayLike] | None = None,
        follower_equations: tuple[Any, Any, ArrayLike] | None = None,
        leader_bounds: tuple[Any, Any] = (0.0, None),
        follower_bounds: tuple[Any, Any] = (0.0, None),
        leader_integer: ArrayLike = False,
        follower_integer: ArrayLike = False,
        leader_hessian: Any = None,
        follower_hessian: Any = None,
        follower_cross: Any = None,
        leader_sense: Sense = "min",
        follower_sense: Sense = "min",
        leader_names: tuple[str, ...] | list[str] | None = None,
        follower_names: tuple[str, ...] | list[str] | None = None,
        ties: Ties = "optimistic",
        name: str = "program",
    ) -> BilevelProgram:
        r"""A program with one follower, in matrices.

        .. math:: \min_{x,y}\ c^\top x + d^\top y + \tfrac12 z^\top H z \quad\text{s.t. } Gx + Hy \le g,\quad
                  y \in \arg\min_y\ q^\top y + x^\top C y + \tfrac12 y^\top Q y\ \text{ s.t. } Ax + By \le b

        Parameters
        ----------
        leader_cost : (c [n_x], d [n_y])
        follower_cost : q [n_y]
        leader_rows, leader_equations : (G [m, n_x], H [m, n_y], g [m]), optional
            Arrays or scipy sparse; rows <= and =. None stands for a zero matrix.
        follower_rows, follower_equations : (A [m, n_x], B [m, n_y], b [m]), optional
        leader_bounds, follower_bounds : (lower, upper)
            Numbers or arrays; None is infinite. By default non-negative, as in most published programs.
        leader_integer, follower_integer : bool or bool array
        leader_hessian : sparse or array [n_x + n_y, n_x + n_y], symmetric, optional
        follower_hessian : Q [n_y, n_y], symmetric, optional
        follower_cross : C [n_x, n_y], optional
        leader_sense, follower_sense : str
            ``"min"`` or ``"max"``.
        leader_names, follower_names : sequences of str, optional
            By default x[0], x[1], ... and y[0], y[1], ...
        ties, name : str

        Raises
        ------
        InvalidProgram
            If shapes do not fit together or an entry is not a finite number.
        """
        from stackopt.bilevel.matrices import assemble

        settings = dict(locals())
        settings.pop("cls"), settings.pop("assemble")
        return assemble(**settings)

    # --- what is in it -------------------------------------------------------------------------------------------

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of the variables, then of the multipliers; [N]."""
        return (*self.names, *(m.name for m in self.multipliers))

    @property
    def size(self) -> int:
        """How many variables there are, n."""
        return len(self.names)

    def owned(self, k: int) -> NDArray[np.int64]:
        """Indices of the variables of follower `k`; of the leader for -1."""
        return np.flatnonzero(self.owner == k)

    @functools.cache  # noqa: B019  # a few flags, and programs are compared by identity
    def kind(self, k: int) -> str:
        """The class of follower `k`'s program with everything else fixed: LP, QP, MILP, MIQP, QCQP or nonconvex QP."""
        mine, level = self.owned(k), self.followers[k]
        if any(_among(form, mine) for form in level.rows.quadratic.values()):
            return "QCQP"
        curved = level.objective.quadratic is not None and _among(level.objective.quadratic, mine)
        if self.integer[mine].any():
            return "MIQP" if curved else "MILP"
        if not curved:
            return "LP"
        return "QP" if convex(level.objective, mine) else "nonconvex QP"

    def bilinear(self, k: int) -> bool:
        """Whether follower `k`'s rows multiply its own variables by others': linear once the others are fixed, but no
        longer linear in both."""
        mine = np.isin(np.arange(len(self.symbols)), self.owned(k))
        for form in self.followers[k].rows.quadratic.values():
            found = form.tocoo()
            if (mine[found.coords[0]] != mine[found.coords[1]]).any():
                return True
        return False

    @property
    def maximises(self) -> bool:
        """Whether the leader maximises."""
        return self.leader.objective.sense == "max"

    def index(self, key: Any) -> Any:
        """Where a variable or multiplier stands among the symbols: an int, or an int array for a whole indexed variable.

        Parameters
        ----------
        key : str or object
            A name, or a variable of the model that the program was made from.

        Raises
        ------
        InvalidProgram
            If there is no such variable.
        """
        if isinstance(key, str) and key in self.symbols:
            return self.symbols.index(key)
        found = None if self.origin is None or isinstance(key, str) else self.origin.find(key)
        if found is None:
            few = ", ".join(self.symbols[:8]) + (", ..." if len(self.symbols) > 8 else "")
            raise InvalidProgram("unknown-variable", name=str(key), program=self.name, where=f"its symbols: {few}")
        return found

    # --- what is asked of a problem ------------------------------------------------------------------------------

    def certify(self, candidate: Point) -> Certificate:
        """Recompute everything about `candidate`, re-solving each follower; see `stackopt.bilevel.certify`."""
        from stackopt.bilevel.certify import certify
        from stackopt.bilevel.units import normalised

        units = normalised(self)
        if units is None:
            return certify(self, candidate)
        return units.certificate(certify(units.program, units.forth(candidate)), self, candidate)

    def normalised(self) -> Any:
        """The program in better units where its own are far out, with the way back; None where they are not."""
        from stackopt.bilevel.units import normalised

        return normalised(self)

    @property
    def unit(self) -> float:
        """What counts as one unit of the leader's objective: 1, or less where its coefficients are tiny."""
        units = self.normalised()
        return 1.0 if units is None else 1.0 / float(units.leader)

    def summarize(self, candidate: Point, certificate: Certificate) -> tuple[tuple[str, str], ...]:
        """The rows that a printed solution shows about `candidate`."""
        from stackopt.bilevel.certify import summary

        return summary(self, candidate, certificate)

    @functools.cache  # noqa: B019
    def fingerprint(self) -> str:
        """A hash of what defines the answer: the data, not the names, and neither the order nor the orientation of rows."""
        from stackopt.bilevel.fingerprint import fingerprint

        return fingerprint(self)

    def look_up(self, candidate: Point, key: Any) -> Any:
        """The value of a variable or multiplier in a candidate: a float, or an array for a whole indexed variable."""
        found = candidate.symbols[self.index(key)]
        return float(found) if np.ndim(found) == 0 else found

    def dual(self, candidate: Point, key: Any) -> Any:
        """A follower's multiplier at a candidate, with its range if it is not unique.

        The derivative of the follower's optimal value, in its own sense, with respect to the right-hand side of a row or the bounds of
        a variable.

        Parameters
        ----------
        candidate : Point
        key : str or object
            ``"road"``, ``"follower.road"``, or a constraint or variable of the user's model.

        Returns
        -------
        Dual
            A float; `low` and `high` are the range of optimal values. An object array of them for a constraint with several rows.

        Raises
        ------
        InvalidProgram
            If no follower has such a row or variable.
        Refused
            If optimality conditions do not characterise a follower.
        """
        from stackopt.bilevel.duals import dual_of

        return dual_of(self, candidate, key)

    def block(self) -> Block:
        """The printed form: who decides what, over which rows."""
        count = len(self.followers)
        senses = {level.objective.sense for level in self.followers}
        verb = {"min": "minimise", "max": "maximise"}
        word = {"min": "minimises", "max": "maximises"}
        does = (word if count == 1 else verb)[next(iter(senses))] if len(senses) == 1 else "optimise"
        title = f'BilevelProgram "{self.name}": leader {word[self.leader.objective.sense]}, {count} follower{"s" * (count != 1)} {does}'
        rows = self._described("leader", self.leader, -1)
        for k, level in enumerate(self.followers[:6]):
            rows += self._described(level.name if count > 1 else "follower", level, k)
        rows += [("", f"{count - 6} more followers")] if count > 6 else []
        rows += [("multipliers", ", ".join(f"{m.name} of {m.constraint}" for m in self.multipliers[:6]))] if self.multipliers else []
        whom = {"optimistic": "ties go to the leader", "pessimistic": "ties go against the leader"}
        rows.append(("concept", f"{self.ties} ({whom[self.ties]})"))
        total = sum(len(level.rows) for level in (self.leader, *self.followers))
        rows.append(("size", f"{_counted(self.size, 'variable')}, {_counted(total, 'row')}"))
        rows += [("from", self.source)] if self.source else []
        return Block(title, tuple(rows))

    def _described(self, label: str, level: Level, k: int) -> list[tuple[str, str]]:
        mine, objective = self.owned(k), level.objective
        shown = ", ".join(self._variable(int(j)) for j in mine[:4]) + (f" and {len(mine) - 4} more" if len(mine) > 4 else "")
        goal = terms(self.symbols, objective.linear, objective.quadratic, objective.constant)
        decides = f"decides {shown or 'nothing'}, {_counted(len(level.rows), 'row')}" + (f", {self._class(k)}" if k >= 0 else "")
        if len(goal) + len(decides) < ONE_LINE:
            return [(label, f"{objective.sense} {goal}    {decides}")]
        return [(label, f"{objective.sense} {goal}"), ("", decides)]

    def _variable(self, j: int) -> str:
        bounds = interval(self.lower[j], self.upper[j])
        kind = "" if not self.integer[j] else " binary" if (self.lower[j], self.upper[j]) == (0, 1) else " integer"
        free = bounds == "free" or kind == " binary"
        return f"{self.names[j]}{kind}{'' if free else ' ' + bounds}"

    def _class(self, k: int) -> str:
        return self.kind(k) + (", bilinear rows" if self.bilinear(k) else "")

    def __repr__(self) -> str:
        return self.block().text()

    def _repr_html_(self) -> str:
        return self.block().html()


def convex(objective: Objective, columns: NDArray[np.int64]) -> bool:
    """Whether the objective, in its own sense, is convex (minimised) or concave (maximised) in the given symbols."""
    if objective.quadratic is None or not len(columns):
        return True
    part = objective.quadratic[columns][:, columns].toarray()
    hessian = objective.sign * (part + part.T)
    used = np.flatnonzero(np.abs(hessian).sum(0))
    if not len(used):
        return True
    values = np.linalg.eigvalsh(hessian[np.ix_(used, used)])
    return bool(values[0] >= -CURVATURE * max(1e-300, np.abs(values).max()))


def _among(form: Any, columns: NDArray[np.int64]) -> bool:
    """Whether a quadratic form has a product of two of the given columns."""
    part = form[columns][:, columns]
    return bool(part.nnz and np.abs(part.data).max() > 0)


def _counted(count: int, noun: str) -> str:
    return f"{number(count)} {noun}{'s' * (count != 1)}"
