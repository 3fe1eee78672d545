r"""A leader that knows neither what households want nor who they are: it announces tariffs, reads meters and collects revenue.

The point of He, Liu and Chen (arXiv 2509.16296): a tariff can be learned without the followers' objectives. What is needed of welfare is revealed by meters
(`energy.revealed`), what is collected is known, and only how use answers rates must be learned (`energy.metered_model`), from trials, tens of them:

1. fit the response around the best tariff so far,
2. announce the best tariff of the fitted problem within a trust region (`energy.metered_step`), read, compare measured merits, move or
   shrink the region,
3. where nothing more is promised but some direction of the rates was never tried nearby, try it.

It stops by a measured criterion, see `Learned.status`. Nothing of the model of households is read, at no point: `Accounts` has what the leader knows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stackopt.display import Block, number
from stackopt.energy.design_problem import DesignProblem
from stackopt.energy.meter import Meter, Reading
from stackopt.energy.metered_model import CURVATURE, Accounts, Fitted, fit
from stackopt.energy.metered_step import PENALTIES, Model, books_of, charged, charges, misses
from stackopt.energy.revealed import cost_bounds, cost_change
from stackopt.energy.tariff import DAYS_PER_MONTH, Tariff
from stackopt.errors import InvalidMethod, InvalidStudy
from stackopt.solution import Progress, Report, Status

Array = NDArray[np.float64]
Keep = Callable[[int, Reading], None]

#: Half-width of the box around the final tariff in which nothing more may be promised, $/kWh.
REACH = 0.02
#: Share of the response in a direction of rates that may be left to a guess at the end.
UNKNOWN = 0.05
#: Misses of limits that are accepted, in the units of `metered_step.misses`.
MET = 1e-4
#: The same where readings are noisy, two standard errors included.
MET_NOISY = 0.02
#: Trials set aside for the final tariff where readings are noisy: one to correct it by, the others of it.
CONFIRM = 4


@dataclass(frozen=True, eq=False)
class Trial:
    """One announced tariff and what was measured of it.

    Attributes
    ----------
    purpose : str
        ``"begin"``, ``"repeat"``, ``"step"``, ``"direction"`` (to learn how use answers), ``"confirm"`` or ``"refused"``.
    x : array [D], $/kWh
        Buy and sell adders by period.
    fixed : array [g], $/day
        Charges that close the books of this reading best within the limits.
    reading : Reading or None
    cost : float, $/day and household
        Measured change against the first tariff (of what is in force today, where that was read).
    missed : mapping of limit to miss
        Revenue in $ a day and household, gap in points, peak and price spread as shares of their limits.
    promised, got : float
        Change of merit against the best tariff before, predicted and measured.
    radius : float, $/kWh
    accepted : bool
    """

    purpose: str
    x: Array
    fixed: Array
    reading: Reading | None
    cost: float
    missed: dict[str, float]
    promised: float = math.nan
    got: float = math.nan
    radius: float = math.nan
    accepted: bool = False

    @property
    def miss(self) -> float:
        """All misses, in the units of `missed`."""
        return sum(self.missed.values()) if self.missed else math.nan


@dataclass(frozen=True, eq=False)
class Learned:
    """What was learned.

    Attributes
    ----------
    tariff : Tariff or None
        The best that was announced, its fixed charges closing the books as measured.
    status : Status
        CONVERGED: at the tariff itself limits are missed by at most `MET` as measured (`MET_NOISY`, with two standard errors, where readings are
        noisy); how use answers was measured, near it, in every direction in which rates may
        move (at most `UNKNOWN` of it is a guess); and by those measurements no tariff within `REACH` $/kWh promises more than `gain`, two standard errors included. A local statement about measurements. LIMIT: anything else, with the reason.
    because : str
    trials : tuple of Trial
    cost, cost_error : float, $/day and household
        Measured change of cost, against today's tariff if it was read, else against the first trial, and its standard error.
    cost_least, cost_most : float
        Between what all readings together force it (convexity; exact readings only, else NaN).
    missed, errors : mappings of limit to miss and to standard error
        Of the revenue, and of the gap where it is limited.
    promise, promise_error : float, $/day and household
        What could still be gained nearby, as far as measurements tell.
    unknown : float
        The largest share of the response left to a guess in a direction that rates can move in.
    learned_by : int
        Readings, today's included.
    """

    problem: DesignProblem
    tariff: Tariff | None
    status: Status
    because: str
    trials: tuple[Trial, ...]
    today: Reading | None
    cost: float
    cost_error: float
    cost_least: float
    cost_most: float
    missed: dict[str, float]
    errors: dict[str, float]
    promise: float
    promise_error: float
    unknown: float
    x: Array | None = None
    fixed: Array | None = None
    interrupted: bool = False

    @property
    def learned_by(self) -> int:
        """Billing periods."""
        return len(self.trials) + (self.today is not None)

    def block(self) -> Block:
        """The printed form."""
        rows = []
        if self.tariff is not None and self.x is not None and self.fixed is not None:
            P = len(self.problem.periods)
            rates = "  ".join(f"{p} {b:.4f}/{s:.4f}" for p, b, s in zip(self.problem.periods, self.x[:P], self.x[P:], strict=True))
            rows.append(("rates", f"buy/sell adders {rates} $/kWh"))
            charged = zip(self.trials[0].reading.groups if self.trials[0].reading else (), self.fixed * DAYS_PER_MONTH, strict=False)
            rows.append(("fixed", "  ".join(f"{g} {f:.2f}" for g, f in charged) + " $/month"))
            against = "today's tariff" if self.today is not None else "the first trial"
            bounds = f", surely between {self.cost_least:+.4f} and {self.cost_most:+.4f}" if math.isfinite(self.cost_most) else ""
            error = f" +- {number(2 * self.cost_error, 2)}" if self.cost_error > 0 else ""
            rows.append(("cost", f"{self.cost:+.4f}{error} $ a day and household against {against}{bounds}"))
            units = {"revenue": "$ a day and household", "gap": "points", "peak": "of the limit", "price spread": "of the limit"}
            text = "; ".join(f"{k} by {number(v, 2)}" + (f" +- {number(2 * self.errors[k], 2)}" if self.errors.get(k) else "") + f" {units[k]}"
                             for k, v in self.missed.items())  # fmt: skip
            rows.append(("missed", text))
            error = f" +- {number(2 * self.promise_error, 2)}" if self.promise_error > 0 else ""
            rows.append(("promise", f"{number(self.promise, 2)}{error} $ a day within {REACH:g} $/kWh; at most {100 * self.unknown:.0f} % of a response guessed"))
        rows.append(("stopped", f"{self.because}; {self.learned_by} billing periods"))
        return Block(f"Learned tariff: {self.status}", tuple(rows), good=self.status.success)

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__


def learn(
    problem: DesignProblem, meter: Meter, *, trials: int = 40, seed: int = 0, today: Tariff | None = None, begin: Array | None = None,
    radius: float = 0.1, gain: float = 1e-3, report: Report | None = None, earlier: Sequence[Reading] = (), keep: Keep | None = None,
) -> Learned:  # fmt: skip
    """Learn a tariff from trials.

    Parameters
    ----------
    problem : DesignProblem
        Limits, periods and bounds of the leader. Of its households only the customers by income group, incomes and weather frequencies are read.
    meter : Meter
        The world: nothing but `read` is used.
    trials : int
        The most tariffs that are announced, confirmations included.
    seed : int
        Of directions to try.
    today : Tariff, optional
        In force now: read first, for changes of cost to be against it. It need not keep to the problem's bounds.
    begin : array [D], optional
        The first rates (buy, then sell adders by period, $/kWh); by default a quarter of the range of buy adders, the smallest sell adders.
    radius : float, $/kWh
        Of the first trust region.
    gain : float, $/day and household
        Less than which is not worth a trial.
    earlier : sequence of Reading
        Of an interrupted run with the same settings: used, in order, where it asked for the same tariffs.
    keep : function of (number, Reading), optional
        Called with every new reading, today's included, numbered from 0: later ones of `earlier` no longer count.

    Returns
    -------
    Learned
        Interrupted by Ctrl-C: what has been learned till then, with LIMIT.

    Raises
    ------
    InvalidMethod
        ``setting`` for fewer than 4 trials, or a radius or gain that is not positive.
    InvalidStudy
        From the meter, for the first tariff; a later one that it refuses is a trial without a reading.
    """
    for name, good, law in (("trials", trials >= 4, "at least 4"), ("radius", radius > 0, "positive"), ("gain", gain > 0, "positive")):
        if not good:
            raise InvalidMethod("setting", name=name, law=law, got=repr({"trials": trials, "radius": radius, "gain": gain}[name]))
    return _Learning(problem, meter, trials, seed, radius, gain, report, list(earlier), keep).run(today, begin)


class _Learning:
    """The state of one run."""

    def __init__(
        self, problem: DesignProblem, meter: Meter, budget: int, seed: int, radius: float, gain: float, report: Report | None, earlier: list[Reading],
        keep: Keep | None,
    ) -> None:  # fmt: skip
        self.problem, self.accounts, self.meter = problem, Accounts(problem), meter
        self.budget, self.radius, self.gain, self.report, self.earlier, self.keep = budget, radius, gain, report, earlier, keep
        self.rng = np.random.default_rng(seed)
        self.trials: list[Trial] = []
        self.periods = 0
        self.best = 0
        self.today: Reading | None = None
        self.first = 0.0
        self.penalties = dict(PENALTIES)
        self.promise, self.promise_error, self.unknown = math.inf, 0.0, 1.0

    def read(self, tariff: Tariff) -> Reading:
        """From the world, or what an interrupted run read there."""
        if self.earlier:
            found = self.earlier.pop(0)
            if _same(found.tariff, tariff):
                self.periods += 1
                return replace(found, tariff=tariff)
            self.earlier.clear()
        found = self.meter.read(tariff)
        if self.keep is not None:
            self.keep(self.periods, found)
        self.periods += 1
        return found

    def run(self, today: Tariff | None, begin: Array | None) -> Learned:
        """The loop; what it has when it ends, however it ends."""
        a = self.accounts
        stopped = ""
        try:
            if today is not None:
                self.today = self.read(today)
            P = len(a.low) // 2
            x = np.where(np.arange(len(a.low)) < P, a.low + 0.25 * (a.high - a.low), np.maximum(a.low, np.minimum(a.high, 0.0)))
            x = np.clip(np.asarray(begin, float), a.low, a.high) if begin is not None else x
            fixed = np.full(len(a.groups), 0.5 * a.cap if math.isfinite(a.cap) else 0.0)
            self.announce("begin", x, fixed)
            if self.confirmations:  # how far two readings of the same differ
                self.announce("repeat", x, fixed)
            while len(self.trials) < self.budget - self.confirmations:
                if self.step():
                    break
            else:
                stopped = f"{self.budget} trials"
            if self.confirmations:
                self.confirm()
        except KeyboardInterrupt:
            if not self.trials:
                raise
            stopped = "interrupted"
        return self.end(stopped)

    def confirm(self) -> None:
        """Announce what all readings together say is best, correct it once, and read it several times: noise made the choice among trials."""
        readings = self.confirmations
        for again, radius in ((1, REACH), (readings - 1, 0.25 * REACH)):
            best = self.trials[self.best]
            x, fixed, _, _ = Model(self.fitted(), self.penalties).best(best.fixed, radius)
            for k in range(again):
                trial = self.announce("confirm", x, fixed)
                if trial.reading is None:
                    return
                if k == 0:
                    self.trials[-1] = replace(trial, accepted=True)
                    self.best = len(self.trials) - 1
        best, fitted = self.trials[self.best], self.fitted()
        model = Model(fitted, self.penalties)
        self.promise = self.promised(model, best)
        self.unknown = self.direction(fitted)[1]
        self.promise_error = self.error_of_promise(best)

    @property
    def confirmations(self) -> int:
        """Readings set aside for the final tariff."""
        exact = not self.trials or self.trials[0].reading is None or self.trials[0].reading.exact
        return 0 if exact else max(min(CONFIRM, self.budget // 2), 2)

    @property
    def read_trials(self) -> list[Trial]:
        """Those with a reading."""
        return [t for t in self.trials if t.reading is not None]

    def announce(self, purpose: str, x: Array, fixed: Array, promised: float = math.nan) -> Trial:
        """Announce, read, and note what was measured; accepted as the best or not is decided by the caller."""
        a = self.accounts
        number_ = len(self.trials)
        tariff = a.with_fixed(x, fixed, f"trial {number_ + 1}")
        try:
            reading = self.whole(self.read(tariff), x)
        except InvalidStudy as refused:
            if purpose == "begin":
                raise
            trial = Trial("refused", x, fixed, None, math.nan, {}, promised, math.nan, self.radius)
            self.note(trial, refused.where)
            return trial
        found = books_of(a, reading)
        closed = charges(a, found, fixed)
        missed = misses(a, found, closed)
        if purpose == "begin":
            cost, got = 0.0 if self.today is None else float(cost_change(self.today, reading)[0].mean()), math.nan
        else:
            best = self.trials[self.best]
            assert best.reading is not None
            moved = float(cost_change(best.reading, reading)[0].mean())
            cost, got = best.cost + moved, moved + charged(missed, self.penalties) - charged(best.missed, self.penalties)
        trial = Trial(purpose, x, closed, reading, cost, missed, promised, got, self.radius, purpose == "begin")
        self.note(trial)
        return trial

    def whole(self, reading: Reading, x: Array) -> Reading:
        """A reading with what it has not seen, e.g. a weather that did not occur, as the response learned so far has it; its days stay 0."""
        blind = np.isnan(reading.imports)
        if not blind.any():
            return reading
        if not self.trials:
            h, w = (int(k) for k in np.argwhere(blind.any((0, 1, 2)))[0])
            raise InvalidStudy("meter-weather", where=f"hour {h}, weather {w}")
        imports, exports = self.fitted().predict(x)[:2]
        seen = [np.where(blind, filled, now) for now, filled in ((reading.imports, np.maximum(imports, 0.0)), (reading.exports, np.maximum(exports, 0.0)))]
        return replace(reading, imports=seen[0], exports=seen[1])

    def note(self, trial: Trial, why: str = "") -> None:
        """Keep a trial and say so."""
        self.trials.append(trial)
        if self.report is not None:
            self.report(Progress("trial" if not why else f"trial refused: {why}", len(self.trials), self.budget, trial.miss))

    def fitted(self, group: int | None = None) -> Fitted:
        """The response around the best tariff; with `group`, leaving that random group out."""
        known = self.read_trials
        readings = [t.reading for t in known if t.reading is not None]
        if group is not None:
            readings = [_without(r, group) for r in readings]
        anchor = next(k for k, t in enumerate(known) if t is self.trials[self.best])
        return fit(self.accounts, np.stack([t.x for t in known]), readings, anchor)

    def step(self) -> bool:
        """One trial, or none where nothing is promised and everything nearby is known: then True."""
        best = self.trials[self.best]
        fitted = self.fitted()
        model = Model(fitted, self.penalties)
        self.promise = self.promised(model, best)
        direction, self.unknown = self.direction(fitted)
        x, fixed, value, _ = model.best(best.fixed, self.radius)
        if np.abs(x - best.x).max() < 0.9 * self.radius:  # free to keep to its limits, and pays for missing one: then that costs more
            for k, v in misses(self.accounts, model.books(x), fixed).items():
                self.penalties[k] *= 3.0 if v > MET and self.penalties[k] < 100.0 * PENALTIES[k] else 1.0
            x, fixed, value, _ = model.best(best.fixed, self.radius)
        promised = model.merit(best.x, best.fixed) - value
        exact = best.reading is not None and best.reading.exact
        shared = (0.0, 0.0) if exact else self.common()
        floor = max(self.gain, math.sqrt(2.0) * math.hypot(shared[0], self.penalties["revenue"] * shared[1]))  # less cannot be told from noise
        turn = not exact and self.unknown > 0.5 and self.trials[-1].purpose == "step"  # steps alone chase noise
        if turn or (self.promise <= floor and (best.miss <= MET or not exact)):
            if self.unknown <= UNKNOWN and self.promise <= self.gain:
                self.promise_error = self.error_of_promise(best)
                return True
            trial = self.announce("direction", best.x + direction, best.fixed)
            self.consider(trial, 0.0)
            return False
        if promised <= 1e-9 or not np.abs(x - best.x).max() > 1e-9:  # the model sees no way on: what it does not know yet is next
            trial = self.announce("direction", best.x + direction, best.fixed)
            self.consider(trial, 0.0)
            return bool(self.unknown <= UNKNOWN)
        trial = self.announce("step", x, fixed, -promised)
        self.consider(trial, promised)
        return False

    def consider(self, trial: Trial, promised: float) -> None:
        """Move to a better tariff; widen or shrink the trust region by how well the model did."""
        if trial.reading is None:
            self.radius *= 0.4
            return
        error = self.error_of_merit(trial)
        better = trial.got < 0.0 if promised == 0.0 else -trial.got >= 0.1 * promised - error
        if promised > 0.0:
            ratio = (-trial.got + error) / promised
            moved = float(np.abs(trial.x - self.trials[self.best].x).max())
            if ratio < 0.25:
                self.radius = max(0.5 * moved, 1e-4)
            elif ratio > 0.75 and moved > 0.9 * self.radius:
                self.radius = min(2.0 * self.radius, 0.3)
        if better:
            self.trials[-1] = replace(trial, accepted=True)
            self.best = len(self.trials) - 1

    def error_of_merit(self, trial: Trial) -> float:
        """Standard error of the change of merit from the best tariff to a trial, by random groups; 0 for exact readings."""
        best = self.trials[self.best].reading
        assert best is not None and trial.reading is not None
        if best.exact:
            return 0.0
        return math.hypot(_spread(cost_change(best, trial.reading)[0]), math.sqrt(2.0) * self.common()[0])

    def common(self) -> tuple[float, float]:
        """Standard deviations of (cost, revenue) of one reading by what all households share, from readings of the same rates."""
        known = self.read_trials
        squares, degrees = np.zeros(2), 0
        for k, first in enumerate(known):
            if any(np.array_equal(t.x, first.x) for t in known[:k]):
                continue
            same = [t.reading for t in known if t.reading is not None and np.array_equal(t.x, first.x)]
            costs = np.array([cost_change(same[0], r)[0].mean() for r in same])
            shorts = np.array([books_of(self.accounts, r).short for r in same])
            squares += ((costs - costs.mean()) ** 2).sum(), ((shorts - shorts.mean()) ** 2).sum()
            degrees += len(same) - 1
        spread = np.sqrt(squares / max(degrees, 1))
        return float(spread[0]), float(spread[1])

    def direction(self, fitted: Fitted) -> tuple[Array, float]:
        """The way to go from the best tariff to learn most, within the bounds; and the share of the response there that is a guess."""
        a, here = self.accounts, self.trials[self.best].x
        free = a.free
        vectors = np.linalg.eigh(fitted.unknown[np.ix_(free, free)])[1]
        length = min(max(self.radius, REACH), 2.0 * REACH)
        length = max(length, min(math.sqrt(fitted.noise / CURVATURE), 0.2))  # where noise and curvature take equal parts of what is learned
        rows, coefficient = a.order()
        price = np.broadcast_to(fitted.price, (len(a.groups), *fitted.price.shape)).ravel() if coefficient.any() else 0.0
        most, chosen = 0.0, np.zeros(len(here))
        candidates = [*vectors.T[::-1], *np.eye(len(free)), self.rng.normal(size=len(free))]
        for way in candidates:
            for sign in (1.0, -1.0):
                d = np.zeros(len(here))
                d[free] = sign * length * way / max(np.abs(way).max(), 1e-12)
                d = np.clip(here + d, a.low, a.high) - here
                for _ in range(3):  # sell rates give way to buy rates
                    low = rows[:, :-1] @ (here + d) + rows[:, -1] + coefficient * price
                    if low.min(initial=0.0) >= 0.0:
                        break
                    worst = rows[int(low.argmin()), :-1]
                    d = np.clip(here + d - worst * low.min() / float(worst @ worst) * 1.0001, a.low, a.high) - here
                else:
                    continue
                size = float(d @ d)
                if size < (0.3 * length) ** 2:
                    continue
                share = float(d @ fitted.unknown @ d) / size
                if share > most + 1e-9:
                    most, chosen = share, d
        return chosen, most

    def promised(self, model: Model, best: Trial) -> float:
        """The merit to be gained within `REACH` of the best tariff, as a model has it; infinite where its search does not settle."""
        *_, value, settled = model.best(best.fixed, REACH)
        return model.merit(best.x, best.fixed) - value if settled else math.inf

    def error_of_promise(self, best: Trial) -> float:
        """Standard error of the promise: by leaving out one random group at a time; 0 for exact readings."""
        assert best.reading is not None
        B = len(best.reading.imports)
        if best.reading.exact or B < 2:
            return 0.0
        found, short = [], books_of(self.accounts, best.reading).short
        for b in range(B):
            fitted = self.fitted(b)
            model = Model(fitted, self.penalties)
            model.accounts = copy(self.accounts)  # the level of the revenue has its own error: here it is that of everyone
            model.accounts.required += short - model.books(fitted.at).short
            found.append(self.promised(model, best))
        return math.sqrt((B - 1) / B * float(((np.array(found) - np.mean(found)) ** 2).sum()))

    def end(self, stopped: str) -> Learned:
        """Judge the best tariff by its readings."""
        a, best = self.accounts, self.trials[self.best]
        assert best.reading is not None
        same = [t.reading for t in self.trials if t.reading is not None and np.array_equal(t.x, best.x)]
        reading = _average(same)
        found = books_of(a, reading)
        fixed = charges(a, found, best.fixed)
        missed = misses(a, found, fixed)
        errors = {} if reading.exact else _errors(a, reading, fixed)
        shared = (0.0, 0.0) if reading.exact else self.common()
        if errors:
            errors["revenue"] = math.hypot(errors["revenue"], shared[1] / math.sqrt(len(same)))
        reference = self.today if self.today is not None else self.trials[0].reading
        assert reference is not None
        middle = cost_change(reference, reading)[0]
        error = 0.0 if reading.exact else math.hypot(_spread(middle), shared[0] * math.sqrt(1.0 + 1.0 / len(same)))
        cost = best.cost if reading.exact else float(middle.mean())
        least = most = math.nan
        if reading.exact:
            everything = ([self.today] if self.today is not None else []) + [t.reading for t in self.read_trials if t.reading is not None]
            last = next(k for k, r in enumerate(everything) if r is best.reading)
            least, most = cost_bounds(everything, 0, last)
            cost = min(max(cost, least), most)
        miss = sum(v + 2.0 * errors.get(k, 0.0) for k, v in missed.items())
        met = miss <= (MET if reading.exact else MET_NOISY)
        good = (not stopped or not reading.exact) and stopped != "interrupted" and met and self.unknown <= UNKNOWN and self.promise + 2 * self.promise_error <= self.gain
        said = f"within {REACH:g} $/kWh measurements promise {number(self.promise, 2)} $ a day"
        if self.promise_error > 0:
            said += f" +- {number(2 * self.promise_error, 2)}"
        if good:
            because = f"{said}, limits missed by {number(miss, 2)}"
        else:
            why = [stopped] if stopped else []
            why += [] if met else [f"limits missed by {number(miss, 2)}" + ("" if reading.exact else ", two standard errors included")]
            why += ["some direction of the rates was not tried nearby"] if self.unknown > UNKNOWN else []
            why += [f"{said}, more than {number(self.gain, 2)}"] if self.promise + 2 * self.promise_error > self.gain else []
            because = "; ".join(why) or "not confirmed"
        tariff = a.with_fixed(best.x, fixed, "learned")
        return Learned(self.problem, tariff, Status.CONVERGED if good else Status.LIMIT, because, tuple(self.trials), self.today, cost, error, least, most,
                       missed, errors, self.promise, self.promise_error, self.unknown, best.x, fixed, stopped == "interrupted")  # fmt: skip


def _same(first: Tariff, second: Tariff) -> bool:
    """Whether two tariffs charge the same."""
    return (
        np.array_equal(first.buy, second.buy) and np.array_equal(first.sell, second.sell) and dict(first.discount) == dict(second.discount)
        and (first.pass_buy, first.pass_sell, first.net_metering) == (second.pass_buy, second.pass_sell, second.net_metering)
    )  # fmt: skip


def _without(reading: Reading, group: int) -> Reading:
    """A reading with one random group left out."""
    kept = np.arange(len(reading.imports)) != group
    return replace(reading, imports=reading.imports[kept], exports=reading.exports[kept], generation=reading.generation[kept])


def _average(readings: Sequence[Reading]) -> Reading:
    """The average of readings of the same rates."""
    if len(readings) == 1:
        return readings[0]
    with np.errstate(invalid="ignore"):
        imports, exports = (np.nanmean(np.stack([getattr(r, k) for r in readings]), 0) for k in ("imports", "exports"))
    days = np.sum([r.days for r in readings], 0)
    return replace(readings[0], imports=imports, exports=exports, days=days, generation=np.mean([r.generation for r in readings], 0))


def _spread(values: Array) -> float:
    """Standard error of the mean over random groups [b]."""
    return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def _errors(accounts: Accounts, reading: Reading, fixed: Array) -> dict[str, float]:
    """Standard errors of the revenue, and of the gap where it is limited, by random groups."""
    by = [books_of(accounts, reading, b) for b in range(len(reading.imports))]
    errors = {"revenue": _spread(np.array([b.short for b in by]))}
    if math.isfinite(accounts.limits.gap):
        present = accounts.present
        errors["gap"] = _spread(np.array([100.0 * np.ptp(365.0 * (b.bills + fixed)[present] / accounts.income[present]) for b in by]))
    return errors
