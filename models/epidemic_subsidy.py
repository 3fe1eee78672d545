"""Epidemic subsidy: protection is worth more to the town than to those who pay for it.

A town of `people` people, some infected; the state is how many. In each week the health office (leader) pays a share of the price of
protection (masks, tests, a short-lived vaccine), and the healthy (follower, one representative of them) protect themselves or do
not. Each healthy person is then infected with probability

    1 - (1 - imported) * (1 - contagion * (1 - efficacy * protected)) ** infected,

each infected one recovers with probability `recovery` (and can be infected again: SIS), all independently. With h healthy and
n infected people:

    follower   -(1 - share) * price * h, if protected           - own * n
    leader     -share * price * h * (1 + funds), if protected   - harm * n

`own` is what an infection costs the infected and `harm` what it costs all, they included; the difference is why the office pays.
The subsidy does not move the state, so the best one is a mixed-integer linear program (theory D3). A mixed share is its
mean: `menu` need only hold the lowest and the highest.

Why to commit: a subsidy is a promise. Where people protect themselves, the office would rather have paid nothing; where they do
not, it pays nothing anyway. So the only fixed point up to ties is life without a subsidy. Protection also is what others' protection
saves: with few infected people it is not worth its price, and the disease comes back. Committed, the office pays where a little
money decides.

With the default figures the commitment is worth -23.09: less than a quarter of the price, and more of it the fewer are infected. To
pay half the price always is worth -27.85, to pay nothing, the fixed point, -52.11.

Source: constructed here. Protection that follows prevalence, and why subsidies then do less than one thinks, are in P. Geoffard and
T. Philipson, Rational epidemics and their public control, International Economic Review 37 (1996), from memory: there the
population is large and each person decides alone. A representative of all healthy people, who counts the infections of all at
`own`, a small town and all figures are ours.
"""

from __future__ import annotations

from math import comb

import numpy as np

from stackopt import StackelbergGame
from stackopt.catalog import require

#: Of the default parameters; `always_half` if the office pays half the price, whatever the number of infected.
KNOWN: dict[str, object] = {
    "strong": -23.0856422986,
    "weak": -23.0856422986,
    "fixed_point": -52.1085985187,
    "strong_deterministic": -27.8484663867,
    "always_half": -27.8484663867,
    "tolerance": 1e-6,
    "reference": "one linear program for each pure response, here and with a margin that goes to 0; enumeration of subsidies; two Markov decision problems",
}


def build(
    *,
    people: int = 4,
    menu: tuple[float, ...] = (0.0, 0.5, 1.0),
    contagion: float = 0.4,
    efficacy: float = 0.8,
    recovery: float = 0.5,
    imported: float = 0.05,
    price: float = 1.0,
    own: float = 1.0,
    harm: float = 3.0,
    funds: float = 0.2,
    discount: float = 0.9,
) -> StackelbergGame:
    """The subsidy game.

    Parameters
    ----------
    people : int
        In the town, 1 to 40.
    menu : tuple of float
        Shares of the price that the office may pay, different, in [0, 1].
    contagion, efficacy, recovery, imported : float
        Probabilities: that one infected person infects a healthy one in a week; that protection stops that; that an infected
        person recovers in a week; that a healthy one catches the disease elsewhere.
    price : float
        Of a week's protection of one person; non-negative, in the unit of `own`.
    own, harm : float
        Cost of a week of infection: to the infected, and to all; 0 <= own <= harm.
    funds : float
        What a dollar of subsidy costs the public more than a dollar; non-negative.
    discount : float
        Of both players and a week, in [0, 1).
    """
    require("epidemic_subsidy", "people", people, 1 <= people <= 40, "from 1 to 40")
    require("epidemic_subsidy", "menu", menu, len(menu) > 0 and len(set(menu)) == len(menu) and all(0 <= m <= 1 for m in menu), "different shares in [0, 1]")
    for name, value in (("contagion", contagion), ("efficacy", efficacy), ("recovery", recovery), ("imported", imported)):
        require("epidemic_subsidy", name, value, 0 <= value <= 1, "in [0, 1]")
    require("epidemic_subsidy", "price", price, price >= 0, "non-negative")
    require("epidemic_subsidy", "own", own, 0 <= own <= harm, f"from 0 to {harm:g} (harm)")
    require("epidemic_subsidy", "funds", funds, funds >= 0, "non-negative")
    share = np.asarray(menu)
    leader, follower = np.zeros((2, people + 1, len(menu), 2))
    transition = np.zeros((people + 1, len(menu), 2, people + 1))
    for infected in range(people + 1):
        healthy = people - infected
        for b, protected in enumerate((1, 0)):
            bill = price * healthy * protected
            follower[infected, :, b] = -(1 - share) * bill - own * infected
            leader[infected, :, b] = -share * bill * (1 + funds) - harm * infected
            escape = (1 - imported) * (1 - contagion * (1 - efficacy * protected)) ** infected
            transition[infected, :, b] = np.convolve(_binomial(healthy, 1 - escape), _binomial(infected, 1 - recovery))
    return StackelbergGame(
        leader,
        follower,
        transition,
        discount=discount,
        initial=np.eye(people + 1)[min(1, people)],
        states=[f"{infected} infected" for infected in range(people + 1)],
        leader_actions=[f"pays {100 * m:.4g} %" for m in menu],
        follower_actions=["protect", "do not"],
        name="epidemic_subsidy",
    )


def _binomial(trials: int, chance: float) -> np.ndarray:
    """Probabilities of 0, ..., `trials` successes."""
    return np.array([comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(trials + 1)])
