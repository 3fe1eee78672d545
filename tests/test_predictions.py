"""Predictions of the theory (section E) as property tests: never exceeded, and each applies somewhere."""

import math

import pytest
from hypothesis import HealthCheck, given, settings

import stackopt as so
from stackopt.verification.instances import instance
from stackopt.verification.predictions import Case
from stackopt.verification.verify import PREDICTIONS, reproduce, verify
from tests.strategies import instances

#: Examples by prediction: fewer where one takes a solver.
EXAMPLES = {"E13": 8, "E14": 8, "E15": 6, "E21": 4, "E28": 4, "E29": 4, "E30": 6}
EVALUATE = {p.tag: p.evaluate for p in PREDICTIONS}


def held(examinations):
    """How many bounds applied; fails on the first that is violated or not a number."""
    applied = 0
    for e in examinations:
        if all(a.holds for a in e.bound.assumptions):
            assert not math.isnan(e.bound.value), f"{e.bound.of} [{e.bound.reference}] is NaN although it applies"
            assert e.verdict == "holds", f"{e.bound.of} [{e.bound.reference}]: {e.measured!r} against {e.bound.value!r}, slack {e.slack!r}"
            applied += 1
    return applied


@pytest.mark.parametrize("tag", list(EVALUATE))
def test_prediction_holds_on_adversarial_games(tag):
    @settings(max_examples=EXAMPLES.get(tag, 60), derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(instances())
    def holds(inst):
        held(EVALUATE[tag](Case(inst, 1)))

    holds()


@pytest.mark.parametrize("tag", list(EVALUATE))
def test_prediction_applies_somewhere(tag):
    applied = 0
    for index in range(0, 60, 20 if tag in EXAMPLES else 1):
        applied += held(reproduce(tag, 7, index))
        if applied > 3:
            return
    assert applied > 0


def test_instances_are_a_function_of_seed_and_index():
    assert instance(3, 5).game.fingerprint() == instance(3, 5).game.fingerprint()
    assert instance(3, 5).game.fingerprint() != instance(3, 6).game.fingerprint()
    assert instance(3, 5).game.fingerprint() != instance(4, 5).game.fingerprint()


def test_a_case_does_not_depend_on_what_else_was_drawn():
    first, second = Case(instance(0, 1), 3), Case(instance(0, 1), 3)
    second.instance.rng(2).random(100)
    assert (first.x == second.x).all()


def test_verify_counts_and_prints():
    seen = []
    result = verify(instances=4, seed=2, report=seen.append)
    assert result.good, str(result)
    assert [p.done for p in seen] == [1, 2, 3, 4]
    assert {row["prediction"] for row in result.rows()} == set(EVALUATE)
    assert all(row["checked"] == row["applied"] + row["not_applicable"] for row in result.rows())
    assert result.rows()[0]["instances"] == 4
    assert str(result).splitlines()[0].startswith("Verification: 0 violations in ")
    assert max(len(line) for line in str(result).splitlines()) <= 100


def test_verify_is_reproducible_and_plain():
    one, two = verify(instances=2, seed=1), verify(instances=2, seed=1)
    assert one.json() == two.json()
    assert one.to_json()["schema"] == "stackopt.verification/1"


@pytest.mark.parametrize(("instances", "seed"), [(0, 0), (1, -1)])
def test_nothing_to_verify_is_an_error(instances, seed):
    with pytest.raises(so.InvalidMethod, match="setting"):
        verify(instances=instances, seed=seed)


def _watched(monkeypatch, evaluate):
    import stackopt.verification.verify as module

    monkeypatch.setattr(module, "PREDICTIONS", (module.Prediction("E1", evaluate),))
    return module.verify(instances=1, seed=0)


def test_a_violation_is_reported_with_the_line_that_reproduces_it(monkeypatch):
    from stackopt.certificate import Bound, Examination

    def too_much(case):
        """Says something false."""
        yield Examination(2.0, Bound(1.0, "a quantity", "B0"))

    result = _watched(monkeypatch, too_much)
    assert not result.good
    (violation,) = result.violations
    scope = {}
    exec(violation.reproduce.replace("print(", "found = ("), scope)
    assert scope["found"][0].measured == 2.0
    assert "VIOLATED" in str(result)


@pytest.mark.parametrize(("measured", "value"), [(math.nan, 1.0), (0.0, math.nan)])
def test_nan_is_a_violation(monkeypatch, measured, value):
    from stackopt.certificate import Bound, Examination

    def broken(case):
        """Says nothing."""
        yield Examination(measured, Bound(value, "a quantity", "B0"))

    assert len(_watched(monkeypatch, broken).violations) == 1


def test_a_crash_is_a_violation(monkeypatch):
    def crash(case):
        """Fails."""
        yield 1 / 0

    result = _watched(monkeypatch, crash)
    assert not result.good
    assert "ZeroDivisionError" in result.violations[0].because


def test_a_bound_that_does_not_apply_is_counted_not_passed(monkeypatch):
    from stackopt.certificate import Assumption, Bound, Examination

    def guarded(case):
        """Needs more than it gets."""
        yield Examination(5.0, Bound(1.0, "a quantity", "B0", (Assumption("modulus < 1", False, "modulus is 3.42"),)))

    result = _watched(monkeypatch, guarded)
    (row,) = result.rows()
    assert (row["applied"], row["not_applicable"], row["why_not"], row["violated"]) == (0, 1, "modulus < 1", 0)


@pytest.mark.parametrize(
    ("tag", "module", "name"),
    [
        ("E2", "softmax", "boltzmann_loss"),
        ("E3", "softmax", "softmax_change"),
        ("E4", "lipschitz", "response_change"),
        ("E9", "sandwich", "value_sandwich"),
        ("E10", "sandwich", "action_sandwich"),
        ("E12", "relaxation", "individually_rational"),
    ],
)
def test_a_bound_that_is_too_good_would_be_noticed(monkeypatch, tag, module, name):
    """The examinations can fail: shrink one bound by a fifth and some instance violates it."""
    import importlib
    from dataclasses import replace

    bounds = importlib.import_module(f"stackopt.bounds.{module}")
    original = getattr(bounds, name)

    def shrunk(*args, **rest):
        found = original(*args, **rest)
        smaller = [replace(b, value=b.value - (0.2 if b.sense == "upper" else -0.2) * abs(b.value)) for b in (found if isinstance(found, tuple) else (found,))]
        return tuple(smaller) if isinstance(found, tuple) else smaller[0]

    monkeypatch.setattr(bounds, name, shrunk)
    verdicts = (e.verdict for index in range(100) for e in reproduce(tag, 5, index))
    assert "violated" in verdicts


@pytest.mark.parametrize("index", [2598, 5792])
def test_rounding_is_carried_where_nothing_mixes(index):
    """Absorbing chains with constant rewards: exact responses do not move, computed ones by what rounding is worth at 1 / (1 - 0.999)."""
    assert {e.verdict for e in reproduce("E4", seed=0, index=index)} == {"holds"}


def test_some_predictions_see_what_they_see_among_all():
    every, some = verify(instances=2, seed=1), verify(instances=2, seed=1, only=("E4", "E8"))
    assert list(some.tallies) == ["E4", "E8"]
    assert all(some.tallies[tag] == every.tallies[tag] for tag in some.tallies)
    with pytest.raises(so.InvalidMethod, match="E99"):
        verify(instances=1, only=["E99"])
