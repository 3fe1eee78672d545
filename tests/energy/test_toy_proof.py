"""The toy study proved: bounds in rationals meet what enumeration finds, and a bound is never bought with a wrong multiplier."""

import dataclasses
import json
from fractions import Fraction

import numpy as np
import pytest
from typer.testing import CliRunner

from stackopt.cli import app
from stackopt.energy.toy import built_in, evaluate, leader_program
from stackopt.energy.toy_proof import UNKNOWN, ToyAnswer, answer, bounded
from stackopt.solution import Status

TOWN = built_in()


@pytest.fixture(scope="module")
def found():
    return answer(TOWN)


def test_every_tariff_is_proved(found):
    assert found.status is Status.PROVED
    assert len(found.costs) == 162
    assert sum(b is None for b in found.bounds.values()) == sum(np.isinf(c) for c in found.costs.values()) == 62
    for tariff, bound in found.bounds.items():
        if bound is not None:
            assert found.costs[tariff] - 1e-9 <= bound <= found.costs[tariff] + 1e-9
    assert float(found.bound) == pytest.approx(TOWN.known["objective"], abs=1e-9)
    assert isinstance(found.bound, Fraction)


def test_it_prints_what_was_recorded(found):
    text = " ".join(str(found).split())
    assert text.startswith('Tariff study "toy": 162 tariffs, 3 household types, exact: PROVED')
    assert "0.08 / 0.20 / 0.08 / 0.20 $/kWh, exports at 25 % of retail" in text
    known = TOWN.known
    assert f"{known['objective']:.6f} $/day (best net-metering tariff {known['best_net_metering']:.6f}, flat 0.20 {known['flat']['0.2/0.25']:.6f})" in text
    assert "100 of 162; 62 cannot recover the revenue requirement, 62 of them proved" in text


def test_wrong_multipliers_make_a_bound_weak_never_wrong(monkeypatch):
    """Whatever a solver returns as multipliers, the sum in rationals stays below the cost."""
    import scipy.optimize

    p = leader_program(TOWN, (0.08, 0.2, 0.08, 0.2), 0.25)
    true, honest = scipy.optimize.linprog, evaluate(TOWN, (0.08, 0.2, 0.08, 0.2), 0.25)
    rng = np.random.default_rng(0)

    def noisy(*args, **rest):
        answered = true(*args, **rest)
        answered.ineqlin.marginals = answered.ineqlin.marginals + rng.normal(0, 0.1, answered.ineqlin.marginals.shape)
        answered.eqlin.marginals = answered.eqlin.marginals + rng.normal(0, 0.1, answered.eqlin.marginals.shape)
        return answered

    monkeypatch.setattr("scipy.optimize.linprog", noisy)
    for _ in range(5):
        cost, bound = bounded(p)
        assert cost == pytest.approx(honest)
        assert bound < honest - 1e-3


def test_a_bound_that_does_not_meet_the_cost_is_no_proof(found):
    tariff = found.best
    weak = ToyAnswer(TOWN, found.costs, {**found.bounds, tariff: found.bounds[tariff] - Fraction(1, 100)})
    assert weak.status is Status.FAILED
    unknown = next(t for t, b in found.bounds.items() if b is None)
    assert ToyAnswer(TOWN, found.costs, {**found.bounds, unknown: UNKNOWN}).status is Status.FAILED
    assert dataclasses.replace(found, program=(Status.OPTIMAL, 1.8)).status is Status.FAILED
    assert dataclasses.replace(found, program=(Status.OPTIMAL, found.costs[tariff])).status is Status.PROVED


def test_the_command(found, monkeypatch):
    monkeypatch.setattr("stackopt.energy.toy_proof.answer", lambda town, **_: found)
    printed = CliRunner().invoke(app, ["tariff", "toy"])
    assert printed.exit_code == 0
    assert "1.745639" in printed.stdout
    stored = json.loads(CliRunner().invoke(app, ["tariff", "toy", "--json"]).stdout)
    assert stored["status"] == "PROVED"
    assert sum(t["cost"] is None for t in stored["tariffs"]) == 62
