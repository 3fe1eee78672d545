r"""Ties against the leader, exactly: an adversary answers in place of the follower.

Write F and G for the leader's objective and rows, f for the follower's objective, Y(x) for its feasible set, all minimised.
The pessimistic program is

.. math:: \min_x\ \max\{F(x,y) : y \in S(x)\} \quad\text{s.t. } G_i(x,y) \le 0\ \text{ for all } y \in S(x) = \arg\min_{Y(x)} f(x,\cdot).

**Reduction.** The leader also decides an answer :math:`\bar y \in Y(x)`, and one adversary for the objective and one for each
row that contains follower variables answers

.. math:: \psi_i(x, \bar y) = \max\{G_i(x,y) : y \in Y(x),\ f(x,y) \le f(x,\bar y)\}.

The result is an optimistic program: an adversary's ties all have the same worth for the one expression it concerns.

**Proof.** The set over which the adversary maximises grows with :math:`f(x,\bar y)`. So :math:`\psi_i(x,\cdot)` is least at
an optimal :math:`\bar y`, where the set is S(x), and there :math:`\psi_i` is the worst over S(x). Hence the leader loses nothing by an
optimal :math:`\bar y`, gains nothing by another, and for each x both programs have the same value and the same feasibility, as long as
S(x) is not empty where Y(x) is not. Only the order of the values of f was used: the argument holds for linear and for mixed-integer
linear followers alike. S(x) is empty while Y(x) is not only if f falls for ever along a direction of Y(x); with linear rows and
x in the right-hand sides (and rational data, if there are integers) such a direction exists for every x or for none. If it exists,
the follower itself is kept and decides :math:`\bar y`, which it cannot, and the program is infeasible, as it should be. An adversary
that can raise its expression for ever has no answer either: that x is infeasible in both programs.

**Convex quadratic followers** keep deciding :math:`\bar y`, since :math:`f(x,y) \le f(x,\bar y)` is not linear. The optimal set is then
:math:`\{y \in Y(x) : Qy = Q\bar y,\ q^\top y \le q^\top \bar y\}`: gradients do not change over the optima of a convex program
(Mangasarian, 1988), and conversely such a y has the value of :math:`\bar y`. If Q is positive definite the response is unique, and ties do
not exist.

**Attained.** With x in the right-hand sides only, S(x) is a polyhedron with a fixed matrix and right-hand sides that are continuous in x
(the optimal value, and Qy over the optima, are), so it moves continuously (Hoffman's bound), and so does the worst over it. A bounded
feasible program therefore attains its optimum. Products of the follower's variables with others' in f destroy this and are refused:
with x in [-1, 1] and a follower that maximises xy over y in [0, 1], a leader that maximises y - |x| gets 1 - x for x > 0 but 0 at x = 0:
the supremum 1 is not attained. Rows with such products are refused as well. Integer followers whose responses jump with a continuous x
need not attain it either; the searches refuse those in the optimistic case already.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.bilevel.follower import follower_program, recession, respond
from stackopt.bilevel.point import Array, Point
from stackopt.bilevel.program import BilevelProgram, Level, Objective, Rows
from stackopt.bilevel.ties import tie_range
from stackopt.display import Block
from stackopt.solution import Refusal

if TYPE_CHECKING:
    from stackopt.bilevel.program import Sense

#: The smallest eigenvalue of a Hessian, relative to the largest, from which responses count as unique.
DEFINITE = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class Pessimistic:
    """An optimistic program with the optimum of a pessimistic one, and the way back.

    Attributes
    ----------
    program : BilevelProgram
        With ties against the leader.
    target : BilevelProgram
        Optimistic, with adversaries; its first n variables are those of `program`, then come copies.
    adversaries : tuple of str
        What each adversary of `target` works against: the objective, or a row by its name. Empty if responses are unique.
    answer : int array [n]
        For each variable the column of `target` that holds it in the objective's worst case.
    """

    program: BilevelProgram
    target: BilevelProgram
    adversaries: tuple[str, ...]
    answer: Any

    def lift(self, point: Point) -> Point:
        """The candidate of a point of `target`: its leader decision, and the worst optimal response to it.

        The response is solved for again: at an optimum that does not need an optimal answer of the leader's, the adversary's
        copy can be as bad as the worst response without being optimal.
        """
        values = np.asarray(point.values, float)[: self.program.size].copy()
        for k in range(len(self.program.followers)):
            response = respond(self.program, k, values)
            if response.variables is not None:
                values[self.program.owned(k)] = response.variables
        found = tie_range(self.program, values)
        if found.worst_response is not None:
            return Point(found.worst_response, claim=found.worst)
        values = np.asarray(point.values, float)[self.answer]
        return Point(values, claim=self.program.leader.objective.value(values))

    def block(self) -> Block:
        """The printed form."""
        against = ", ".join(self.adversaries) or "nobody: responses are unique"
        return Block(f'Pessimistic "{self.program.name}" as an optimistic program', (("adversaries", against), ("target", self.target.block().title)))

    def __repr__(self) -> str:
        return self.block().text()


def pessimistic_refusal(program: BilevelProgram) -> Refusal | None:
    """Why the reduction does not apply, if it does not."""
    why = _unlike(program)
    return Refusal("pessimistic", law={"why": why}) if why else None


def _unlike(program: BilevelProgram) -> str:
    if program.multipliers:
        return f"`{program.multipliers[0].name}` is a multiplier that the leader uses, and multipliers have ties of their own"
    unique = all(definite(program, k) for k in range(len(program.followers)))
    for k, level in enumerate(program.followers):
        kind, others = program.kind(k), _others_in(program, k)
        if (program.owner[others] >= 0).any():
            seen = program.names[int(others[program.owner[others] >= 0][0])]
            return f"follower `{level.name}` sees `{seen}` of another follower"
        if kind not in ("LP", "QP", "MILP"):
            return f"follower `{level.name}` is a {kind}"
        if program.bilinear(k) or level.rows.quadratic:
            return f"row `{level.rows.names[min(level.rows.quadratic)]}` of `{level.name}` has products"
        if not unique and _products(program, k):
            return f"the objective of `{level.name}` multiplies its variables by others'; its optimal responses jump, and the optimum need not be attained"
    if unique:
        return ""
    mine = program.owner >= 0
    for name, form in ((None, program.leader.objective.quadratic), *((program.leader.rows.names[i], f) for i, f in program.leader.rows.quadratic.items())):
        if form is not None and np.abs(form.toarray()[np.ix_(mine, mine)]).max(initial=0.0) > 0:
            return f"{'the objective' if name is None else f'row `{name}`'} of the leader multiplies followers' variables by each other"
    return ""


def _others_in(program: BilevelProgram, k: int) -> Any:
    """Variables of others in follower `k`'s rows, and in products of its objective with its own; indices."""
    level, mine = program.followers[k], program.owned(k)
    used = np.zeros(program.size, bool)
    used[level.rows.matrix.tocoo().coords[1][level.rows.matrix.tocoo().data != 0]] = True
    for form in level.rows.quadratic.values():
        used[np.concatenate(form.tocoo().coords)] = True
    if level.objective.quadratic is not None:
        dense = level.objective.quadratic.toarray()
        used |= np.abs((dense + dense.T)[mine]).sum(0) > 0
    used[mine] = False
    return np.flatnonzero(used)


def _products(program: BilevelProgram, k: int) -> bool:
    """Whether follower `k`'s objective multiplies its own variables by others'."""
    form, mine = program.followers[k].objective.quadratic, program.owner == k
    if form is None:
        return False
    dense = form.toarray() + form.toarray().T
    return bool(np.abs(dense[np.ix_(mine, ~mine)]).max(initial=0.0) > 0)


def definite(program: BilevelProgram, k: int) -> bool:
    """Whether follower `k`'s objective is strictly convex in its own continuous variables: its response is unique."""
    form, mine = program.followers[k].objective.quadratic, program.owned(k)
    if form is None or program.integer[mine].any():
        return False
    dense = program.followers[k].objective.sign * form.toarray()[np.ix_(mine, mine)]
    values = np.linalg.eigvalsh(dense + dense.T)
    return bool(values[0] > DEFINITE * abs(values[-1]))


def pessimistic(program: BilevelProgram) -> Pessimistic:
    """The optimistic program with adversaries that has the pessimistic optimum of `program`; see the module for the proof.

    Raises
    ------
    Refused
        ``pessimistic``, with what stands in the way.
    """
    refusal = pessimistic_refusal(program)
    if refusal is not None:
        raise refusal.error()
    if all(definite(program, k) for k in range(len(program.followers))):
        return Pessimistic(program, replace(program, ties="optimistic"), (), np.arange(program.size))
    return _Assembly(program).finished()


class _Assembly:
    """Columns of the target: those of the program (followers' ones become the answer), then one set of copies per adversary."""

    def __init__(self, program: BilevelProgram) -> None:
        self.program = program
        self.kept = [k for k in range(len(program.followers)) if program.kind(k) == "QP" or _falls_for_ever(program, k)]
        self.mine = np.flatnonzero(program.owner >= 0)
        self.tasks = self._tasks()
        self.size = program.size + len(self.tasks) * len(self.mine)

    def _tasks(self) -> list[tuple[str, int, int]]:
        """(what it is against, row or -1, +1: raise it, -1: lower it)."""
        leader = self.program.leader
        dense = leader.rows.matrix.toarray()[:, self.mine]
        tasks = [("the objective", -1, int(leader.objective.sign))]
        for i in range(len(leader.rows)):
            form = leader.rows.quadratic.get(i)
            if not dense[i].any() and (form is None or (not form.toarray()[self.mine].any() and not form.toarray()[:, self.mine].any())):
                continue
            both = np.isfinite(leader.rows.lower[i]) and np.isfinite(leader.rows.upper[i])
            for side, limit in ((1, leader.rows.upper[i]), (-1, leader.rows.lower[i])):
                if np.isfinite(limit):
                    tasks.append((f"{leader.rows.names[i]}{', at most' if both and side > 0 else ', at least' if both else ''}", i, side))
        return tasks

    def placed(self, task: int) -> Any:
        """For each variable of the program its column when adversary `task` answers; [n]."""
        places = np.arange(self.program.size)
        places[self.mine] = self.program.size + task * len(self.mine) + np.arange(len(self.mine))
        return places

    def _row(self, vector: Any, places: Any) -> Array:
        found = np.zeros(self.size)
        np.add.at(found, places, np.asarray(vector, float))
        return found

    def _form(self, form: Any, places: Any) -> Any:
        from scipy import sparse

        if form is None:
            return None
        i, j = form.tocoo().coords
        a, b = places[i], places[j]
        return sparse.csr_array((form.tocoo().data, (np.minimum(a, b), np.maximum(a, b))), shape=(self.size, self.size))

    def _objective(self, objective: Objective, places: Any, sense: Sense | None = None) -> Objective:
        return Objective(sense or objective.sense, self._row(objective.linear, places), self._form(objective.quadratic, places), objective.constant)

    def _stack(self, names: list[str], rows: list[Array], lower: list[float], upper: list[float], quadratic: dict[int, Any] | None = None) -> Rows:
        from scipy import sparse

        matrix = sparse.csr_array(np.array(rows).reshape(-1, self.size))
        return Rows(tuple(names), matrix, np.array(lower, float), np.array(upper, float), quadratic or {})

    def finished(self) -> Pessimistic:
        program = self.program
        owner = np.full(self.size, -1)
        for at, k in enumerate(self.kept):
            owner[program.owned(k)] = at
        for task in range(len(self.tasks)):
            owner[self.placed(task)[self.mine]] = len(self.kept) + task
        source = np.concatenate([np.arange(program.size), *([self.mine] * len(self.tasks))])
        names = [f"{program.names[j]} (answer)" if program.owner[j] >= 0 else program.names[j] for j in range(program.size)]
        names += [f"{program.names[j]} (worst for {against})" for against, _, _ in self.tasks for j in self.mine]
        kept = tuple(
            replace(program.followers[k], objective=self._objective(program.followers[k].objective, np.arange(program.size)), rows=self._own_rows(k))
            for k in self.kept
        )
        adversaries = tuple(self._adversary(task) for task in range(len(self.tasks)))
        target = BilevelProgram(
            names=tuple(names), owner=owner, lower=program.lower[source], upper=program.upper[source], integer=program.integer[source],
            leader=self._leader(), followers=(*kept, *adversaries), name=f"{program.name}, ties against the leader", source=program.source,
        )  # fmt: skip
        return Pessimistic(program, target, tuple(against for against, _, _ in self.tasks), self.placed(0))

    def _own_rows(self, k: int) -> Rows:
        level, here = self.program.followers[k], np.arange(self.program.size)
        dense = level.rows.matrix.toarray()
        return self._stack(list(level.rows.names), [self._row(r, here) for r in dense], list(level.rows.lower), list(level.rows.upper))

    def _leader(self) -> Level:
        program, leader, here = self.program, self.program.leader, np.arange(self.program.size)
        names, rows, lower, upper, quadratic = list[str](), list[Array](), list[float](), list[float](), dict[int, Any]()
        dense = leader.rows.matrix.toarray()
        concerned = {i for _, i, _ in self.tasks}
        places = [(leader.rows.names[i], i, here, leader.rows.lower[i], leader.rows.upper[i]) for i in range(len(leader.rows)) if i not in concerned]
        for task, (against, i, side) in enumerate(self.tasks):
            if i >= 0:
                low, high = (-np.inf, leader.rows.upper[i]) if side > 0 else (leader.rows.lower[i], np.inf)
                places.append((against, i, self.placed(task), low, high))
        for name, i, where, low, high in places:
            if i in leader.rows.quadratic:
                quadratic[len(rows)] = self._form(leader.rows.quadratic[i], where)
            names.append(name)
            rows.append(self._row(dense[i], where))
            lower.append(low)
            upper.append(high)
        for k, level in enumerate(program.followers):
            if k in self.kept:
                continue
            for name, row, low, high in zip(level.rows.names, level.rows.matrix.toarray(), level.rows.lower, level.rows.upper):
                names.append(f"{level.name}: {name}")
                rows.append(self._row(row, here))
                lower.append(low)
                upper.append(high)
        return Level(leader.name, self._objective(leader.objective, self.placed(0)), self._stack(names, rows, lower, upper, quadratic))

    def _adversary(self, task: int) -> Level:
        program, (against, i, side), there = self.program, self.tasks[task], self.placed(task)
        here = np.arange(program.size)
        names, rows, lower, upper = list[str](), list[Array](), list[float](), list[float]()
        for k, level in enumerate(program.followers):
            several = f"{level.name}: " if len(program.followers) > 1 else ""
            for name, row, low, high in zip(level.rows.names, level.rows.matrix.toarray(), level.rows.lower, level.rows.upper):
                names.append(several + name)
                rows.append(self._row(row, there))
                lower.append(low)
                upper.append(high)
            own = np.where(program.owner == k, level.objective.sign * level.objective.linear, 0.0)
            if own.any():
                names.append(f"{several}no worse than the answer")
                rows.append(self._row(own, there) - self._row(own, here))
                lower.append(-np.inf)
                upper.append(0.0)
            for name, row in self._curved_rows(k):
                names.append(several + name)
                rows.append(self._row(row, there) - self._row(row, here))
                lower.append(0.0)
                upper.append(0.0)
        sense: Sense = "max" if side > 0 else "min"
        if i < 0:
            objective = self._objective(program.leader.objective, there, sense)
        else:
            form = self._form(program.leader.rows.quadratic.get(i), there)
            objective = Objective(sense, self._row(program.leader.rows.matrix.toarray()[i], there), form)
        return Level(f"adversary of {against}", objective, self._stack(names, rows, lower, upper))

    def _curved_rows(self, k: int) -> list[tuple[str, Array]]:
        """Rows of Q, for Qy = Q(answer)."""
        form = self.program.followers[k].objective.quadratic
        if form is None or self.program.kind(k) != "QP":
            return []
        dense = form.toarray() + form.toarray().T
        return [(f"same slope in {self.program.names[j]}", dense[j]) for j in self.program.owned(k) if dense[j].any()]


def _falls_for_ever(program: BilevelProgram, k: int) -> bool:
    """Whether follower `k`'s objective falls along a direction of its rows and bounds, the same for every leader decision."""
    return recession(follower_program(program, k, np.zeros(program.size))) is not None
