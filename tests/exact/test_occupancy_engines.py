"""Two engines over the same rows: they agree, contradict neither each other nor any policy, and a wrong word of one is not repeated."""

import dataclasses

import numpy as np
import pytest

import stackopt as so
from stackopt import catalog
from stackopt.backends import scip
from stackopt.backends.answer import Answer
from stackopt.exact.occupancy import run as occupancy_run
from stackopt.exact.occupancy.box import tighten
from stackopt.exact.occupancy.by_scip import ask_scip, occupancy_program
from stackopt.exact.occupancy.search import OccupancySearch
from stackopt.games.dynamic_programming import discounted_visits, optimal_value
from stackopt.games.operators import follower_mdp, leader_reward_mdp
from stackopt.games.responses import commitment
from stackopt.solution import STRONG_VALUE, Status

from .tiny import tiny_game

with_scip = pytest.mark.skipif(not scip.available(), reason="needs pyscipopt")


@with_scip
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shared", [False, True])
def test_the_engines_agree(seed, shared):
    game = tiny_game(seed, (3, 2, 2), discounts=(0.8, 0.8 if seed % 2 else 0.6), shared=shared)
    theirs, ours = OccupancySearch(game), OccupancySearch(game)
    said = ask_scip(theirs, time_limit=20)
    ours.advance(20)
    assert not said.fault, said
    assert ours.attained() == pytest.approx(theirs.attained(), abs=2e-6)
    assert said.bound >= ours.attained() - 1e-6
    assert ours.bound >= theirs.attained() - 1e-6


@with_scip
@pytest.mark.parametrize("name", ["inspection", "vorobeychik_random", "commitment_2x2"])
def test_scip_alone_finds_known_values_of_games(name):
    solution = so.solve(catalog.build(name), so.Scip())
    assert (solution.status, solution.certified) == (Status.OPTIMAL, True)
    known = catalog.model(name).known
    assert solution.value == pytest.approx(known["strong"], abs=2e-6)
    assert (solution.bound.of, solution.bound.reference) == (STRONG_VALUE, "D8")


@pytest.mark.parametrize("discounts", [(0.7, 0.9), (0.8, 0.8)])
def test_the_rows_hold_for_true_policies_and_best_responses(discounts):
    game = tiny_game(3, (3, 3, 2), discounts=discounts)
    search, rng = OccupancySearch(game), np.random.default_rng(0)
    choices, rows = search.choices, search.relaxation.rows
    program = occupancy_program(rows, tighten(choices, search.root(), 400))
    for _ in range(20):
        policy = rng.dirichlet(np.ones(3), 3)
        found = commitment(game, policy)
        response = found.strong_response
        visits = discounted_visits(leader_reward_mdp(game, policy), response, game.initial)
        raw = optimal_value(follower_mdp(game, policy)).value
        value = (raw - choices.follower_unit[1] / (1 - game.follower_discount)) / choices.follower_unit[0]
        v = np.zeros(rows.count)
        v[rows.m] = visits[:, None, None] * policy[:, :, None] * response[:, None]
        v[rows.x], v[rows.z], v[rows.V], v[rows.y], v[rows.d] = policy, policy[..., None] * value, value, response, visits
        assert program.violation(v) <= 1e-7
        assert search.real(-program.value(v)) == pytest.approx(float(found.strong), abs=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_cutting_ranges_loses_nothing_worth_more(seed):
    """By linear programs and by reduced costs: every policy worth more than the cut stays inside."""
    game = tiny_game(seed, (3, 2, 2), discounts=(0.8, 0.9))
    search, rng = OccupancySearch(game), np.random.default_rng(seed)
    policies = rng.dirichlet(np.full(2, 0.4), (300, 3))
    worth = np.array([float(commitment(game, policy).strong) for policy in policies])
    least = np.quantile(worth, 0.9)
    box = tighten(search.choices, search.root(), 100)
    narrowed = search.relaxation.narrowed(box, search.normal(least), time_limit=10)
    status, relaxed = search.relaxation.solve(box)
    assert status is Status.OPTIMAL
    reduced = search.relaxation.reduced(box, relaxed, search.normal(least))
    assert (narrowed.value_high - narrowed.value_low).sum() < (box.value_high - box.value_low).sum()
    for found in (narrowed, reduced):
        for policy, response in ((p, commitment(game, p).strong_response) for p in policies[worth > least]):
            assert (policy >= found.lower - 1e-9).all()
            assert (policy <= found.upper + 1e-9).all()
            value = optimal_value(follower_mdp(game, policy)).value
            value = (value - search.choices.follower_unit[1] / (1 - game.follower_discount)) / search.choices.follower_unit[0]
            assert (value >= found.value_low - 1e-7).all()
            assert (value <= found.value_high + 1e-7).all()
            assert found.allowed[np.arange(3), response.argmax(1)].all()


def test_a_search_in_many_turns_is_the_search():
    game = tiny_game(4, (3, 2, 2), discounts=(0.8, 0.85))
    once, often = OccupancySearch(game), OccupancySearch(game)
    once.advance(30)
    bounds = [np.inf]
    for _ in range(2000):
        often.advance(0.01)
        bounds.append(often.bound)
        if often.outcome().status is Status.OPTIMAL:
            break
    assert (np.diff(bounds[1:]) <= 1e-9).all()
    assert often.outcome().status is once.outcome().status is Status.OPTIMAL
    assert often.attained() == pytest.approx(once.attained(), abs=2e-6)


def test_a_bound_told_closes_the_gap():
    game = catalog.build("vorobeychik_random")
    search = OccupancySearch(game, known=[np.array([[0.5, 0.5], [0.5, 0.5]])])
    search.tell(search.attained())
    search.advance(5)
    assert search.outcome().bound >= search.attained()
    assert search.bound - search.attained() <= 1e-6


@with_scip
@pytest.mark.parametrize("claim", ["too low", "infeasible"])
def test_a_wrong_word_of_scip_is_a_fault_of_scip(monkeypatch, claim):
    true = scip.solve_program

    def lies(program, **rest):
        answer = true(program, **rest)
        if claim == "too low":
            return dataclasses.replace(answer, bound=answer.bound + 0.1 * abs(answer.bound))
        return Answer(Status.INFEASIBLE, None, np.nan, np.inf, np.nan, 1, 0.0, "SCIP: infeasible")

    monkeypatch.setattr(scip, "solve_program", lies)
    game = tiny_game(4, (3, 2, 2), discounts=(0.8, 0.85))
    alone = so.solve(game, so.Scip(time_limit=10))
    assert (alone.status, alone.bound) == (Status.FAILED, None)
    assert "solver fault" in alone.because
    monkeypatch.setattr(occupancy_run, "FIRST", 0.0)  # SCIP comes first
    both = so.solve(game, so.Exact())
    assert both.certified
    assert "fault" in both.because


@with_scip
def test_scip_helps_where_the_search_has_no_time(monkeypatch):
    monkeypatch.setattr(OccupancySearch, "advance", lambda self, seconds: None)
    solution = so.solve(catalog.build("inspection"), so.Exact())
    assert solution.certified
    assert "SCIP: optimal" in solution.because


def test_without_the_package(monkeypatch):
    monkeypatch.setattr(scip, "available", lambda: False)
    game = catalog.build("inspection")
    refusal = so.Scip().refuses(game)
    assert (refusal.code, refusal.law["package"]) == ("package", "pyscipopt")
    with pytest.raises(so.Refused):
        so.solve(game, so.Scip())
    assert so.solve(game, so.Exact()).certified


def test_scip_refuses_batches_and_large_games():
    game = catalog.build("inspection")
    assert so.Scip().refuses(so.StackelbergGame.stack([game, game])).code == "single-game"
    assert so.Scip().refuses(tiny_game(0, (101, 2, 2), discounts=(0.5, 0.5))).code == "too-large"
