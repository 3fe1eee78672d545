r"""N followers in the place of a continuum: simulated, and held against what the theory says of their number (theory B10).

Followers of a type and state are alike, so their next states are drawn together, by multinomials: a step costs the same for a hundred
followers and for a million. What a single deviator gains is not simulated but computed: where rewards are affine in the population and
transitions free of it, the others' law given its own history is known, and its problem is a Markov decision process of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.bounds import population as bounds
from stackopt.certificate import Bound, Examination
from stackopt.display import Block, number
from stackopt.errors import InvalidMethod
from stackopt.games.mean_field import operators
from stackopt.games.mean_field.certify import parts
from stackopt.games.mean_field.dynamics import Exploited, answer, exploitability, policy_value
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.laws import law
from stackopt.games.mean_field.memory import require
from stackopt.games.mean_field.population import Population
from stackopt.games.operators import Array
from stackopt.solution import Progress, Report

#: Periods simulated of a cyclic horizon, by default.
PERIODS = 20
#: Standard errors allowed for in a comparison with a simulated mean.
ERRORS = 3.0


@dataclass(frozen=True, eq=False, repr=False)
class FinitePopulation:
    """What N followers do, for several N.

    Attributes
    ----------
    game : MeanFieldStackelbergGame
    followers : int array [n]
        N.
    law_error, law_standard_error : array [n]
        Distance of the followers' law to the mean field, 1-norm averaged over types by weight: its mean over runs at the stage
        where that is largest.
    value_error, value_standard_error : array [n]
        Average reward of a follower minus that of the mean field: per stage (cyclic horizons) or summed over stages (finite ones),
        averaged over types by weight.
    deviation : array [n]
        What one follower gains by its best own-state policy while all others keep theirs, in the same unit, averaged over types and
        starts; NaN where the reduction does not hold.
    mean_field_deviation : float
        The same in the mean field: the exploitability.
    law_bounds, value_bounds, deviation_bounds : tuple of Bound
        On the three, for each N.
    runs, stages : int
        Simulated.
    seed : int
    """

    game: MeanFieldStackelbergGame
    followers: np.ndarray
    law_error: Array
    law_standard_error: Array
    value_error: Array
    value_standard_error: Array
    deviation: Array
    mean_field_deviation: float
    law_bounds: tuple[Bound, ...]
    value_bounds: tuple[Bound, ...]
    deviation_bounds: tuple[Bound, ...]
    runs: int
    stages: int
    seed: int

    def examinations(self) -> tuple[Examination, ...]:
        """Every measurement against its bound; simulated ones with `ERRORS` standard errors of slack."""
        found = []
        for i in range(len(self.followers)):
            found += [
                Examination(float(self.law_error[i]), self.law_bounds[i], ERRORS * float(self.law_standard_error[i])),
                Examination(float(abs(self.value_error[i])), self.value_bounds[i], ERRORS * float(self.value_standard_error[i])),
                Examination(float(self.deviation[i]), self.deviation_bounds[i], 1e-9),
            ]
        return tuple(found)

    def slope(self, of: str = "law_error") -> float:
        """Fitted exponent of N in ``"law_error"`` (theory: -1/2) or ``"deviation"`` beyond the mean field's (theory: -1)."""
        y = self.deviation - self.mean_field_deviation if of == "deviation" else self.law_error
        good = y > 0
        if good.sum() < 2:
            return float("nan")
        return float(np.polyfit(np.log(self.followers[good]), np.log(y[good]), 1)[0])

    def block(self) -> Block:
        """The printed form: a row for each N, measured and predicted."""
        rows = [("N", f"{'law':>9} {'s.e.':>8} {'at most':>9} | {'value':>10} {'s.e.':>8} {'at most':>9} | {'deviator':>9} {'at most':>9}")]
        for i, N in enumerate(self.followers):
            most = [b.value if b.applies else float("nan") for b in (self.law_bounds[i], self.value_bounds[i], self.deviation_bounds[i])]
            rows.append((f"{N:,}", (
                f"{self.law_error[i]:9.2e} {self.law_standard_error[i]:8.1e} {most[0]:9.2e} | {self.value_error[i]:10.2e} "
                f"{self.value_standard_error[i]:8.1e} {most[1]:9.2e} | {self.deviation[i]:9.2e} {most[2]:9.2e}"
            )))  # fmt: skip
        exponents = f"N ** {number(self.slope(), 3)} (law, theory -1/2), N ** {number(self.slope('deviation'), 3)} (deviator beyond the mean field, theory -1)"
        rows.append(("fitted", exponents))
        for name, some in (("law", self.law_bounds), ("value", self.value_bounds), ("deviator", self.deviation_bounds)):
            if not some[0].applies:
                rows.append((name, f"no bound: {some[0].because}"))
        violated = sum(e.verdict == "violated" for e in self.examinations())
        title = f'{len(self.followers)} sizes of "{self.game.name}": {violated} bounds violated, {self.runs} runs of {self.stages} stages, seed {self.seed}'
        return Block(title, tuple(rows), good=not violated)

    def __repr__(self) -> str:
        return self.block().text()

    def _repr_html_(self) -> str:
        return self.block().html()


def finite_population(
    game: MeanFieldStackelbergGame,
    population: Population,
    followers: Sequence[int] = (100, 1_000, 10_000, 100_000, 1_000_000),
    *,
    runs: int = 64,
    periods: int = PERIODS,
    seed: int = 0,
    report: Report | None = None,
) -> FinitePopulation:
    """Let N followers play the policy of `population`, and measure how far they are from the mean field.

    Parameters
    ----------
    game : MeanFieldStackelbergGame
    population : Population
        Its policy and decision; the law is recomputed.
    followers : sequence of int
        N; shared among types by weight, the largest remainders rounded up.
    runs : int
        Independent repetitions, at least 2.
    periods : int
        Simulated of a cyclic horizon; followers start independently from its law.
    seed : int
    report : callable, optional

    Raises
    ------
    InvalidMethod
        ``setting``: fewer followers than types, fewer than two runs.
    InvalidCandidate
        If the population does not fit the game.
    Refused
        ``memory``, before anything is allocated.

    Examples
    --------
    >>> import numpy as np, stackopt as so
    >>> from stackopt.games.mean_field.finite_population import finite_population
    >>> crowd = so.MeanFieldStackelbergGame(                       # two places, and nobody likes company
    ...     so.Stationary(discount=0.9), reward=np.zeros((2, 2)), transition=np.full((2, 2, 2), 0.5), reward_population=-np.eye(2)[:, None].repeat(2, 1))
    >>> found = finite_population(crowd, so.solve(crowd, so.Exact()).candidate, (100, 10_000), runs=32)
    >>> [e.verdict for e in found.examinations()]
    ['holds', 'holds', 'holds', 'holds', 'holds', 'holds']
    """
    sizes = np.asarray(followers)
    K, T, S, B = game.shape
    if sizes.ndim != 1 or sizes.size == 0 or sizes.dtype.kind not in "iu" or (sizes < K).any():
        raise InvalidMethod("setting", name="followers", law=f"whole numbers of at least {K}, one follower of each type", got=repr(followers))
    for name, value, least in (("runs", runs, 2), ("periods", periods, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InvalidMethod("setting", name=name, law=f"a whole number of at least {least}", got=repr(value))
    theta, policy, begun = parts(game, population)
    induced = law(game, policy, theta, begun)
    stages = T * periods if game.cyclic else T
    require(8 * runs * K * S * B * (S + 4), "a simulation", where=f"runs * K * S * B * S = {runs} * {K} * {S} * {B} * {S} float64")
    model = _Model(game, theta, policy, induced.mean_field, induced.y)
    mean_field = exploitability(game, policy, theta, induced.mean_field)
    table = []
    for i, N in enumerate(sizes):
        if report:
            report(Progress("sizes of the population", i, len(sizes)))
        counts = shares(game.weights, int(N))
        errors, rewards = model.simulate(counts, runs, stages, np.random.default_rng([seed, i]))
        table.append((*model.law(errors), *model.value(rewards), *model.deviator(counts, mean_field), model.law_bound(counts)))
    law_error, law_se, off, off_se, gain, value_bound, gain_bound, law_bound = zip(*table)
    return FinitePopulation(
        game, sizes, np.array(law_error), np.array(law_se), np.array(off), np.array(off_se), np.array(gain), mean_field.total, tuple(law_bound),
        tuple(value_bound), tuple(gain_bound), runs, stages, seed,
    )  # fmt: skip


def shares(weights: Array, followers: int) -> np.ndarray:
    """Followers of each type [K]: N times its weight, the largest remainders rounded up, at least one each."""
    ideal = weights * followers
    counts = np.floor(ideal).astype(np.int64)
    counts[np.argsort(counts - ideal, kind="stable")[: followers - int(counts.sum())]] += 1
    while (counts < 1).any():
        counts[counts.argmax()] -= 1
        counts[counts.argmin()] += 1
    return counts


@dataclass(frozen=True, eq=False)
class _Model:
    """A game, a decision, a policy, and the mean field they bring about."""

    game: MeanFieldStackelbergGame
    theta: Array
    policy: Array
    mean_field: Array
    y: Array

    def simulate(self, counts: np.ndarray, runs: int, stages: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """(distance of the law to the mean field, average reward), [runs, stages] each."""
        game = self.game
        K, T, _, _ = game.shape
        here = np.stack([rng.multinomial(counts[k], _normalised(self.mean_field[k, 0]), size=runs) for k in range(K)], axis=1)  # [runs, K, S]
        errors, rewards = np.empty((runs, stages)), np.empty((runs, stages))
        share = counts / counts.sum()
        fixed = self._rows(self.y) if game.kernel_is_fixed else None
        for n in range(stages):
            t = n % T
            errors[:, n] = np.abs(here / counts[:, None] - self.mean_field[:, t]).sum(-1) @ game.weights
            acting = np.stack([rng.multinomial(here[:, k], _normalised(self.policy[k, t])) for k in range(K)], axis=1)  # [runs, K, S, B]
            flows = np.moveaxis(acting / counts[:, None, None], 0, 1)  # [K, runs, S, B]: runs stand where stages do
            y = self._statistics(flows, share, t)
            earned = game.rewards(y, self.theta, np.full(runs, t))
            rewards[:, n] = game.weights @ (flows * earned).sum((-1, -2))
            if n + 1 < stages:
                here = self._move(acting, t, y, fixed, rng)
        return errors, rewards

    def _statistics(self, flows: Array, share: Array, t: int) -> Array:
        """y [runs, J] of masses [K, runs, S, B] at stage t."""
        statistic = self.game.statistic
        if not isinstance(statistic, str) and statistic.shape[1] > 1:
            statistic = statistic[:, t : t + 1]
        y: Array = operators.aggregate(flows, share, statistic)
        return y

    def _rows(self, y: Array) -> Array:
        """Probabilities [K, T, S, B, S] at statistics y [T, J]."""
        K, T, S, B = self.game.shape
        return _normalised(np.broadcast_to(self.game.kernel(y, self.theta).dense(), (K, T, S, B, S)))

    def _move(self, acting: np.ndarray, t: int, y: Array, fixed: Array | None, rng: np.random.Generator) -> np.ndarray:
        runs, K, S, B = acting.shape
        if fixed is not None:
            return np.stack([rng.multinomial(acting[:, k], fixed[k, t]).sum((1, 2)) for k in range(K)], axis=1)
        after = np.empty((runs, K, S), np.int64)
        for run in range(runs):
            rows = self.game.kernel(y[run : run + 1], self.theta, np.array([t])).dense()
            rows = _normalised(np.broadcast_to(rows, (K, 1, S, B, S)))[:, 0]
            after[run] = rng.multinomial(acting[run], rows).sum((1, 2))
        return after

    def law(self, errors: Array) -> tuple[float, float]:
        """(largest mean over stages, its standard error)."""
        means = errors.mean(0)
        worst = int(means.argmax())
        return float(means[worst]), float(errors[:, worst].std(ddof=1) / np.sqrt(len(errors)))

    def value(self, rewards: Array) -> tuple[float, float]:
        """(difference of a follower's average reward to the mean field's, standard error)."""
        by_stage = self._stages(rewards.shape[1])
        flows = operators.flow(self.mean_field, self.policy)
        earned = self.game.weights @ (flows * self.game.rewards(self.y, self.theta)).sum((-1, -2))  # [T]
        total = rewards @ by_stage
        expected = float(by_stage @ np.resize(earned, rewards.shape[1]))
        return float(total.mean()) - expected, float(total.std(ddof=1) / np.sqrt(len(total)))

    def _stages(self, count: int) -> Array:
        """What each stage counts for."""
        game = self.game
        return np.full(count, 1.0 / count) if game.cyclic else np.power(game.discount, np.arange(count, dtype=float))

    @property
    def _uncovered(self) -> str:
        game = self.game
        if callable(game.reward):
            return "rewards are a callable"
        return "" if game.kernel_is_fixed else "transitions depend on the population or the leader, or are a callable"

    def deviator(self, counts: np.ndarray, mean_field: Exploited) -> tuple[float, Bound, Bound]:
        """(gain of one follower's best own-state policy among N, bound on the error of values, bound on the gain)."""
        game, why_not = self.game, self._uncovered
        unit = 1.0 if game.cyclic else float(self._stages(game.shape[1]).sum())
        residual = mean_field.law.residual
        if why_not:
            nothing = bounds.value_error(np.nan, unit, why_not=why_not), bounds.exploitability(mean_field.total, np.nan, unit, why_not=why_not)
            return float("nan"), *nothing
        shift = self._shift(counts)
        reward, kernel = game.rewards(self.y, self.theta) + shift, game.kernel(self.y, self.theta)
        best = answer(reward, kernel, game.discount, cyclic=game.cyclic, start=mean_field.answer.value if game.cyclic else None)
        own = policy_value(operators.policy_average(self.policy, reward), kernel, self.policy, game.discount, cyclic=game.cyclic, start=best.value)
        gain = (self.mean_field * (best.value - own)).sum(-1)  # [K, T]
        by_type = (1.0 - game.discount) * gain.mean(-1) if game.cyclic else gain[:, 0]
        change = float(np.abs(shift).max())
        return (
            float(game.weights @ by_type),
            bounds.value_error(change, unit, residual=residual),
            bounds.exploitability(mean_field.total, change, unit, residual=residual),
        )  # fmt: skip

    def _shift(self, counts: np.ndarray) -> Array:
        """What a follower's own share, and the rounding of shares, change in its expected reward [K, T, S, B]."""
        game = self.game
        K, T, S, B = game.shape
        if game.reward_population is None:
            return np.zeros((K, T, S, B))
        N, flows = counts.sum(), operators.flow(self.mean_field, self.policy)
        found = np.empty((K, T, S, B))
        for k in range(K):
            others = counts.astype(float)
            others[k] -= 1.0
            mean = operators.aggregate(flows, others / N, game.statistic)  # [T, J] of all others
            slopes = np.broadcast_to(game.reward_population, (K, T, S, B, game.statistics))[k]
            own = _own_statistic(game, k) / N
            found[k] = (slopes * (own + mean[:, None, None, :] - self.y[:, None, None, :])).sum(-1)
        return found

    def law_bound(self, counts: np.ndarray) -> Bound:
        """B10.1, or B10.4 where the population moves transitions and theory covers it."""
        game = self.game
        if game.kernel_is_fixed:
            each = [bounds.law_error(self.mean_field[k, t], int(counts[k])).value for k, t in np.ndindex(*game.shape[:2])]
            worst = float((game.weights @ np.reshape(each, game.shape[:2])).max())
            first = bounds.law_error(self.mean_field[0, 0], int(counts[0]))
            return Bound(worst, first.of, first.reference, first.assumptions)
        return _propagation(game, self.theta, self.policy, int(counts.sum()))


def _propagation(game: MeanFieldStackelbergGame, theta: Array, policy: Array, followers: int) -> Bound:
    """B10.4 of one type whose transitions are affine in the distribution of states, under the policy."""
    from stackopt.bounds.lipschitz import dobrushin

    K, T, S, _ = game.shape
    if K != 1 or T != 1 or game.statistic != "states" or callable(game.transition) or game.transition_population is None:
        return bounds.propagation(np.inf, 0.0, S, followers)
    corners = np.stack([
        (policy[0, 0, :, :, None] * game.kernel(np.eye(S)[j : j + 1], theta).dense()[0, 0]).sum(1) for j in range(S)
    ])  # [J, S, S]: the policy's chain in a population that sits in state j  # fmt: skip
    mixing = max(dobrushin(rows) for rows in corners)
    sway = 0.5 * float(np.abs(corners[:, None] - corners[None]).sum(-1).max())
    return bounds.propagation(mixing, sway, S, followers)


def _own_statistic(game: MeanFieldStackelbergGame, k: int) -> Any:
    """H of one type, [1 or T, S, B, J]."""
    _, _, S, B = game.shape
    if isinstance(game.statistic, str):
        if game.statistic == "states":
            return np.broadcast_to(np.eye(S)[None, :, None, :], (1, S, B, S))
        return np.eye(S * B).reshape(1, S, B, S * B)
    return game.statistic[min(k, len(game.statistic) - 1)]


def _normalised(rows: Array) -> Array:
    """Probabilities that sum to at most 1 in floating point, which the sampler insists on."""
    rows = np.maximum(rows, 0.0)
    scaled: Array = rows / rows.sum(-1, keepdims=True)
    return scaled
