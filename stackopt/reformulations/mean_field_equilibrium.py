r"""Equilibria of a continuum of followers as a mixed-integer linear program, with or without a leader's decision  [D5].

Columns: masses :math:`m_{kt}(s,b)`, values :math:`V_{kt}(s)`, statistics :math:`y_{tj}`, binary :math:`\zeta_{kt}(s,b)`, "may be played".

.. math::
    \sum_bm_{k,t+1}(s',b)=\sum P_{kt}(s'|s,b)m_{kt}(s,b),\quad \sum m_{kt}=1,\quad y_{tj}=\sum_kw_k\langle m_{kt},H_{kt,j}\rangle\\
    0\le V_{kt}(s)-r_0-R_1y_t-R_2\theta-\gamma P_{kt}V_{k,t+1}\le M(1-\zeta),\qquad m\le\zeta,\qquad \textstyle\sum_b\zeta\ge1

The last stage of a cyclic horizon is followed by the first; a finite one begins at its initial law and ends with V = 0. V is at least
every optimal value, and on the support of m, which the used actions do not leave, it is the value of what is played: so the played
actions are optimal there. Conversely the optimal values satisfy every row. M is the exact range of the row over proven ranges of V.

The leader's decision enters rewards linearly. From a menu it is picked by binaries u, and products of u with the masses it is paid
for are exact: one copy of the sums per point, zero where the point is not picked. From a box or a simplex it is a
continuous column; a leader that is paid in proportion to it would multiply two unknowns and is refused, unless all masses of a stage
pay the same: they sum to 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from stackopt.games.mean_field.leaders import Box, Menu, Policies
from stackopt.games.operators import Array
from stackopt.programs.milp import Ints, Milp, MilpBuilder
from stackopt.reformulations.mean_field_arrays import AffineFollowers


@dataclass(frozen=True, eq=False)
class Masses:
    """A solution of the program, or an equilibrium found elsewhere.

    Attributes
    ----------
    theta : array [D]
    flow : array [K, T, S, B]
        Masses of states and actions.
    played : bool array [K, T, S, B]
        Actions that may be played.
    """

    theta: Array
    flow: Array
    played: np.ndarray


@dataclass(frozen=True, eq=False)
class EquilibriumProgram:
    """The program, with the way back to equilibria.

    Attributes
    ----------
    milp : Milp
        Its optimum is the leader's best value over all equilibria (of the fixed-point concept: in which its decision is also best
        against the population), times `sign`.
    followers : AffineFollowers
    mass, played : int array [K, T, S, B]
        Columns m and zeta.
    value : int array [K, T, S]
        Columns V.
    statistics : int array [T, J]
        Columns y.
    theta : int array [D] or None
        Columns of the decision, where it is not fixed.
    slack : int array [K, T, S, B]
        Rows "V is at least what the action earns"; each is followed by the one that makes it tight where the action is played.
    flow : int array [K, T, S]
        Rows that carry masses to the state from the stage before; -1 where there is none.
    sign : float
        -1 where the leader's value is minimised.
    tag : str
    """

    milp: Milp
    followers: AffineFollowers
    mass: Ints
    played: Ints
    value: Ints
    statistics: Ints
    theta: Ints | None
    slack: Ints
    flow: Ints
    sign: float = 1.0
    tag: str = "D5"

    def lift(self, point: Array) -> Masses:
        """The masses of a solution vector; a decision is projected on the leader's set."""
        fixed = self.followers.theta
        theta = fixed if fixed is not None else self.followers.game.leader.project(point[self.theta])  # type: ignore[union-attr]
        return Masses(theta, np.maximum(point[self.mass], 0.0), point[self.played] > 0.5)

    def polished(self, point: Array, slack: float) -> Milp:
        """The integer columns of `point` rounded and fixed; actions that are not played worse by `slack`, in units of the reward."""
        whole = np.flatnonzero(self.milp.integer)
        rounded = self.milp.fixed(whole, np.round(point[whole]))
        if not slack:
            return rounded
        lower = rounded.row_lower.copy()
        lower[self.slack[point[self.played] < 0.5]] += slack
        return replace(rounded, row_lower=lower)

    def answered(self, response: object) -> Milp | None:
        """Nothing to optimise once the followers' behaviour is given."""
        return None

    def towards(self, direction: Array) -> EquilibriumProgram:
        """The same equilibria, maximising the inner product of their statistics with `direction` [T, J]."""
        objective = np.zeros(len(self.milp.columns))
        objective[self.statistics] = direction
        return replace(self, milp=replace(self.milp, objective=objective, offset=0.0))


def equilibrium_program(followers: AffineFollowers, *, sign: float = 1.0, fixed_point: bool = False, rivals: Array | None = None) -> EquilibriumProgram:
    """The program over all equilibria and, unless it is fixed, all decisions of the leader.

    Parameters
    ----------
    followers : AffineFollowers
    sign : float
        1: the leader's best equilibrium; -1: its worst (for a fixed decision).
    fixed_point : bool
        Only pairs in which no other point of the menu pays the leader more against the same masses.
    rivals : array [G, D], optional
        Of a fixed decision: the points it must be no worse than, for `fixed_point`.
    """
    game = followers.game
    m = MilpBuilder(f'equilibria of "{game.name}"')
    mass, value, y, flow = _behaviour(m, followers)
    played, slack, theta = _optimality(m, followers, mass, value, y)
    pays = sign * game.weights[:, None, None, None] * followers.leader_reward
    objective: list[tuple[Ints, Array]] = [(mass.ravel(), pays.ravel())]
    if theta is not None:
        objective += _leader(m, followers, mass, theta, sign, fixed_point)
    elif fixed_point and rivals is not None and followers.theta is not None:
        paid = _per_parameter(game.leader_reward_leader, followers)
        for g, other in enumerate(rivals):
            m.row(f"rival_{g}", mass, paid @ (other - followers.theta), upper=0.0)
    milp = m.build()
    total = np.zeros(len(milp.columns))
    for columns, coefficients in objective:
        np.add.at(total, columns, coefficients)
    return EquilibriumProgram(replace(milp, objective=total), followers, mass, played, value, y, theta, slack, flow, sign)


def _behaviour(m: MilpBuilder, followers: AffineFollowers) -> tuple[Ints, Ints, Ints, Ints]:
    """Masses that keep their law, and their statistics: columns m, V, y, and the rows of the law."""
    game, P, H = followers.game, followers.transition, followers.statistic
    K, T, S, B = game.shape
    mass = m.columns("m", (K, T, S, B), 0.0, 1.0)
    low, high = followers.value_range()
    value = m.columns("V", (K, T, S), low, high)
    least, most = followers.statistic_range()
    y = m.columns("y", least.shape, least, most)
    flow = np.full((K, T, S), -1)
    for k, t in np.ndindex(K, T):
        if game.cyclic or t == 0:
            m.row(f"mass_{k}_{t}", mass[k, t], 1.0, 1.0, 1.0)
        for s in range(S):
            if not game.cyclic and t == 0:
                m.row(f"begin_{k}_{s}", mass[k, 0, s], 1.0, game.initial[k, s], game.initial[k, s])
            elif game.cyclic or t > 0:
                before = (t - 1) % T
                columns = np.concatenate([mass[k, t, s], mass[k, before].ravel()])
                flow[k, t, s] = m.row(f"flow_{k}_{t}_{s}", columns, np.concatenate([np.ones(B), -P[k, before, :, :, s].ravel()]), 0.0, 0.0)
    for t, j in np.ndindex(*y.shape):
        measured = game.weights[:, None, None] * H[:, t, :, :, j]
        m.row(f"statistic_{t}_{j}", [y[t, j], *mass[:, t].ravel()], [-1.0, *measured.ravel()], 0.0, 0.0)
    return mass, value, y, flow


def _optimality(m: MilpBuilder, followers: AffineFollowers, mass: Ints, value: Ints, y: Ints) -> tuple[Ints, Ints, Ints | None]:
    """Only best answers are played: columns zeta, rows of the slack, columns theta."""
    game = followers.game
    K, T, S, B = game.shape
    low, high = followers.value_range()
    least = followers.reward_range()[0]
    played = m.columns("z", (K, T, S, B), 0.0, 1.0, integer=True)
    theta = _decision(m, followers) if followers.theta is None and game.parameters else None
    slack = np.empty((K, T, S, B), np.int64)
    last = T - 1 if not game.cyclic else T
    for k, t, s in np.ndindex(K, T, S):
        m.row(f"some_{k}_{t}_{s}", played[k, t, s], 1.0, lower=1.0)
        after = (t + 1) % T
        for b in range(B):
            columns, coefficients = [int(value[k, t, s])], [1.0]
            if t != last:
                columns, coefficients = [*columns, *value[k, after].tolist()], [*coefficients, *(-game.discount * followers.transition[k, t, s, b])]
            if followers.moved:
                M = float(high[k, t, s] - least[k, t, s, b] - (game.discount * low[k, after].min() if t != last else 0.0))
            else:
                M = _largest(columns, coefficients, value, low, high) - least[k, t, s, b]
            columns, coefficients = [*columns, *y[t].tolist()], [*coefficients, *(-followers.reward_population[k, t, s, b])]
            if theta is not None:
                columns, coefficients = [*columns, *theta.tolist()], [*coefficients, *(-followers.reward_leader[k, t, s, b])]
            earned, name = followers.reward[k, t, s, b], f"{k}_{t}_{s}_{b}"
            slack[k, t, s, b] = m.row(f"best_{name}", columns, coefficients, lower=earned)
            m.row(f"tight_{name}", [*columns, played[k, t, s, b]], [*coefficients, M], upper=earned + M)
            m.row(f"use_{name}", [mass[k, t, s, b], played[k, t, s, b]], [1.0, -1.0], upper=0.0)
    return played, slack, theta


def _largest(columns: list[int], coefficients: list[float], value: Ints, low: Array, high: Array) -> float:
    """The largest value of a row in V over its ranges; a column named twice is added up first."""
    first = int(value.ravel()[0])
    total: dict[int, float] = {}
    for column, coefficient in zip(columns, coefficients):
        total[column] = total.get(column, 0.0) + coefficient
    return float(sum(max(c * low.ravel()[i - first], c * high.ravel()[i - first]) for i, c in total.items()))


def _decision(m: MilpBuilder, followers: AffineFollowers) -> Ints:
    """Columns theta, within the leader's set; a menu's point is picked by binaries u."""
    leader, D = followers.game.leader, followers.game.parameters
    if isinstance(leader, Box):
        return m.columns("theta", (D,), leader.lower, leader.upper)
    if isinstance(leader, Policies):
        theta = m.columns("theta", (D,), 0.0, 1.0)
        for s, row in enumerate(theta.reshape(leader.states, leader.actions)):
            m.row(f"distribution_{s}", row, 1.0, 1.0, 1.0)
        return theta
    assert isinstance(leader, Menu)
    theta = m.columns("theta", (D,), leader.points.min(0), leader.points.max(0))
    pick = m.columns("u", (len(leader),), 0.0, 1.0, integer=True)
    m.row("pick", pick, 1.0, 1.0, 1.0)
    for d in range(D):
        m.row(f"point_{d}", [theta[d], *pick], [-1.0, *leader.points[:, d]], 0.0, 0.0)
    return theta


def _leader(m: MilpBuilder, followers: AffineFollowers, mass: Ints, theta: Ints, sign: float, fixed_point: bool) -> list[tuple[Ints, Array]]:
    """What the leader is paid in proportion to its decision, picked from a menu: (columns, objective) of exact products."""
    paid = _per_parameter(followers.leader_reward_leader, followers)
    leader = followers.game.leader
    if not paid.any():
        return []  # every decision is as good as any other against fixed masses
    if not isinstance(leader, Menu):  # masses of a stage pay alike: the caller refuses the rest
        return [(theta, sign * paid[:, :, 0, 0].sum((0, 1)))]
    D, G = len(theta), len(leader)
    pick = np.arange(G) + int(theta[-1]) + 1  # made right after theta
    per_type = followers.leader_reward_leader
    low = (followers.game.weights[:, None, None] * per_type.min((2, 3))).sum((0, 1))
    high = (followers.game.weights[:, None, None] * per_type.max((2, 3))).sum((0, 1))
    sums = m.columns("a", (G, D), np.minimum(low, 0.0), np.maximum(high, 0.0))
    for d in range(D):
        m.row(f"paid_{d}", [*sums[:, d], *mass.ravel()], [*np.ones(G), *-paid[..., d].ravel()], 0.0, 0.0)
        for g in range(G):
            m.row(f"paid_low_{g}_{d}", [sums[g, d], pick[g]], [1.0, -low[d]], lower=0.0)
            m.row(f"paid_high_{g}_{d}", [sums[g, d], pick[g]], [1.0, -high[d]], upper=0.0)
    if fixed_point:
        for g in range(G):  # what point g would pay against the same masses is no more than what the picked one pays
            m.row(f"rival_{g}", sums, np.broadcast_to(leader.points[g], (G, D)) - leader.points, upper=0.0)
    return [(sums.ravel(), sign * leader.points.ravel())]


def _per_parameter(array: Array | None, followers: AffineFollowers) -> Array:
    """w_k L_1 [K, T, S, B, D]: what the leader is paid per mass and unit of its decision."""
    game = followers.game
    L1 = np.zeros((*game.shape, game.parameters)) if array is None else np.broadcast_to(array, (*game.shape, game.parameters))
    weighted: Array = game.weights[:, None, None, None, None] * L1
    return weighted


def bilinear(followers: AffineFollowers) -> str:
    """Where the leader is paid by mass in proportion to a decision that is not picked from a menu; empty if nowhere."""
    paid = followers.leader_reward_leader
    if followers.theta is not None or isinstance(followers.game.leader, Menu) or not (differs := paid != paid[:, :, :1, :1]).any():
        return ""
    k, t, s, b, d = (int(i) for i in np.argwhere(differs)[0])
    return f"leader_reward_leader[{k}, {t}, {s}, {b}, {d}] = {paid[k, t, s, b, d]:.6g}, but {paid[k, t, 0, 0, d]:.6g} at state 0, action 0"



