"""Figures: of a comparison (re-exported), of a solution: a learner's iterations or a follower's response, of a policy pair.

Every function returns a Matplotlib `Figure` that belongs to the caller; pyplot is not used and nothing global changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stackopt.comparison.drawing import INK, look, panels, plain, title
from stackopt.comparison.figures import error_figure, performance_figure, regret_figure, residual_figure
from stackopt.display import number
from stackopt.plot_response import response_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stackopt.games.profile import Profile
    from stackopt.games.stackelberg import StackelbergGame
    from stackopt.solution import Solution

__all__ = ["error_figure", "performance_figure", "policy_figure", "regret_figure", "residual_figure", "response_figure", "solution_figure"]

#: Histories of populations that are residuals: exploitability relative to uniform policies', and the gap of the statistics.
RESIDUALS = {"relative": "exploitability, relative to uniform policies'", "gap": "gap of the statistics"}
#: Histories that are neither residuals nor values.
NOT_DRAWN = ("seconds", "temperature")
#: Probabilities are printed in the heat map up to this many rows; above, the colours alone would have to be read.
PRINTED_ROWS = 60


def policy_figure(game: StackelbergGame, profile: Profile) -> Figure:
    """Both policies as heat maps with their probabilities printed: a row per state, a column per action.

    A leader that does not see the state has one row per observation.

    Parameters
    ----------
    game : StackelbergGame
        A single game of at most `PRINTED_ROWS` states.
    profile : Profile

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    InvalidGame
        If the game is a batch or has too many states to print.
    InvalidCandidate
        If the policies do not fit the game.
    MissingPackage
        If Matplotlib is not installed.
    """
    import numpy as np

    from stackopt.errors import InvalidGame
    from stackopt.games.certify import policies

    if game.batch:
        raise InvalidGame("batch", what="a policy figure shows a single game")
    S, A, B = game.shape
    if S > PRINTED_ROWS:
        raise InvalidGame("too-large", what=f"a policy figure prints at most {PRINTED_ROWS} states; this game has {S}", help="print the rows of interest")
    leader, follower = policies(game, profile)
    states = list(game.states or (f"state {s}" for s in range(S)))
    first = np.unique(game.observations, return_index=True)[1]
    widths = (1.5 + 0.55 * A, 1.5 + 0.55 * B)
    figure, axes = panels(2, feature="a figure", width=max(sum(widths) / 2, 3.2), height=1.1 + 0.3 * S)
    _heat(axes[0], leader[first], list(game.observation_names()), game.leader_actions, A, "leader plays")
    _heat(axes[1], follower, states, game.follower_actions, B, "follower plays")
    return figure


def _heat(ax: Axes, policy: Any, rows: list[str], actions: Any, count: int, name: str) -> None:
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap

    ax.imshow(policy, cmap=LinearSegmentedColormap.from_list("probability", ["#ffffff", "#0072b2"]), vmin=0.0, vmax=1.0, aspect="auto")
    ax.grid(False)
    columns = [plain(a) for a in actions or map(str, range(count))]
    long = max(map(len, columns)) > 6
    ax.set_xticks(range(count), columns, rotation=35 if long else 0, ha="right" if long else "center", fontsize=8.5)
    ax.set_yticks(range(len(rows)), [plain(row) for row in rows], fontsize=8.5)
    ax.tick_params(length=0)
    for (i, j), p in np.ndenumerate(policy):
        ax.text(j, i, f"{p:.2f}".removeprefix("0") if 0.005 <= p < 0.995 else f"{round(p)}", ha="center", va="center", fontsize=8,
                color="#ffffff" if p > 0.55 else INK)  # fmt: skip
    title(ax, name)


def solution_figure(solution: Solution[Any], variable: Any = None) -> Figure:
    """What there is to see of a solution: of a bilevel program the response curve (`response_figure`), else the iterations.

    Iterations are residual and the leader's two values: under the method's own follower, and certified where it was kept.

    Parameters
    ----------
    solution : Solution
        Of a bilevel program, or of a learner; its `history` has one entry per iteration.
    variable : str or object, optional
        Of a bilevel program: the leader variable to move.

    Returns
    -------
    matplotlib Figure
        With a note instead of lines when the method kept no history. The certified value of the answer is a horizontal line.

    Raises
    ------
    MissingPackage
        If Matplotlib is not installed.
    """
    import numpy as np

    if hasattr(solution.problem, "followers"):
        return response_figure(solution, variable)
    figure, (left, right) = panels(2, feature="a figure", width=4.4, height=3.4)
    residuals = {k: np.asarray(v, float) for k, v in solution.history.items() if "residual" in k or k in RESIDUALS}
    values = {k: np.asarray(v, float) for k, v in solution.history.items() if k not in residuals and k not in NOT_DRAWN and np.ndim(v) == 1}
    title(left, "residual")
    title(right, "leader's value")
    for ax in (left, right):
        ax.set_xlabel("iteration")
    for i, (name, y) in enumerate(residuals.items()):
        left.plot(np.arange(y.size), np.where(y > 0, y, np.nan), label=RESIDUALS.get(name, name), markevery=max(1, y.size // 6), **look(i))
    if residuals:
        left.set_yscale("log")
        left.legend(fontsize=8.5, frameon=False, labelcolor=INK)
    else:
        left.text(0.5, 0.5, "no residuals were kept", ha="center", transform=left.transAxes, color=INK)
    for i, (name, y) in enumerate(values.items()):
        right.plot(np.arange(y.size), y, label="under its own follower" if name == "value" else name, markevery=max(1, y.size // 6), **look(i))
    if solution.candidate is not None and np.ndim(solution.value) == 0:
        style = look(len(values))
        right.axhline(float(solution.value), color=style["color"], linestyle=style["linestyle"], label=f"certified: {number(solution.value)}")
    if right.get_legend_handles_labels()[0]:
        right.legend(fontsize=8.5, frameon=False, labelcolor=INK)
    return figure
