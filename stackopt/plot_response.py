"""A bilevel program drawn: what the followers answer as one leader variable moves, and what the leader gets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stackopt.backends.matrix import minimise
from stackopt.bilevel.follower import respond
from stackopt.bilevel.program import BilevelProgram
from stackopt.comparison.drawing import COLOURS, GRID, INK, SOFT, look, panels, plain, title
from stackopt.display import number
from stackopt.errors import InvalidProgram
from stackopt.solution import Status

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stackopt.solution import Solution

Array = NDArray[np.float64]
#: Points at which the followers are solved, besides kinks that are known exactly and the optimum.
POINTS = 201
#: Follower variables drawn; the ones that move most.
DRAWN = 6
#: Relative violation of a leader row that counts as excluded.
EXCLUDED = 1e-6
#: How the solution is marked.
_MARK: dict[str, Any] = {
    "marker": "o", "markersize": 8, "color": "#ffffff", "markeredgecolor": INK, "markeredgewidth": 1.6, "linestyle": "none", "zorder": 6,
}  # fmt: skip


def response_figure(solution: Solution[Any], variable: Any = None) -> Figure:
    """The response curve: follower variables, and the leader's value, against one leader variable.

    Parameters
    ----------
    solution : Solution
        Of a `BilevelProgram` whose followers do not use each other's variables.
    variable : str or object, optional
        The leader variable to move; all others stay where the solution has them. May be left out when there is only one.

    Returns
    -------
    matplotlib Figure
        Dotted where a leader row excludes the response, nothing where a follower has none. With a single follower variable the band of
        its feasible values is shaded. The solution is marked. Right, unless the leader's objective uses multipliers: its value.

    Raises
    ------
    InvalidProgram
        If there are several leader variables and none is named, it is not the leader's, followers use each other's variables, or the
        solution has no candidate.
    MissingPackage
        If Matplotlib is not installed, or a follower needs a solver that is not.

    Notes
    -----
    Followers are re-solved at each point, ties broken as the solver does; at a point where ties matter the leader's value of the
    curve can be worse than the solution's.
    """
    program: BilevelProgram = solution.problem
    j = _variable(program, solution, variable)
    at = np.array(solution.candidate.values, np.float64)  # type: ignore[union-attr]
    _require_separate(program)
    followers = np.flatnonzero(program.owner >= 0)
    x = _abscissae(program, j, at)
    answers = np.array([_answers(program, j, value, at) for value in x])
    excluded = np.array([_excluded(program, answer) for answer in answers])
    moving = sorted(followers, key=lambda i: -_reach(answers[:, i]))[:DRAWN]
    shown = [int(i) for i in followers if i in moving]
    figure, axes = panels(1 if program.multipliers else 2, feature="a figure", width=4.6, height=3.6)
    left = axes[0]
    if len(followers) == 1 and not program.followers[0].rows.quadratic:
        _band(left, program, j, int(followers[0]), x, at)
    for i, together in enumerate(_alike(answers[:, shown])):
        names = [program.names[shown[k]] for k in together]
        label = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        _curve(left, x, answers[:, shown[together[0]]], excluded, label if len(shown) > 1 else "response", look(i), bool(program.integer[j]))
    left.plot([at[j]] * len(shown), at[shown], label="solution", **_MARK)
    left.set_ylabel(plain(program.names[shown[0]]) if len(shown) == 1 else "followers")
    title(left, "response" if len(shown) == len(followers) else f"response, {len(shown)} of {len(followers)} variables")
    if not program.multipliers:
        right = axes[1]
        values = np.array([program.leader.objective.value(answer) for answer in answers])
        _curve(right, x, values, excluded, "leader's value", look(0), bool(program.integer[j]))
        right.plot(at[j], float(solution.value), **_MARK)
        right.annotate(plain(number(float(solution.value))), (at[j], float(solution.value)), textcoords="offset points", xytext=(8, 8), fontsize=9, color=INK)
        title(right, "leader's value" + (", to be largest" if program.maximises else ", to be least"))
    for ax in axes:
        ax.set_xlabel(plain(program.names[j]))
        if ax.get_legend_handles_labels()[0]:
            ax.legend(fontsize=8, frameon=False, labelcolor=INK)
    return figure


def _variable(program: BilevelProgram, solution: Solution[Any], given: Any) -> int:
    if solution.candidate is None:
        raise InvalidProgram("plot", law="a solution with a candidate", where=f"{solution.status}: {solution.because}")
    mine = program.owned(-1)
    names = ", ".join(program.names[i] for i in mine[:6]) + (", ..." if len(mine) > 6 else "")
    if given is None:
        if len(mine) != 1:
            raise InvalidProgram("plot", law="one leader variable to move", where=f"the leader decides {len(mine)}: {names or 'nothing'}",
                                 help="solution.plot(variable) moves one and keeps the others")  # fmt: skip
        return int(mine[0])
    found = program.index(given)
    if np.ndim(found) != 0 or int(found) not in mine:
        raise InvalidProgram("plot", law="one leader variable to move", where=f"{given} is not one; the leader decides {names or 'nothing'}")
    return int(found)


def _require_separate(program: BilevelProgram) -> None:
    for k, level in enumerate(program.followers):
        used = set(np.unique(level.rows.matrix.tocoo().coords[1]).tolist())
        for form in (level.objective.quadratic, *level.rows.quadratic.values()):
            if form is not None:
                found = form.tocoo()
                own = program.owner[found.coords[0][found.coords[0] < program.size]] == k
                pairs = np.array(found.coords)[:, : len(own)]
                used |= set(pairs[:, (program.owner[pairs] == k).any(0)].ravel().tolist())
        others = [i for i in used if i < program.size and program.owner[i] >= 0 and program.owner[i] != k]
        if others:
            where = f"follower `{level.name}` uses `{program.names[others[0]]}` of another"
            raise InvalidProgram("plot", law="followers that do not use each other's variables", where=where,
                                 help="a response of one alone is no equilibrium of all")  # fmt: skip


def _abscissae(program: BilevelProgram, j: int, at: Array) -> Array:
    low, high = _range(program, j)
    reach = 2.0 * max(1.0, abs(float(at[j])))
    low, high = (max(low, at[j] - reach) if np.isinf(low) else low), (min(high, at[j] + reach) if np.isinf(high) else high)
    if program.integer[j]:
        whole = np.arange(np.ceil(low - 1e-9), np.floor(high + 1e-9) + 1)
        return np.asarray(whole[:: max(1, len(whole) // POINTS)], float)
    points = np.unique(np.concatenate([np.linspace(low, high, POINTS), [at[j]], _kinks(program, j, at)]))
    return points[(points >= low) & (points <= high)]


def _range(program: BilevelProgram, j: int) -> tuple[float, float]:
    """Bounds of a leader variable, tightened by all linear rows where it has none."""
    from scipy import sparse

    low, high, n = float(program.lower[j]), float(program.upper[j]), program.size
    if np.isfinite(low) and np.isfinite(high):
        return low, high
    plain_rows = [level.rows for level in program.followers if not level.rows.quadratic]
    matrix = sparse.vstack([sparse.csr_array((0, n)), *(rows.matrix[:, :n] for rows in plain_rows)], format="csr")
    sides = [np.concatenate([np.zeros(0), *(getattr(rows, side) for rows in plain_rows)]) for side in ("lower", "upper")]
    for sign in (1.0, -1.0):
        cost = np.zeros(n)
        cost[j] = sign
        found = minimise(cost, sparse.csr_array(matrix), sides[0], sides[1], program.lower, program.upper)
        if found.status is Status.OPTIMAL and found.x is not None:
            low, high = (max(low, found.x[j]), high) if sign > 0 else (low, min(high, found.x[j]))
    return float(low), float(high)


def _lines(program: BilevelProgram, j: int, y: int, at: Array) -> Iterable[tuple[float, float, float, float]]:
    """The rows of the only follower as a x + b y in [low, high], its bounds included."""
    rows, rest = program.followers[0].rows, np.array(at)
    rest[[j, y]] = 0.0
    fixed = rows.matrix[:, : program.size] @ rest
    dense = rows.matrix[:, [j, y]].toarray()
    for (a, b), shift, low, high in zip(dense, fixed, rows.lower, rows.upper):
        yield float(a), float(b), float(low - shift), float(high - shift)
    yield 0.0, 1.0, float(program.lower[y]), float(program.upper[y])


def _kinks(program: BilevelProgram, j: int, at: Array) -> Array:
    """Where two rows of a follower with a single variable cross: there its response may bend."""
    followers = np.flatnonzero(program.owner >= 0)
    if len(followers) != 1 or program.followers[0].rows.quadratic:
        return np.zeros(0)
    sides = [(a, b, side) for a, b, low, high in _lines(program, j, int(followers[0]), at) for side in (low, high) if np.isfinite(side)]
    crossings = [
        (s * d - t * b) / (a * d - c * b) for i, (a, b, s) in enumerate(sides) for c, d, t in sides[:i] if abs(a * d - c * b) > 1e-12 * (1 + abs(a * d))
    ]
    return np.array(crossings, float)


def _answers(program: BilevelProgram, j: int, value: float, at: Array) -> Array:
    """All symbols when the leader's variable is at `value`: NaN for followers without an answer. Multipliers are NaN."""
    values = np.concatenate([at, np.full(len(program.multipliers), np.nan)])
    values[j] = value
    for k in range(len(program.followers)):
        response = respond(program, k, values[: program.size])
        good = response.status is Status.OPTIMAL and response.variables is not None
        values[program.owned(k)] = response.variables if good else np.nan
    return values


def _excluded(program: BilevelProgram, symbols: Array) -> bool:
    rows = program.leader.rows
    activity = rows.activity(symbols)
    slack = EXCLUDED * (1.0 + np.abs(activity))
    return bool((activity < rows.lower - slack).any() or (activity > rows.upper + slack).any())


def _alike(answers: Array) -> list[list[int]]:
    """Columns in groups that are equal at every point: one curve each, which would otherwise hide each other."""
    groups: list[list[int]] = []
    for k in range(answers.shape[1]):
        same = next((g for g in groups if np.allclose(answers[:, k], answers[:, g[0]], rtol=1e-6, atol=1e-7, equal_nan=True)), None)
        groups.append([k]) if same is None else same.append(k)
    return groups


def _reach(values: Array) -> float:
    found = values[np.isfinite(values)]
    return float(np.ptp(found)) if found.size else 0.0


def _curve(ax: Axes, x: Array, y: Array, excluded: NDArray[np.bool_], name: str, style: dict[str, Any], whole: bool) -> None:
    if whole:
        ax.plot(x, np.where(excluded, np.nan, y), linestyle="none", marker=style["marker"], markersize=5, color=style["color"], label=name)
    else:
        ax.plot(x, np.where(excluded, np.nan, y), linewidth=2.0, markersize=4.5, markevery=max(1, len(x) // 6), label=name, **style)
    if (excluded & np.isfinite(y)).any():
        kept = excluded | np.roll(excluded, 1) | np.roll(excluded, -1)
        kept[[0, -1]] = excluded[[0, -1]]
        ax.plot(x, np.where(kept, y, np.nan), linestyle=":", linewidth=1.3, color=COLOURS[1], label="excluded by a leader row")


def _band(ax: Axes, program: BilevelProgram, j: int, y: int, x: Array, at: Array) -> None:
    low, high, there = np.full(len(x), -np.inf), np.full(len(x), np.inf), np.ones(len(x), bool)
    for a, b, row_low, row_high in _lines(program, j, y, at):
        if b == 0:
            there &= (a * x >= row_low - 1e-9) & (a * x <= row_high + 1e-9)
            continue
        ends = np.sort([(row_low - a * x) / b, (row_high - a * x) / b], axis=0)
        low, high = np.maximum(low, ends[0]), np.minimum(high, ends[1])
    there &= (low <= high + 1e-9) & np.isfinite(low) & np.isfinite(high)
    if there.any():
        ax.fill_between(x, low, high, where=there, color=GRID, alpha=0.7, linewidth=0.8, edgecolor=SOFT, label="feasible for the follower", zorder=0)
