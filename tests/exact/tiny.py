"""Tiny games for the exact methods: ties, near-ties of 1e-7, deterministic kernels, discounts from 0 to 0.99, shared observations."""

import numpy as np

import stackopt as so

DISCOUNTS = (0.0, 0.5, 0.9, 0.99)


def commit_2x2(**rest):
    """Theory A.5: strong value 3.5 at x = (1/2, 1/2), pure 3; the weak supremum 3.5 is not attained, and W_0(1/2) = 1.5."""
    return so.StackelbergGame([[[2, 4], [1, 3]]], [[[1, 0], [0, 1]]], so.stay, **({"discount": 0.0, "name": "commit-2x2"} | rest))


def tiny_game(seed, shape=(2, 2, 2), *, rewards=None, free=False, stagewise=False, shared=False, discounts=None):
    """A random game. free: the leader's action moves nothing; stagewise: the follower's moves nothing; shared: two states look alike."""
    rng = np.random.default_rng(seed)
    S, A, B = shape
    rewards = rewards or ("unit", "ties", "near-ties")[seed % 3]
    r = rng.uniform(-1, 1, (2, S, A, B)) if rewards == "unit" else rng.integers(0, 2, (2, S, A, B)).astype(float)
    if rewards == "near-ties":
        r[1] += 1e-7 * rng.integers(-1, 2, r[1].shape)
    P = rng.dirichlet(np.ones(S), (S, A, B)) if seed % 2 else np.eye(S)[rng.integers(S, size=(S, A, B))]
    if free:
        P = np.repeat(P[:, :1], A, 1)
    if stagewise:
        P = np.repeat(P[:, :, :1], B, 2)
    leader, follower = discounts or rng.choice(DISCOUNTS, 2)
    observes = [0, 0, *range(1, S - 1)] if shared and S > 1 else None
    return so.StackelbergGame(
        r[0], r[1], P, leader_discount=leader, follower_discount=follower, initial=rng.dirichlet(np.ones(S)), leader_observes=observes, name=f"tiny {seed}"
    )


def agree(exact, brute, tolerance=2e-6):
    """Both certified and equal, or the exact method does not claim an optimum because floating point does not decide a tie."""
    assert brute.certified, brute
    if exact.status is so.Status.LIMIT:
        assert "near-tie" in exact.because, exact
        return False
    assert exact.status.success, exact
    assert exact.certified, exact
    assert abs(exact.value - brute.value) <= tolerance * (1.0 + abs(brute.value)), (exact, brute)
    return True
