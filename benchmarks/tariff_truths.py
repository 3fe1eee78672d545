"""The built-in tariff game with a household whose tastes and temperature the utility does not know."""

import numpy as np

import stackopt as so
from stackopt.learning.from_samples.inverse import soft_values, with_taste
from stackopt.learning.from_samples.levels import Levels

RATES = (0.36757, 0.39757, 0.3994, 0.5224)
PERIOD = np.repeat(np.arange(4), 6)
KNOWN = so.catalog.build("tariff")
LEVELS = Levels(KNOWN, list(PERIOD), RATES)
MENU = LEVELS.policy(LEVELS.menu)
#: What `learn` is told of the problem.
SETTING = {"groups": list(PERIOD), "scale": RATES, "steps_per_day": 4, "guess": 0.07}


def load_meters():
    """Energy bought in each period, [S, B, 4] kWh: bills at two rates differ by it."""
    bought = (KNOWN.follower_reward[:, 0] - KNOWN.follower_reward[:, 3]) / (RATES[3] - RATES[0])
    meters = np.zeros((*bought.shape, 4))
    meters[np.arange(len(bought)), :, PERIOD] = bought
    return meters


def truth(seed):
    """(game with the household's true reward, its temperature): tastes as large as the money a battery moves."""
    rng = np.random.default_rng(seed)
    S, _, B = KNOWN.shape
    taste = rng.normal(0, 0.25, (4, B))[PERIOD] + rng.normal(0, 0.1, (S, B))
    taste[:, 2] -= 0.1
    return with_taste(KNOWN, taste), float(np.exp(rng.uniform(np.log(0.03), np.log(0.15))))


def gaps(game, temperature, levels):
    """`gaps_of` households that are all alike."""
    return gaps_of([(game, temperature)], levels)


def gaps_of(truths, levels):
    """Exact loss to the best of the menu of policies [K, G], in percent of the best; the truths are (game, temperature) of equal shares of households."""

    def values(policies):
        return np.mean([soft_values(game, policies, temperature) for game, temperature in truths], 0)

    return 100 * (1 - values(LEVELS.policy(np.asarray(levels))) / abs(values(MENU).max()))


def days_to(history, losses, level=2.0):
    """The day from which on the recommendation stays within `level` percent; infinity if never."""
    bad = np.flatnonzero(np.asarray(losses) > level)
    if not len(bad):
        return 0
    return history[bad[-1] + 1][0] if bad[-1] + 1 < len(history) else np.inf
