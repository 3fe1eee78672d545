"""The tariff game: the meter re-read by hand, the options, the reference tariffs, and the optimum by a program of its own."""

import csv

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from stackopt import catalog
from stackopt.games.responses import commitment

KNOWN = catalog.model("tariff").known
NIGHT, DAY, PEAK, LATE = range(4)


@pytest.fixture(scope="module")
def game():
    return catalog.build("tariff")


def row(file, **where):
    with catalog.data_file("energy", file).open(newline="") as lines:
        found = [r for r in csv.DictReader(lines) if all(r[k] == v for k, v in where.items())]
    assert len(found) == 1
    return np.array([float(found[0][f"h{h:02d}"]) for h in range(24)])


def state(period, level, regime):
    return (period * 3 + level) * 2 + regime


def test_sizes_labels_and_what_the_leader_sees(game):
    assert game.shape == (24, 4, 3)
    assert game.leader_moves_state() == ""
    assert game.states[0] == "night, 0 kWh, clear"
    assert game.states[-1] == "late, 13.5 kWh, cloudy"
    assert int(game.observations.max()) + 1 == 8
    for s, t in ((state(PEAK, 0, 1), state(PEAK, 2, 1)),):
        assert game.observations[s] == game.observations[t]
    assert game.observations[state(PEAK, 0, 1)] != game.observations[state(PEAK, 0, 0)]
    assert game.discount == pytest.approx(0.995**6)


def test_the_menu_is_the_schedule(game):
    with catalog.data_file("energy", "rates_pge_e_tou_c.csv").open(newline="") as lines:
        rates = sorted(float(r["value"]) for r in csv.DictReader(lines) if r["period"] in ("peak", "off_peak"))
    assert rates == sorted(catalog.model("tariff").parameters["menu"])


def test_the_bill_of_a_cloudy_peak_by_hand(game):
    """Hours 16 to 20, cloudy, battery full: load 6.13 kWh, little sun an hour later by the clock than by the sun."""
    load, sun = row("load_california.csv", season="summer"), row("pv_clear_sky_oakland.csv", season="summer")
    cost = row("avoided_cost_pge_nbt26.csv", month="6", day_type="Weekday")[16:21].mean()
    net = [load[h] - 7.4 * 0.35 * sun[h - 1] for h in range(16, 21)]
    deficit, surplus = sum(max(n, 0.0) for n in net), sum(max(-n, 0.0) for n in net)
    given = 6.75 * np.sqrt(0.9)
    assert surplus == 0.0
    assert 3.0 < deficit < given
    s = state(PEAK, 2, 1)
    for a, rate in enumerate((0.36757, 0.39757, 0.3994, 0.5224)):
        idle_bill = rate * deficit
        bill = -cost * (given - deficit)  # everything covered, the rest exported at the avoided cost
        assert game.follower_reward[s, a, 1] == pytest.approx(-idle_bill, abs=1e-12)
        assert game.leader_reward[s, a, 1] == pytest.approx(0.1 * idle_bill - cost * deficit, abs=1e-12)
        assert game.follower_reward[s, a, 2] == pytest.approx(-bill - 0.05 * given, abs=1e-12)
        assert game.leader_reward[s, a, 2] == pytest.approx(0.1 * bill + cost * (given - deficit), abs=1e-12)


def test_charging_uses_the_sun_first(game):
    s = state(DAY, 0, 0)  # a clear day has far more surplus than a battery step takes
    assert np.allclose(game.follower_reward[s, :, 0] - game.follower_reward[s, :, 1], (game.follower_reward[s, 0, 0] - game.follower_reward[s, 0, 1]))
    cost = row("avoided_cost_pge_nbt26.csv", month="6", day_type="Weekday")[6:16].mean()
    assert game.follower_reward[s, 0, 1] - game.follower_reward[s, 0, 0] == pytest.approx(cost * 6.75 / np.sqrt(0.9), abs=1e-12)


def test_impossible_moves_act_as_idle(game):
    for period in range(4):
        for regime in range(2):
            for level, move in ((2, 0), (0, 2)):
                s = state(period, level, regime)
                assert np.array_equal(game.follower_reward[s, :, move], game.follower_reward[s, :, 1])
                assert np.array_equal(game.transition[s, :, move], game.transition[s, :, 1])


def test_a_weak_inverter_cannot_move_a_whole_step():
    game = catalog.build("tariff", battery_kw=2.0)  # 3 late hours give 6 kWh, a step takes 7.1
    s = state(LATE, 0, 0)
    assert np.array_equal(game.transition[s, 0, 0], game.transition[s, 0, 1])
    assert not np.array_equal(game.transition[state(DAY, 0, 0), 0, 0], game.transition[state(DAY, 0, 0), 0, 1])


def test_regimes_change_at_midnight_only(game):
    for period, expected in ((PEAK, [1.0, 0.0]), (LATE, [0.8, 0.2])):
        s = state(period, 1, 0)
        successor = (period + 1) % 4
        assert game.transition[s, 0, 1, [state(successor, 1, 0), state(successor, 1, 1)]] == pytest.approx(expected)
    start = game.initial.reshape(4, 3, 2)
    assert start[1:].sum() == 0
    assert start[0].sum(0) == pytest.approx([2 / 3, 1 / 3])  # stationary for 0.8 and 0.6


def test_options():
    assert catalog.build("tariff", regimes=1).shape == (12, 4, 3)
    assert catalog.build("tariff", charge_levels=4, menu=(0.3, 0.5)).shape == (32, 2, 3)
    assert catalog.build("tariff", leader_sees_battery=True).leader_sees_state
    assert catalog.build("tariff", stay_clear=1.0, stay_cloudy=1.0).initial.sum() == pytest.approx(1.0)
    assert catalog.build("tariff", pv_kw=0.0).follower_reward.max() < catalog.build("tariff").follower_reward.max()
    fingerprints = {catalog.build("tariff", month=m).fingerprint() for m in (6, 7, 8, 9)}
    assert len(fingerprints) == 4


def test_every_figure_is_labelled():
    statuses = {status.split(",")[0].split(";")[0] for *_, status in catalog.model("tariff").assumptions}
    assert statuses == {"seen", "computed", "reconstructed", "assumption"}
    text = str(catalog.model("tariff"))
    assert "[assumption]" in text
    assert "[reconstructed]" in text


# --- values -----------------------------------------------------------------------------------------------------------


def tariff(game, rate_of_state):
    policy = np.zeros(game.shape[:2])
    for s, label in enumerate(game.states):
        policy[s, rate_of_state(label)] = 1.0
    return commitment(game, policy)


def test_reference_tariffs(game):
    scheduled = tariff(game, lambda label: 3 if label.startswith("peak") else 2)
    highest, lowest = tariff(game, lambda label: 3), tariff(game, lambda label: 0)
    for committed, name in ((scheduled, "as_scheduled"), (highest, "highest"), (lowest, "lowest")):
        assert float(committed.strong) == pytest.approx(KNOWN[name], abs=1e-9)
        assert float(committed.weak) == pytest.approx(KNOWN[name], abs=1e-9)
    assert KNOWN["lowest"] < KNOWN["highest"] < KNOWN["as_scheduled"] < KNOWN["strong"]


def test_no_sampled_tariff_is_better(game):
    rng = np.random.default_rng(0)
    for _ in range(300):
        by_class = rng.dirichlet(np.full(4, 0.3), 8)
        assert float(commitment(game, by_class[game.observations]).strong) <= KNOWN["strong"] + 1e-8


def test_lower_rates_on_cloudy_days_make_the_household_charge(game):
    """The story of the docstring: at the highest rate it idles, at the tariff's rate it charges, and that is worth it."""
    def day_rate(mean):
        share = (mean - 0.36757) / (0.5224 - 0.36757)
        policy = np.zeros((24, 4))
        policy[:, 3] = 1.0
        for level in range(3):
            policy[state(DAY, level, 1)] = [1 - share, 0, 0, share]
        return commitment(game, policy)

    dear, cheaper, cheapest = day_rate(0.5224), day_rate(0.461), day_rate(0.40)
    charge = 0
    assert dear.strong_response[state(DAY, 0, 1)].argmax() != charge
    assert cheaper.strong_response[state(DAY, 0, 1)].argmax() == charge
    assert float(dear.strong) < float(cheapest.strong) < float(cheaper.strong) <= KNOWN["strong"]
    assert float(cheaper.weak) == pytest.approx(KNOWN["strong"], abs=2e-3)


def program_of_its_own(game, margin=0.0):
    """The commitment as a mixed-integer program, written from the theory (D3) without the package: value and leader policy.

    Actions that repeat "idle" exactly are not offered, so that with a margin every other action must be worse by it.
    """
    S, A, B = game.shape
    P, g, seen = game.transition[:, 0], game.discount, game.observations
    classes = int(seen.max()) + 1
    repeats = np.array([[b != 1 and np.array_equal(P[s, b], P[s, 1]) and np.array_equal(game.follower_reward[s, :, b], game.follower_reward[s, :, 1])
                         for b in range(B)] for s in range(S)])  # fmt: skip
    n = classes * A + 2 * S + S * B
    x, V, L, y = 0, classes * A, classes * A + S, classes * A + 2 * S
    big_follower, big_leader = (np.ptp(r) / (1 - g) for r in (game.follower_reward, game.leader_reward))  # no value range is wider
    rows, low, high = [], [], []

    def add(entries, lower, upper):
        line = np.zeros(n)
        for column, value in entries:
            line[column] += value
        rows.append(line)
        low.append(lower)
        high.append(upper)

    for o in range(classes):
        add([(x + o * A + a, 1.0) for a in range(A)], 1, 1)
    for s in range(S):
        add([(y + s * B + b, 1.0) for b in range(B)], 1, 1)
        for b in range(B):
            value = [[(base + s, 1.0), *((base + t, -g * P[s, b, t]) for t in range(S)), *((x + seen[s] * A + a, -reward[s, a, b]) for a in range(A))]
                     for base, reward in ((V, game.follower_reward), (L, game.leader_reward))]  # fmt: skip
            flag = y + s * B + b
            worse = 0.0 if repeats[s, b] else margin
            add([*value[0], (flag, worse)], worse, np.inf)
            add([*value[0], (flag, big_follower)], -np.inf, big_follower)
            add([*value[1], (flag, big_leader)], -np.inf, big_leader)
    lower, upper = np.zeros(n), np.ones(n)
    for base, reward in ((V, game.follower_reward), (L, game.leader_reward)):
        lower[base : base + S], upper[base : base + S] = reward.min() / (1 - g), reward.max() / (1 - g)
    upper[y:][repeats.ravel()] = 0.0
    objective = np.zeros(n)
    objective[L : L + S] = -game.initial
    integral = np.zeros(n)
    integral[y:] = 1
    found = milp(objective, constraints=LinearConstraint(sparse.csr_matrix(np.array(rows)), low, high), bounds=Bounds(lower, upper),
                 integrality=integral, options={"mip_rel_gap": 1e-9, "time_limit": 200})  # fmt: skip
    assert found.status == 0, found.message
    policy = np.clip(found.x[: classes * A].reshape(classes, A), 0, None)
    return -found.fun, (policy / policy.sum(-1, keepdims=True))[seen]


@pytest.mark.parametrize(("margin", "key"), [(0.0, "strong"), (1e-4, "weak_margin_1e-4")])
def test_the_optimum_by_a_program_of_its_own(game, margin, key):
    value, policy = program_of_its_own(game, margin)
    assert value == pytest.approx(KNOWN[key], abs=2e-6)
    committed = commitment(game, policy)
    assert float(committed.strong if margin == 0 else committed.weak) == pytest.approx(KNOWN[key], abs=2e-6)


def test_seeing_the_battery_is_worth_little():
    game = catalog.build("tariff", leader_sees_battery=True)
    value, policy = program_of_its_own(game)
    assert value == pytest.approx(KNOWN["strong_leader_sees_battery"], abs=2e-6)
    assert float(commitment(game, policy).strong) == pytest.approx(value, abs=2e-6)
    assert KNOWN["strong"] < value < KNOWN["strong"] + 0.02
