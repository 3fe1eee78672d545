"""Two terms that are not affine in the population and that many games share, as small objects that can be pickled and fingerprinted.

Everything affine is given to `MeanFieldStackelbergGame` as arrays; any other function can be given too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.errors import InvalidGame
from stackopt.games import validation
from stackopt.games.mean_field.namespace import namespace


@dataclass(frozen=True, eq=False)
class LogCrowding:
    r"""Rewards :math:`r_{sb}-w\log(y_s+\epsilon)`: places lose as they fill up. For games with the statistic ``"states"``.

    The reward is monotone in the sense of Lasry and Lions and has a potential, so that with a kernel that the population does not
    move equilibria are the maxima of a concave program, and all have the same distributions of states.

    Parameters
    ----------
    base : array [S, B] or [T, S, B]
        :math:`r`.
    weight : float
        w, non-negative.
    epsilon : float
        Positive; keeps the logarithm of an empty place finite.

    Raises
    ------
    InvalidGame
        ``axes``, ``finite`` or ``term``.

    Examples
    --------
    >>> import numpy as np
    >>> from stackopt.games.mean_field.terms import LogCrowding
    >>> reward = LogCrowding(np.zeros((2, 1)))                    # two places, nothing to choose
    >>> reward(np.array([0]), np.array([[0.25, 0.75]]), None).round(3).tolist()
    [[[1.386], [0.288]]]
    """

    base: Any
    weight: float = 1.0
    epsilon: float = 1e-20

    def __post_init__(self) -> None:
        base = validation.as_float("base", self.base, "[T, S, B]")
        if base.ndim not in (2, 3) or 0 in base.shape:
            remedy = "rewards by state and action, with a stage in front where they differ"
            raise InvalidGame("axes", array="base", axes="[T, S, B]", expected="two or three axes", got=base.shape, help=remedy)
        validation.require_finite("base", base, "t s b" if base.ndim == 3 else "s b")
        for name, holds, law in (("weight", 0.0 <= self.weight < np.inf, "non-negative"), ("epsilon", 0.0 < self.epsilon < np.inf, "positive")):
            if not holds:
                raise InvalidGame("term", term=type(self).__name__, name=name, law=law, got=repr(getattr(self, name)))
        object.__setattr__(self, "base", validation.freeze(base.reshape(-1, *base.shape[-2:])))

    def __call__(self, t: Any, y: Any, theta: Any) -> Any:
        """Rewards [n, S, B] at stages t [n] of distributions y [n, S]."""
        xp = namespace(y)
        base = self.base if len(self.base) == 1 else self.base[np.asarray(t)]
        return xp.asarray(base) - self.weight * xp.log(y + self.epsilon)[:, :, None]


@dataclass(frozen=True, eq=False)
class QuadraticObjective:
    r"""The leader's value :math:`\sum_t y_t^\top Qy_t+c^\top y_t`, e.g. minus a total cost whose rates are affine in y.

    Parameters
    ----------
    quadratic : array [J, J]
        Q.
    linear : array [J], optional
        c; 0 by default.

    Raises
    ------
    InvalidGame
        ``axes`` or ``finite``.
    """

    quadratic: Any
    linear: Any = None

    def __post_init__(self) -> None:
        quadratic = validation.as_float("quadratic", self.quadratic, "[J, J]")
        if quadratic.ndim != 2 or quadratic.shape[0] != quadratic.shape[1]:
            remedy = "one row and one column per statistic of the population"
            raise InvalidGame("axes", array="quadratic", axes="[J, J]", expected="a square matrix", got=quadratic.shape, help=remedy)
        linear = np.zeros(len(quadratic)) if self.linear is None else validation.as_float("linear", self.linear, "[J]")
        if linear.shape != quadratic.shape[:1]:
            raise InvalidGame("axes", array="linear", axes="[J]", expected=quadratic.shape[:1], got=linear.shape, help="one entry per row of `quadratic`")
        validation.require_finite("quadratic", quadratic, "i j")
        validation.require_finite("linear", linear, "j")
        object.__setattr__(self, "quadratic", validation.freeze(quadratic))
        object.__setattr__(self, "linear", validation.freeze(linear))

    def __call__(self, y: Any, theta: Any) -> Any:
        """The value of statistics y [T, J]; complex for complex y."""
        xp = namespace(y)
        bent = xp.matmul(y, xp.asarray(self.quadratic).T)
        return xp.sum(y * (bent + xp.asarray(self.linear)))
