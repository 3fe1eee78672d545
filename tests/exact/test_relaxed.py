"""The relaxed strong commitment against enumeration: a follower that gives up at most a margin in every state."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

import stackopt as so
from stackopt.backends.highs import solve_milp
from stackopt.exact.relaxed import run_relaxed
from stackopt.games.dynamic_programming import optimal_value, policy_value
from stackopt.games.operators import follower_mdp
from stackopt.games.responses import leader_value
from stackopt.reformulations.formulation import simplex_grid
from stackopt.solution import Status

from .tiny import commit_2x2, tiny_game


def by_enumeration(game, margin, points):
    """Every pick of the leader and every deterministic response, each evaluated by itself."""
    S, _, B = game.shape
    best = -np.inf
    for pick in itertools.product(range(len(points)), repeat=S):
        policy = points[list(pick)]
        mdp = follower_mdp(game, policy)
        most = optimal_value(mdp).value
        for played in itertools.product(range(B), repeat=S):
            response = np.eye(B)[list(played)]
            if (most - policy_value(mdp, response)).max() <= margin + 1e-10:
                best = max(best, float(leader_value(game, policy, response)))
    return best


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("margin", [0.05, 0.5])
def test_deterministic_leaders_by_enumeration(seed, margin):
    game = tiny_game(seed, (2, 2, 2) if seed % 2 else (2, 2, 3), discounts=(0.5, 0.8))
    solution = so.solve(game, so.Exact(concept="relaxed", leader="deterministic", margin=margin))
    assert solution.certified, solution
    assert solution.value == pytest.approx(by_enumeration(game, margin, np.eye(2)), abs=2e-6)
    assert solution.certificate.values["follower_regret"] <= margin + 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_a_net_by_enumeration(seed):
    game = tiny_game(seed, (2, 2, 2), discounts=(0.6, 0.6))
    solution = so.solve(game, so.Exact(concept="relaxed", leader="net", grid=3, margin=0.2))
    assert solution.certified, solution
    assert solution.value == pytest.approx(by_enumeration(game, 0.2, simplex_grid(2, 3)), abs=2e-6)


@pytest.mark.parametrize("seed", range(6))
def test_randomised_leaders_by_a_linear_program_per_response(seed):
    """Transitions free of the leader: for a fixed response everything is linear in x and the follower's best value."""
    game = tiny_game(seed, (2, 2, 2), free=True, discounts=(0.7, 0.8))
    margin, (S, A, B), best = 0.3, game.shape, -np.inf
    kernel = game.transition[:, 0]
    for played in itertools.product(range(B), repeat=S):
        at, eye = np.arange(S), np.eye(S)
        own = np.linalg.inv(eye - game.follower_discount * kernel[at, list(played)])
        mine = np.linalg.inv(eye - game.leader_discount * kernel[at, list(played)])
        # columns: x [S, A], V [S]
        goal = (game.initial @ mine)[:, None] * game.leader_reward[at, :, list(played)]
        rows, sides = [], []
        for s, b in itertools.product(range(S), range(B)):  # r_F(b) x + gamma P V <= V
            row = np.zeros(S * A + S)
            row[s * A : s * A + A] = game.follower_reward[s, :, b]
            row[S * A :] = game.follower_discount * kernel[s, b] - eye[s]
            rows.append(row)
            sides.append(0.0)
        for s in range(S):  # V - V^y <= margin
            row = np.zeros(S * A + S)
            row[: S * A] = -(own[s][:, None] * game.follower_reward[at, :, list(played)]).ravel()
            row[S * A + s] = 1.0
            rows.append(row)
            sides.append(margin)
        simplex = np.hstack([np.kron(eye, np.ones(A)), np.zeros((S, S))])
        found = linprog(np.r_[-goal.ravel(), np.zeros(S)], np.array(rows), sides, simplex, np.ones(S), [(0, 1)] * (S * A) + [(None, None)] * S)
        if found.status == 0:
            best = max(best, -found.fun)
    solution = so.solve(game, so.Exact(concept="relaxed", margin=margin))
    assert solution.certified, solution
    assert solution.value == pytest.approx(best, abs=1e-5)
    assert solution.bound.reference == "D3, D2"


def test_between_the_strong_value_and_the_joint_optimum():
    values = [so.solve(commit_2x2(), so.Exact(concept="relaxed", margin=m)).value for m in (1e-6, 0.1, 0.5, 1.0)]
    # A.5 with p = x(T): the follower plays r up to p = (1 + margin) / 2, worth 3 + p
    assert values == pytest.approx([3.5, 3.55, 3.75, 4.0], abs=1e-5)


def test_it_prints_what_the_follower_gives_up_and_its_claim_is_checked():
    solution = so.solve(commit_2x2(), so.Exact(concept="relaxed", margin=0.5))
    assert "gives up 0.5 of the 0.5 it may" in str(solution)
    false = so.Profile(solution.candidate.leader_policy, solution.candidate.follower_policy, concept="relaxed", margin=0.4, claim=solution.value)
    certificate = commit_2x2().certify(false)
    assert [c.name for c in certificate.failures] == ["follower optimal"]


def test_the_program_can_be_read_and_solved_elsewhere():
    stated = so.Exact(concept="relaxed", margin=0.5).reformulate(commit_2x2())
    found = solve_milp(stated.formulation.milp)
    profile = stated.lift(found.point)
    assert commit_2x2().certify(profile).certified
    assert profile.claim == pytest.approx(3.75, abs=1e-6)


def test_refusals():
    moving = tiny_game(3, (2, 2, 2), discounts=(0.8, 0.8))
    assert so.Exact(concept="relaxed").refuses(moving).code == "leader-moves-state"
    assert so.Exact(concept="relaxed").refuses(so.catalog.build("bayes_dobss")).code == "wrong-problem"
    assert so.Enumeration(concept="relaxed").refuses(moving).code == "wrong-problem"


@pytest.mark.parametrize("lie", ["bound", "infeasible"])
def test_a_solver_that_lies_is_a_fault(lie):
    import dataclasses

    def solve(milp, **rest):
        found = solve_milp(milp, **rest)
        if lie == "bound":
            return dataclasses.replace(found, bound=found.bound - 1.0)
        return dataclasses.replace(found, status=Status.INFEASIBLE, point=None)

    run = run_relaxed(commit_2x2(), leader="randomised", grid=1, of="it", margin=0.5, time_limit=10, confirm=True, seed=0, solve=solve)
    assert (run.status, run.bound) == (Status.FAILED, None)
    assert "solver fault" in run.because


def test_no_time_is_a_limit():
    run = so.Exact(concept="relaxed", margin=0.5, time_limit=0.0).run(commit_2x2())
    assert (run.status, run.bound) == (Status.LIMIT, None)
