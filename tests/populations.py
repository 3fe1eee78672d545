"""Games that several tests use, small enough to be checked by hand."""

import numpy as np

import stackopt as so

#: SIS epidemic: infection at rate .81 mu_I for those who go out, recovery .3; infected pay 1, distancing costs .5.
INFECTION, RECOVERY, COST = 0.81, 0.3, 0.5


def sis_reward(t, y, theta):
    subsidy = theta[0] if len(theta) else 0.0
    reward = np.zeros((1, len(t), 2, 2), np.result_type(y, theta))
    reward[..., 1, :] -= 1.0
    reward[..., 0, 1] -= COST - subsidy
    reward[..., 1, 1] -= COST
    return reward


def sis_transition(t, y, theta):
    kernel = np.zeros((1, len(t), 2, 2, 2), y.dtype)
    infected = INFECTION * y[:, 1]
    kernel[0, :, 0, 0, 1], kernel[0, :, 0, 0, 0] = infected, 1.0 - infected
    kernel[0, :, 0, 1, 0] = 1.0
    kernel[0, :, 1, :, 0], kernel[0, :, 1, :, 1] = RECOVERY, 1.0 - RECOVERY
    return kernel


def sis(horizon=None, **rest):
    return so.MeanFieldStackelbergGame(horizon or so.Stationary(0.99), sis_reward, sis_transition, sizes=(1, 2, 2), name="sis", **rest)


def random_game(seed=0, K=2, T=1, S=3, B=2, horizon=None, coupling=1.0, **rest):
    """Affine rewards, a fixed kernel."""
    rng = np.random.default_rng(seed)
    return so.MeanFieldStackelbergGame(
        horizon or (so.Stationary(0.9) if T == 1 else so.Periodic(T, 0.9)),
        rng.normal(size=(K, T, S, B)),
        rng.dirichlet(np.ones(S), size=(K, T, S, B)),
        reward_population=coupling * rng.normal(size=(K, T, S, B, S)),
        weights=rng.dirichlet(np.ones(K)),
        **rest,
    )


def random_policy(game, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(game.shape[-1]), size=game.shape[:-1])


def branching(payoff, name):
    """Stage 0 picks a place, stage 1 pays by the masses there: the shape of left-right and rock-paper-scissors."""
    n = len(payoff)
    kernel = np.zeros((2, n + 1, n, n + 1))
    kernel[0, :] = np.eye(n + 1)[1:]
    kernel[1, :] = np.eye(n + 1)[:, None]
    slopes = np.zeros((2, n + 1, n, n + 1))
    slopes[1, 1:, :, 1:] = np.asarray(payoff)[:, None, :]
    return so.MeanFieldStackelbergGame(so.Finite(2, np.eye(n + 1)[0]), np.zeros((n + 1, n)), kernel, reward_population=slopes, name=name)
