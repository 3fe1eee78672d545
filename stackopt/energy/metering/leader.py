r"""A leader that knows neither what households want nor who they are: it announces tariffs, reads meters and collects revenue.

The point of He, Liu and Chen (arXiv 2509.16296): a tariff can be learned without the followers' objectives. What is needed of welfare is revealed by meters
(`metering.revealed`), what is collected is known, and only how use answers rates must be learned (`metering.model`), from trials, tens of them:

1. fit the response around the best tariff so far,
2. announce the best tariff of the fitted problem within a trust region (`metering.step`), read, compare measured merits, move or
   shrink the region,
3. where nothing more is promised but some direction of the rates was never tried nearby, try it.

It stops by a measured criterion, see `Learned.status`. Nothing of the model of households is read, at no point: `Accounts` has what the leader knows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stackopt.display import number
from stackopt.energy.designs.problem import DesignProblem
from stackopt.energy.metering.directions import beginning, direction
from stackopt.energy.metering.meter import Meter, Reading, average
from stackopt.energy.metering.model import Accounts, Fitted, fit
from stackopt.energy.metering.result import MET, MET_NOISY, REACH, UNKNOWN, Learned, Trial
from stackopt.energy.metering.revealed import cost_bounds, cost_change
from stackopt.energy.metering.step import PENALTIES, Model, books_of, charged, charges, misses
from stackopt.energy.tariff import Tariff
from stackopt.errors import InvalidMethod, InvalidStudy
from stackopt.solution import Progress, Report, Status

Array = NDArray[np.float64]
Keep = Callable[[int, Reading], None]

#: Trials set aside for the final tariff where readings are noisy: one to correct it by, the others of it.
CONFIRM = 4


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
                self.today = self.whole(self.read(today), np.zeros_like(a.low))
            x = beginning(a, self.today) if begin is None else np.clip(np.asarray(begin, float), a.low, a.high)
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
        self.unknown = direction(fitted, best.x, self.rng)[1]
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
        tariff = a.with_fixed(x, fixed, f"trial {len(self.trials) + 1}")
        try:
            reading = self.whole(self.read(tariff), x)
        except InvalidStudy as refused:
            if purpose == "begin":
                raise
            trial = Trial("refused", x, fixed, None, math.nan, {}, promised, math.nan, self.radius)
            self.note(trial, refused.where)
            return trial
        found = books_of(a, reading)
        closed = charges(a, found, fixed, self.penalties)
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
            readings = [r.without(group) for r in readings]
        anchor = next(k for k, t in enumerate(known) if t is self.trials[self.best])
        return fit(self.accounts, np.stack([t.x for t in known]), readings, anchor)

    def step(self) -> bool:
        """One trial, or none where nothing is promised and everything nearby is known: then True."""
        best = self.trials[self.best]
        fitted = self.fitted()
        model = Model(fitted, self.penalties)
        self.promise = self.promised(model, best)
        way, self.unknown = direction(fitted, best.x, self.rng)
        x, fixed, value, _ = model.best(best.fixed, self.radius)
        raised = False
        if np.abs(x - best.x).max() < 0.9 * self.radius:  # free to keep to its limits, and pays for missing one: then that costs more
            for k, v in misses(self.accounts, model.books(x), fixed).items():
                if v > MET and self.penalties[k] < 100.0 * PENALTIES[k]:
                    self.penalties[k], raised = 3.0 * self.penalties[k], True
        if raised:
            best = self.reckoned(best)
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
            trial = self.announce("direction", best.x + way, best.fixed)
            self.consider(trial, 0.0)
            return False
        if promised <= 1e-9 or not np.abs(x - best.x).max() > 1e-9:  # the model sees no way on: what it does not know yet is next
            trial = self.announce("direction", best.x + way, best.fixed)
            self.consider(trial, 0.0)
            return bool(self.unknown <= UNKNOWN) and not raised
        trial = self.announce("step", x, fixed, -promised)
        self.consider(trial, promised)
        return False

    def reckoned(self, best: Trial) -> Trial:
        """The best trial with the charges that close its books under the penalties in force."""
        assert best.reading is not None
        found = books_of(self.accounts, best.reading)
        fixed = charges(self.accounts, found, best.fixed, self.penalties)
        self.trials[self.best] = replace(best, fixed=fixed, missed=misses(self.accounts, found, fixed))
        return self.trials[self.best]

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
        assert best is not None
        assert trial.reading is not None
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
        if not np.isfinite(found).all():
            return math.inf
        return math.sqrt((B - 1) / B * float(((np.array(found) - np.mean(found)) ** 2).sum()))

    def end(self, stopped: str) -> Learned:
        """Judge the best tariff by its readings."""
        a, best = self.accounts, self.trials[self.best]
        assert best.reading is not None
        same = [t.reading for t in self.trials if t.reading is not None and np.array_equal(t.x, best.x)]
        reading = average(same)
        found = books_of(a, reading)
        fixed = charges(a, found, best.fixed, self.penalties)
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
        done = stopped != "interrupted" and (not stopped or not reading.exact)
        good = done and met and self.unknown <= UNKNOWN and self.promise + 2 * self.promise_error <= self.gain
        said = f"within {REACH:g} $/kWh measurements promise {number(self.promise, 2)} $ a day"
        said = said if math.isfinite(self.promise) else f"what is to be gained within {REACH:g} $/kWh is not known"
        if 0 < self.promise_error < math.inf:
            said += f" +- {number(2 * self.promise_error, 2)}"
        if good:
            because = f"{said}, limits missed by {number(miss, 2)}"
        else:
            why = [stopped] if stopped else []
            why += [] if met else [f"limits missed by {number(miss, 2)}" + ("" if reading.exact else ", two standard errors included")]
            why += ["some direction of the rates was not tried nearby"] if self.unknown > UNKNOWN else []
            more = f", more than {number(self.gain, 2)}" if math.isfinite(self.promise) else ""
            why += [said + more] if self.promise + 2 * self.promise_error > self.gain else []
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
