"""A small tariff study computed straight from its definitions, slowly: nothing here knows how the package computes anything.

Use is found by bisection of what one more kWh is worth, batteries by value iteration on the chain of hour, regime and charge, long-run laws by powers,
prices by iteration, everything else by sums over hours, regimes and moves. Only the input classes are read: `Households`, `Tariff`, `LinearSupply`.
Arrays are [24, w, a]: hours, regimes, moves of the battery (one, of nothing, without a battery).
"""

import math
from dataclasses import dataclass, field

import numpy as np

HOURS = range(24)
MONTH = 365 / 12


def utility(use, load, elasticity, reference):
    """$ of using `use` where `load` is usual."""
    return reference * (use - load) - reference / (2 * elasticity * load) * (use - load) ** 2


def best_use(load, sun, charge, buy, sell, elasticity, reference):
    """The use [h, w, a] that maximises utility less bill: bisection of its slope, which falls."""
    load, sun, buy, sell = (v[..., None] for v in (load, sun, buy, sell))
    low = np.zeros(np.broadcast_shapes(load.shape, charge.shape))
    high = low + load * (2 + elasticity * (2 + np.abs(sell) / reference)) + sun + np.abs(charge)
    for _ in range(70):
        use = (low + high) / 2
        gain = reference - reference / (elasticity * load) * (use - load) - np.where(use - sun + charge > 0, buy, sell)
        low, high = np.where(gain > 0, use, low), np.where(gain > 0, high, use)
    return np.where(high < 1e-15, 0.0, (low + high) / 2)


def moves_of(battery):
    """(levels moved, kWh at the meter, $ of wear) of each move of a battery, or of none."""
    if battery is None:
        return np.zeros(1, int), np.zeros(1), np.zeros(1)
    step = battery.kwh / (battery.levels - 1)
    most = min(int(battery.kw / step + 1e-9), battery.levels - 1)
    moves = np.arange(-most, most + 1)
    taken = [a * step / math.sqrt(battery.efficiency) if a > 0 else a * step * math.sqrt(battery.efficiency) for a in moves]
    worn = [battery.wear * -a * step if a < 0 else 0.0 for a in moves]
    return moves, np.array(taken), np.array(worn)


def chances(weather):
    """From each hour to the next [24, w, w]."""
    still = np.eye(len(weather.names))
    return [np.asarray(weather.transition) if weather.changes == "hourly" or h == 23 else still for h in HOURS]


def shares(weather):
    """How often each regime rules: a start, moved on until nothing changes."""
    lazy = (np.eye(len(weather.names)) + np.asarray(weather.transition)) / 2
    for _ in range(60):
        lazy = lazy @ lazy
        lazy /= lazy.sum(1, keepdims=True)
    return lazy[0]


def control(worth, moves, levels, weather, temperature, value=None, tolerance=1e-12):
    """(policy [h, w, c, a], values at midnight [w, c], gain a day) by value iteration; temperature 0: the best moves."""
    W = worth.shape[1]
    target = np.arange(levels)[:, None] + moves
    possible, target = (target >= 0) & (target < levels), np.clip(target, 0, levels - 1)
    policy, between = np.zeros((24, W, levels, len(moves))), chances(weather)
    value = np.zeros((W, levels)) if value is None else value
    for _ in range(20_000):
        after = value
        for h in reversed(HOURS):
            ahead = between[h] @ after
            q = np.where(possible, worth[h][:, None, :] + ahead[:, target], -np.inf)
            top = q.max(-1, keepdims=True)
            if temperature > 0:
                odds = np.exp((q - top) / temperature)
                after = top[..., 0] + temperature * np.log(odds.sum(-1))
            else:
                odds, after = (q == top).astype(float), top[..., 0]
            policy[h] = odds / odds.sum(-1, keepdims=True)
        rise = after - value
        value = after - after.mean()
        if np.ptp(rise) <= tolerance:
            return policy, value, float(rise.mean())
    raise AssertionError(f"values did not settle: {np.ptp(rise):.1g}")


def laws(policy, moves, weather):
    """Law of regime and charge by hour [h, w, c], in the long run."""
    _, W, C, _ = policy.shape
    between = chances(weather)

    def onward(law, h):
        after = np.zeros((W, C))
        for k, a in enumerate(moves):
            for c in range(max(0, -a), min(C, C - a)):
                after[:, c + a] += law[:, c] * policy[h, :, c, k]
        return between[h].T @ after

    day = np.zeros((W * C, W * C))
    for s in range(W * C):
        law = np.zeros(W * C)
        law[s] = 1.0
        law = law.reshape(W, C)
        for h in HOURS:
            law = onward(law, h)
        day[s] = law.ravel()
    power = (np.eye(W * C) + day) / 2
    for _ in range(40):
        power = power @ power
        power /= power.sum(1, keepdims=True)
    law, found = power[0].reshape(W, C), np.zeros((24, W, C))
    for h in HOURS:
        found[h] = law
        law = onward(law, h)
    return found


@dataclass
class Home:
    """What one type does: arrays [h, w, a]; `mass` are joint shares of regime and move by hour."""

    mass: np.ndarray
    use: np.ndarray
    net: np.ndarray
    worth: np.ndarray
    worn: np.ndarray
    taken: np.ndarray
    policy: np.ndarray | None = None
    value: np.ndarray | None = None
    law: np.ndarray | None = None

    def mean(self, values):
        return float((self.mass * values).sum())

    def by_hour(self, values):
        return (self.mass * values).sum(-1)


@dataclass
class Study:
    """A tariff at prices [h, w] in $/kWh, and what all types do."""

    households: object
    supply: object
    tariff: object
    temperature: float
    price: np.ndarray
    homes: list = field(default_factory=list)
    kept: list = field(default_factory=list)
    residual: float = math.nan

    def adders(self):
        """(buy, sell) adders [h, w]."""
        W = len(self.households.weather.names)
        both = []
        for values in (self.tariff.buy, self.tariff.sell):
            array = np.asarray(values, float)
            both.append(np.array([[array[h, w] if array.ndim == 2 else array[h] for w in range(W)] for h in HOURS]))
        return both

    def rates(self, i):
        """Announced (buy, sell) [h, w] of type i."""
        t = self.tariff
        buy, sell = self.adders()
        buy = buy + t.pass_buy * self.price
        sell = buy if t.net_metering else sell + t.pass_sell * self.price
        return buy * (1 - t.discount.get(self.households.types[i].group, 0.0)), sell

    def home(self, i, kept, before=None):
        """What type i does where a share of announced rates counts and otherwise the true-up's."""
        h, kind = self.households, self.households.types[i]
        load, sun = profiles(h, i)
        buy, sell = self.rates(i)
        if self.tariff.true_up is not None:
            buy, sell = (kept * rate + (1 - kept) * self.tariff.true_up for rate in (buy, sell))
        moves, taken, worn = moves_of(kind.battery)
        use = best_use(load, sun, taken, buy, sell, h.elasticity, h.reference_price)
        net = use - sun[..., None] + taken
        paid = buy[..., None] * np.maximum(net, 0) - sell[..., None] * np.maximum(-net, 0)
        worth = utility(use, load[..., None], h.elasticity, h.reference_price) - paid - worn
        if kind.battery is None:
            mass = np.broadcast_to(shares(h.weather)[:, None], net.shape)
            return Home(mass, use, net, worth, worn, taken)
        policy, value, _ = control(worth, moves, kind.battery.levels, h.weather, self.temperature, None if before is None else before.value)
        law = laws(policy, moves, h.weather)
        return Home((law[..., None] * policy).sum(2), use, net, worth, worn, taken, policy, value, law)

    def answer(self, before=None):
        """All homes at these prices, with the true-up's bisection where credits are left over."""
        near_by = [None] * len(self.households.types) if before is None else before.homes
        self.homes, self.kept = [], []
        for i, near in enumerate(near_by):
            home, kept = self.home(i, 1.0, near), 1.0
            if self.tariff.true_up is not None and self.left_over(i, home) < -1e-10:
                home, kept = self.home(i, 0.0, home), 0.0
                if self.left_over(i, home) > 0:
                    low, high = 0.0, 1.0
                    while high - low > 1e-13:
                        kept = (low + high) / 2
                        home = self.home(i, kept, home)
                        low, high = (kept, high) if self.left_over(i, home) > 0 else (low, kept)
            self.homes.append(home)
            self.kept.append(kept)
        return self

    def left_over(self, i, home):
        """Charges less credits less the true-up's rate on net use, $/day."""
        return self.charged(i, home) - self.tariff.true_up * home.mean(home.net)

    def charged(self, i, home):
        buy, sell = self.rates(i)
        return home.mean(buy[..., None] * np.maximum(home.net, 0) - sell[..., None] * np.maximum(-home.net, 0))

    @property
    def regimes(self):
        return shares(self.households.weather)

    def net(self, i):
        """Meter reading given the regime [h, w], kWh."""
        return self.homes[i].by_hour(self.homes[i].net) / self.regimes

    def load(self):
        """Of all households [h, w], MW."""
        h = self.households
        return sum(t.share * self.net(i) for i, t in enumerate(h.types)) * h.count / 1000

    def system(self, load=None):
        base = np.broadcast_to(np.asarray(self.supply.base, float), (24,))
        return (self.load() if load is None else load) + base[:, None]

    def cleared(self, load=None):
        """What the market makes of a load [h, w], $/kWh."""
        s = self.supply
        return np.maximum(s.intercept + s.slope * self.system(load), s.floor) / 1000

    # per type, $/day
    def energy(self, i):
        """The energy bill."""
        home = self.homes[i]
        bill = self.charged(i, home)
        return bill if self.tariff.true_up is None else max(bill, self.tariff.true_up * home.mean(home.net))

    def fixed(self, group):
        f = self.tariff.fixed
        return (f.get(group, f.get("other", 0.0)) if isinstance(f, dict) else f) / MONTH

    def bill(self, i):
        return self.energy(i) + self.fixed(self.households.types[i].group)

    def bought(self, i):
        return self.homes[i].mean(np.maximum(self.homes[i].net, 0))

    def at_wholesale(self, i):
        return self.homes[i].mean(self.price[..., None] * self.homes[i].net)

    def happy(self, i):
        h = self.households
        return self.homes[i].mean(utility(self.homes[i].use, profiles(h, i)[0][..., None], h.elasticity, h.reference_price))

    def worn(self, i):
        return self.homes[i].mean(self.homes[i].worn)

    def gain(self, i):
        """What the best moves would earn beyond those made."""
        kind, home = self.households.types[i], self.homes[i]
        if kind.battery is None:
            return 0.0
        best = control(home.worth, moves_of(kind.battery)[0], kind.battery.levels, self.households.weather, 0.0, home.value, 1e-10)[2]
        return best - home.mean(home.worth)

    def total(self, value):
        """Average over households of a quantity by type."""
        return sum(t.share * value(i) for i, t in enumerate(self.households.types))


def profiles(households, i):
    """(load, sun) of type i [h, w], kWh."""
    t, W = households.types[i], len(households.weather.names)
    load, sun = (np.array([[v[h, w] if v.ndim == 2 else v[h] for w in range(W)] for h in HOURS]) for v in map(np.asarray, (t.load, t.sun)))
    return load, sun * np.asarray(households.weather.sun)


def settle(households, supply, tariff, temperature=0.02, near=None, damping=1.0, tolerance=1e-12, rounds=400):
    """Prices that the market makes of what households do at them, by damped iteration."""
    W = len(households.weather.names)
    coupled = tariff.pass_buy != 0 or (tariff.pass_sell != 0 and not tariff.net_metering)
    now = Study(households, supply, tariff, temperature, np.full((24, W), 0.05) if near is None else near.price).answer(near)
    for _ in range(rounds):
        wanted = now.cleared()
        now.residual = float(np.abs(wanted - now.price).max())
        if now.residual <= tolerance:
            return now
        now = Study(households, supply, tariff, temperature, now.price + damping * (wanted - now.price), now.homes, now.kept)
        if coupled:
            now.answer(now)
        else:
            now.price = wanted
    raise AssertionError(f"prices did not settle: {now.residual}")


def season_columns(weather):
    """Regimes of each season."""
    if not weather.seasons:
        return [list(range(len(weather.names)))]
    kinds = []
    for season in weather.seasons:
        if season not in kinds:
            kinds.append(season)
    return [[w for w, one in enumerate(weather.seasons) if one == season] for season in kinds]


def by_season(values, weather):
    """[h, w] averaged within each season: [h, s]."""
    law = shares(weather)
    return np.array([[sum(law[w] * values[h, w] for w in here) / sum(law[w] for w in here) for here in season_columns(weather)] for h in HOURS])


def gini_suits(people, income, bills):
    """One less twice the areas under accumulated bills, against households and against income; households of equal income are one step."""
    steps = []
    for value in sorted(set(income)):
        chosen = [k for k, v in enumerate(income) if v == value]
        steps.append((sum(people[k] for k in chosen), sum(people[k] * income[k] for k in chosen), sum(people[k] * bills[k] for k in chosen)))
    count, earned, paid = (sum(s[k] for s in steps) for k in range(3))
    if paid == 0:
        return math.nan, math.nan
    below, gini, suits = 0.0, 0.0, 0.0
    for n, y, b in steps:
        middle = (below + b / 2) / paid
        gini, suits, below = gini + n / count * middle, suits + y / earned * middle, below + b
    return 1 - 2 * gini, 1 - 2 * suits


def criteria(s, required):
    """All criteria by name."""
    h, law = s.households, s.regimes
    types = range(len(h.types))
    load = s.system()
    made = np.maximum(load, (s.supply.floor - s.supply.intercept) / s.supply.slope) if np.isfinite(s.supply.floor) else load
    generation = sum(law[w] * (s.supply.intercept * made[k, w] + s.supply.slope * made[k, w] ** 2 / 2) for k in HOURS for w in range(len(law))) / h.count
    groups = list(dict.fromkeys(t.group for t in h.types))
    incidence = []
    for g in groups:
        mine = [i for i in types if h.types[i].group == g]
        incidence.append(365 * sum(h.types[i].share * s.bill(i) for i in mine) / sum(h.types[i].share * h.types[i].income for i in mine))
    day = by_season(load, h.weather)
    prices = 1000 * s.price
    mean = sum(law[w] * prices[k, w] for k in HOURS for w in range(len(law))) / 24
    spread = math.sqrt(sum(law[w] * (prices[k, w] - mean) ** 2 for k in HOURS for w in range(len(law))) / 24)
    gini, suits = gini_suits([t.share for t in h.types], [t.income for t in h.types], [s.bill(i) for i in types])
    collected, fixed, bought = s.total(s.energy), s.total(lambda i: s.fixed(h.types[i].group)), s.total(s.at_wholesale)
    return {
        "cost": generation - s.total(s.happy) + s.total(s.worn), "generation": generation, "utility": s.total(s.happy), "wear": s.total(s.worn),
        "bills": np.array([s.bill(i) for i in types]), "incidence": np.array(incidence), "gap": max(incidence) - min(incidence), "gini": gini, "suits": suits,
        "volumetric": collected, "fixed": fixed, "wholesale": bought, "required": required, "shortfall": required + bought - collected - fixed,
        "peak": day.max(), "valley": day.min(), "ramp": max(day[(k + 3) % 24, c] - day[k, c] for k in HOURS for c in range(day.shape[1])),
        "price_spread": spread, "load_factor": sum(law[w] * load[k, w] for k in HOURS for w in range(len(law))) / 24 / day.max(),
    }  # fmt: skip


def demand_jacobian(s, step=1e-5):
    """Of net loads, MW given the regime, in wholesale prices, $/kWh, by central differences, market aside [24 w, 24 w]."""
    W = len(s.households.weather.names)
    columns = []
    for cell in range(24 * W):
        moved = []
        for sign in (1, -1):
            price = s.price.copy()
            price[cell // W, cell % W] += sign * step
            moved.append(Study(s.households, s.supply, s.tariff, s.temperature, price).answer(s).load().ravel())
        columns.append((moved[0] - moved[1]) / (2 * step))
    return np.array(columns).T


def along(s, regimes):
    """Load of all households [paths, hours], MW, at the prices found, along given weather: laws of charge carried from hour to hour."""
    h = s.households
    loads = np.zeros(regimes.shape)
    for i, kind in enumerate(h.types):
        home = s.homes[i]
        moves, *_ = moves_of(kind.battery)
        for path in range(len(regimes)):
            law = None
            for t, w in enumerate(regimes[path]):
                k = t % 24
                if kind.battery is None:
                    loads[path, t] += kind.share * home.net[k, w, 0]
                    continue
                law = home.law[0, w] / home.law[0, w].sum() if law is None else law
                joint = law[:, None] * home.policy[k, w]
                loads[path, t] += kind.share * float((joint * home.net[k, w]).sum())
                law = np.zeros_like(law)
                for a, move in enumerate(moves):
                    for c in range(max(0, -move), min(len(law), len(law) - move)):
                        law[c + move] += joint[c, a]
    return loads * h.count / 1000


def simulated(s, regimes, many, seed):
    """The same from individual households, `many` of each type, that throw dice [paths, hours]."""
    h, rng = s.households, np.random.default_rng(seed)
    loads = np.zeros(regimes.shape)
    for i, kind in enumerate(h.types):
        home = s.homes[i]
        moves, *_ = moves_of(kind.battery)
        for path in range(len(regimes)):
            charge = None
            for t, w in enumerate(regimes[path]):
                k = t % 24
                if kind.battery is None:
                    loads[path, t] += kind.share * home.net[k, w, 0]
                    continue
                if charge is None:
                    start = home.law[0, w] / home.law[0, w].sum()
                    charge = rng.choice(len(start), size=many, p=start)
                below = home.policy[k, w].cumsum(-1)
                move = (rng.random(many)[:, None] >= below[charge]).sum(-1).clip(max=len(moves) - 1)
                loads[path, t] += kind.share * home.net[k, w, move].mean()
                charge = charge + moves[move]
    return loads * h.count / 1000


# the tables: rows as the package orders them


def summary_row(s, c, cost_of_lmp):
    buy, law = s.adders()[0], s.regimes
    rate = sum(law[w] * (buy[h, w] + s.tariff.pass_buy * s.price[h, w]) for h in HOURS for w in range(len(law))) / 24
    return (rate, c["cost"], c["cost"] - cost_of_lmp, 100 * c["gap"], c["suits"], c["peak"], c["ramp"], c["load_factor"], c["price_spread"], c["shortfall"])


def bill_rows(before, after):
    """Of `bills`, without the name of the tariff."""
    types, rows = before.households.types, []
    groups, kinds = (list(dict.fromkeys(getattr(t, key) for t in types)) for key in ("group", "kind"))
    old, new = ([s.bill(i) for i in range(len(types))] for s in (before, after))
    for group in [*groups, "all"]:
        for kind in [*kinds, "all"]:
            mine = [i for i, t in enumerate(types) if group in (t.group, "all") and kind in (t.kind, "all")]
            people = sum(types[i].share for i in mine)
            if not people:
                continue
            was, now, earned = (sum(types[i].share * v[i] for i in mine) / people for v in (old, new, [t.income for t in types]))
            risen = sum(types[i].share for i in mine if new[i] - old[i] > 0.05 * abs(old[i])) / people
            high = sum(types[i].share for i in mine if 365 * new[i] / types[i].income > 0.06) / people
            rows.append((group, kind, 100 * people, was * MONTH, now * MONTH, (now - was) * MONTH, 100 * (now - was) / abs(was), 36500 * was / earned,
                         36500 * now / earned, 100 * risen, 100 * high))  # fmt: skip
    return rows


def lorenz_rows(s):
    """Of `lorenz`: accumulated households, income and bills, %, by income."""
    types = s.households.types
    rows, totals = [(0.0, 0.0, 0.0)], (1.0, sum(t.share * t.income for t in types), s.total(s.bill))
    for level in sorted({t.income for t in types}):
        mine = [i for i, t in enumerate(types) if t.income <= level]
        sums = sum(types[i].share for i in mine), sum(types[i].share * types[i].income for i in mine), sum(types[i].share * s.bill(i) for i in mine)
        rows.append(tuple(100 * a / b for a, b in zip(sums, totals, strict=True)))
    return rows


def discount_of(s, i):
    """What type i is spared on what it buys, $/day."""
    off = s.tariff.discount.get(s.households.types[i].group, 0.0)
    full = s.adders()[0] + s.tariff.pass_buy * s.price
    return off * s.homes[i].mean(full[..., None] * np.maximum(s.homes[i].net, 0))


def cross_subsidy_rows(s, required):
    types, rows = s.households.types, []
    bases = [lambda i: 1.0, s.bought, lambda i: types[i].income]
    totals = [s.total(base) for base in bases]
    for group in dict.fromkeys(t.group for t in types):
        for kind in dict.fromkeys(t.kind for t in types):
            mine = [i for i, t in enumerate(types) if t.group == group and t.kind == kind]
            people = sum(types[i].share for i in mine)
            if not people:
                continue

            def mean(value, mine=mine, people=people):
                return sum(types[i].share * value(i) for i in mine) / people * MONTH

            bill, energy = mean(s.bill), mean(s.at_wholesale)
            fixed = [required * mean(base) / total for base, total in zip(bases, totals, strict=True)]
            rows.append((group, kind, bill, energy, *(bill - energy - f for f in fixed), *fixed, mean(lambda i: discount_of(s, i))))
    return rows


def load_rows(s):
    h, law = s.households, s.regimes
    scale, rows, system = h.count / 1000, [], s.system()
    for k in HOURS:
        for w, name in enumerate(h.weather.names):
            sums = np.zeros(4)
            for i, t in enumerate(h.types):
                home, m = s.homes[i], s.homes[i].mass[k, w] / law[w]
                sums += t.share * np.array([(m * home.use[k, w]).sum(), profiles(h, i)[1][k, w], (m * home.taken).sum(), (m * home.net[k, w]).sum()])
            rows.append((k, name, *(scale * sums), system[k, w]))
    return rows


def loss_row(s):
    """Averages of a household: rate, wholesale price, use at either, and what lies between marginal value and wholesale price, by quadrature."""
    h, sums = s.households, np.zeros(5)
    nodes, weights = np.polynomial.legendre.leggauss(3)
    for i, t in enumerate(h.types):
        home, load = s.homes[i], profiles(h, i)[0][..., None]
        price = s.price[..., None]
        right = best_use(load[..., 0], np.zeros_like(load[..., 0]), np.zeros(1), s.price, s.price, h.elasticity, h.reference_price)

        def value(x, load=load):
            return h.reference_price * (1 - (x - load) / (h.elasticity * load))

        half, middle = (right - home.use) / 2, (right + home.use) / 2
        triangle = sum(g * half * (value(middle + half * x) - price) for x, g in zip(nodes, weights, strict=True))
        sums += [t.share * home.mean(v) for v in (home.use, right + 0 * home.use, value(home.use) * home.use, price * home.use, triangle)]
    used, wanted, paid, spent, triangle = sums
    return paid / used, spent / used, used, wanted, triangle


def typical_rows(s, before):
    h, law, rows = s.households, s.regimes, []
    W = len(law)
    use = np.array([[law[w] * sum(t.share * profiles(h, i)[0][k, w] for i, t in enumerate(h.types)) for w in range(W)] for k in HOURS])
    use *= 550 / use.sum()
    for group in dict.fromkeys(t.group for t in h.types):
        i = next(i for i, t in enumerate(h.types) if t.group == group)
        fixed, energy = s.fixed(group) * MONTH, float((use * s.rates(i)[0]).sum())
        was = before.fixed(group) * MONTH + float((use * before.rates(i)[0]).sum())
        bill = fixed + energy
        rows.append((group, fixed, energy, bill, was, bill - was, 100 * (bill - was) / abs(was), bill / 550))
    return rows


def seasonal_rows(s):
    """(bills [season][type] $/month, rates [h, s] buy and sell)."""
    law, weather = s.regimes, s.households.weather
    bills = []
    for here in season_columns(weather):
        of_season = []
        for i, t in enumerate(s.households.types):
            buy, sell = s.rates(i)
            net = s.homes[i].net
            paid = s.homes[i].mass * (buy[..., None] * np.maximum(net, 0) - sell[..., None] * np.maximum(-net, 0))
            of_season.append((paid[:, here].sum() / sum(law[w] for w in here) + s.fixed(t.group)) * MONTH)
        bills.append(of_season)
    buy, sell = s.adders()
    buy = buy + s.tariff.pass_buy * s.price
    sell = buy if s.tariff.net_metering else sell + s.tariff.pass_sell * s.price
    return bills, by_season(buy, weather), by_season(sell, weather)
