"""E28 to E30: the routes of `Exact` agree on small games, and a wrong claim of one would be noticed."""

from dataclasses import replace

import pytest

from stackopt.verification import predictions_of_routes as routes
from stackopt.verification.verify import reproduce


@pytest.mark.parametrize("tag", ["E28", "E29", "E30"])
def test_the_routes_hold_what_they_claim(tag):
    verdicts = [e.verdict for index in (0, 3) for e in reproduce(tag, 8, index)]
    assert "violated" not in verdicts
    assert verdicts.count("holds") > 20


@pytest.mark.parametrize(("tag", "route"), [("E28", "run_occupancy"), ("E29", "run_shaped"), ("E30", "run_stagewise")])
def test_a_claim_above_the_truth_or_a_bound_below_it_is_noticed(monkeypatch, tag, route):
    honest = getattr(routes, route)

    def boasting(*args, **rest):
        run = honest(*args, **rest)
        return replace(run, candidate=replace(run.candidate, claim=float(run.candidate.claim) + 0.1))

    def pessimist(*args, **rest):
        run = honest(*args, **rest)
        return replace(run, bound=replace(run.bound, value=run.bound.value - 0.1))

    for liar in (boasting, pessimist):
        monkeypatch.setattr(routes, route, liar)
        assert "violated" in {e.verdict for e in reproduce(tag, 8, 0)}


def test_a_route_that_gives_up_is_not_applicable(monkeypatch):
    monkeypatch.setattr(routes, "run_shaped", lambda game: None)
    monkeypatch.setattr(routes, "run_stagewise", lambda game: None)
    for tag in ("E29", "E30"):
        assert {e.verdict for e in reproduce(tag, 8, 0)} == {"not applicable"}
