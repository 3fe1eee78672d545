"""`BayesianGame`: one leader, a follower whose type the leader does not know; one shot.

Axes: `K` types, `A` leader actions, `B` follower actions. The leader commits to one mixed action, the follower sees it, knows
its own type and answers.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.certificate import Certificate
from stackopt.display import Block, number
from stackopt.errors import InvalidCandidate, InvalidGame, Refused
from stackopt.games import validation
from stackopt.games.checks import VALUE_TOLERANCE, largest_loss, restated, simplex
from stackopt.games.operators import Array
from stackopt.games.profile import Profile
from stackopt.games.responses import tie_width
from stackopt.games.stackelberg import StackelbergGame, stay

#: `harsanyi` refuses to build more follower actions than this.
HARSANYI_ACTIONS = 100_000


@dataclass(frozen=True, eq=False, repr=False)
class BayesianGame:
    r"""A leader commits to :math:`x\in\Delta(A)` against a follower of unknown type.

    With type :math:`k` of probability :math:`p_k`, the leader gets :math:`\sum_kp_k\,x^\top R_k\,e_{b_k}` where :math:`b_k` maximises
    :math:`x^\top U_k\,e_b`; ties for the leader (strong) or against it (weak).

    Parameters
    ----------
    leader_payoff, follower_payoff : array [K, A, B]
        Both players are maximisers.
    probabilities : array [K]
        Of the types; they sum to 1.
    types, leader_actions, follower_actions : sequence of str, optional
        Labels to print.
    name : str

    Raises
    ------
    InvalidGame
        With the first offending entry.

    Examples
    --------
    >>> from stackopt import BayesianGame
    >>> game = BayesianGame(leader_payoff=[[[2, 4], [1, 3]]], follower_payoff=[[[1, 0], [0, 1]]], probabilities=[1.0])
    >>> game.shape
    (1, 2, 2)
    """

    leader_payoff: Any
    follower_payoff: Any
    probabilities: Any
    types: Sequence[str] | None = None
    leader_actions: Sequence[str] | None = None
    follower_actions: Sequence[str] | None = None
    name: str = "bayesian game"

    def __setstate__(self, state: dict[str, Any]) -> None:
        validation.restore(self, state)

    def __post_init__(self) -> None:
        leader, follower = (self._payoff(name) for name in ("leader_payoff", "follower_payoff"))
        if leader.shape != follower.shape:
            raise InvalidGame("follower-types", where=f"leader_payoff has shape {leader.shape}, follower_payoff {follower.shape}")
        K, A, B = leader.shape
        weights = self._numbers("probabilities")
        if weights.shape != (K,) or not np.isfinite(weights).all() or (weights < 0).any() or abs(weights.sum() - 1) > validation.MASS_TOLERANCE:
            where = f"probabilities = {weights.tolist()} for {K} type{'s' if K > 1 else ''}"
            raise InvalidGame("follower-types", where=where, help="non-negative, one per type, summing to 1")
        for key, array in (("leader_payoff", leader), ("follower_payoff", follower), ("probabilities", weights / weights.sum())):
            array.flags.writeable = False
            object.__setattr__(self, key, array)
        for key, count in (("types", K), ("leader_actions", A), ("follower_actions", B)):
            object.__setattr__(self, key, validation.labels(key, getattr(self, key), count))

    def _payoff(self, name: str) -> Array:
        array = self._numbers(name)
        if array.ndim != 3:
            raise InvalidGame("follower-types", where=f"{name} has shape {array.shape}")
        if 0 in array.shape:
            raise InvalidGame("action-set", where=f"{name} has shape {array.shape}")
        validation.require_finite(name, array, "k a b")
        return array

    def _numbers(self, name: str) -> Array:
        try:
            return np.array(getattr(self, name), dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InvalidGame("follower-types", where=f"{name}: {error}") from None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(K, A, B)."""
        K, A, B = self.leader_payoff.shape
        return K, A, B

    # --- what responses are worth ---------------------------------------------------------------------------------

    def follower_values(self, leader_policy: Array) -> Array:
        """:math:`x^\\top U_k`: what each action pays each type; policy [1, A] to [K, B]."""
        values: Array = np.einsum("a,kab->kb", leader_policy[0], self.follower_payoff)
        return values

    def leader_values(self, leader_policy: Array) -> Array:
        """:math:`x^\\top R_k`: what each action of each type pays the leader; policy [1, A] to [K, B]."""
        values: Array = np.einsum("a,kab->kb", leader_policy[0], self.leader_payoff)
        return values

    def responses(self, leader_policy: Array, *, against: bool = False, margin: float = 0.0) -> np.ndarray:
        """Each type's best response [K], ties for the leader or, if `against`, against it.

        `margin` also counts actions whose gap is below it as ties (theory D2).
        """
        follower, leader = self.follower_values(leader_policy), self.leader_values(leader_policy)
        width = tie_width(follower, -1)  # types share no unit
        ties = follower.max(-1, keepdims=True) - follower <= np.maximum(width, margin - width)
        best: np.ndarray = np.where(ties, leader, np.inf).argmin(-1) if against else np.where(ties, leader, -np.inf).argmax(-1)
        return best

    def value_against(self, leader_policy: Array, responses: np.ndarray) -> float:
        """The leader's expected payoff when type k plays ``responses[k]``."""
        chosen = np.take_along_axis(self.leader_values(leader_policy), np.asarray(responses)[:, None], -1)[:, 0]
        return float(self.probabilities @ chosen)

    # --- other forms ----------------------------------------------------------------------------------------------

    def harsanyi(self) -> StackelbergGame:
        """The same game with one follower that chooses an action for every type: one state, B ** K actions.

        Its strong and weak values are those of this game. Exponential in the types; DOBSS is not.

        Raises
        ------
        Refused
            If the game would have more than 100,000 follower actions.
        """
        K, _, B = self.shape
        if B**K > HARSANYI_ACTIONS:
            raise Refused("too-large", what=f"the Harsanyi transform has {B}^{K} follower actions", help="Exact solves the game itself by DOBSS")
        plans = np.array(list(itertools.product(range(B), repeat=K)))  # [B ** K, K]
        weighted = self.probabilities[:, None, None]
        leader, follower = (
            sum((weighted * payoff)[k][:, plans[:, k]] for k in range(K)) for payoff in (self.leader_payoff, self.follower_payoff)
        )
        names = self.follower_actions or tuple(str(b) for b in range(B))
        return StackelbergGame(
            leader_reward=np.asarray(leader)[None],
            follower_reward=np.asarray(follower)[None],
            transition=stay,
            discount=0.0,
            leader_actions=self.leader_actions,
            follower_actions=["/".join(names[b] for b in plan) for plan in plans],
            name=f"{self.name}, Harsanyi transform",
        )

    # --- what a Problem must do -----------------------------------------------------------------------------------

    def certify(self, candidate: Profile) -> Certificate:
        """Recompute everything about `candidate` from the payoffs.

        Parameters
        ----------
        candidate : Profile
            ``leader_policy`` [1, A]: one mixed action; ``follower_policy`` [K, B]: one row per type; `concept` ``"strong"``
            or ``"weak"`` with a best-responding follower.

        Raises
        ------
        InvalidCandidate
            If the policies do not fit the game.
        """
        K, A, B = self.shape
        x, y = np.asarray(candidate.leader_policy, float), np.asarray(candidate.follower_policy, float)
        for name, axes, policy, expected in (("leader_policy", "[1, A]", x, (1, A)), ("follower_policy", "[K, B]", y, (K, B))):
            if policy.shape != expected:
                raise InvalidCandidate("candidate", array=name, axes=axes, expected=expected, got=policy.shape)
        follower = self.follower_values(x)
        loss = follower.max(-1) - (y * follower).sum(-1)
        values = {
            "strong": self.value_against(x, self.responses(x)),
            "weak": self.value_against(x, self.responses(x, against=True)),
            "own_follower": float(self.probabilities @ (y * self.leader_values(x)).sum(-1)),
            "follower": float(self.probabilities @ follower.max(-1)),
            "follower_regret": float(np.maximum(loss, 0.0).max()),
        }
        objective = "strong"
        if candidate.concept == "weak":
            objective = "weak"
            if candidate.margin:
                objective = "margin"
                values["margin"] = self.value_against(x, self.responses(x, against=True, margin=candidate.margin))
        checks = [
            simplex("leader policy is a policy", x),
            simplex("follower policy is a policy", y),
            largest_loss(loss, np.abs(follower).max(-1), "of a type, relative to its own payoffs the largest"),
        ]
        if candidate.claim is not None:
            checks.append(restated(candidate.claim, values[objective]))
        return Certificate(tuple(checks), values, (), objective)

    def summarize(self, candidate: Profile, certificate: Certificate) -> list[tuple[str, str]]:
        """The rows a `Solution` prints about a candidate of this game."""
        v = certificate.values
        same = abs(v["strong"] - v["weak"]) <= VALUE_TOLERANCE * (1 + abs(v["strong"]))
        shown = f"{number(v['strong'])}  if every type best-responds (strong = weak)" if same else (
            f"{number(v['strong'])} strong, {number(v['weak'])} weak  if every type best-responds")
        rows = [("leader value", shown)]
        if "margin" in v:
            rows.append(("", f"{number(v['margin'])}  weak, responses within {number(candidate.margin)} counted as ties"))
        names = self.leader_actions or tuple(f"action {a}" for a in range(self.shape[1]))
        played = "  ".join(f"{names[a]}: {p:.4g}" for a, p in enumerate(candidate.leader_policy[0]) if p > 5e-5)
        rows.append(("leader plays", played))
        actions = self.follower_actions or tuple(f"action {b}" for b in range(self.shape[2]))
        types = self.types or tuple(f"type {k}" for k in range(self.shape[0]))
        rows.append(("types answer", "  ".join(f"{types[k]}: {actions[int(row.argmax())]}" for k, row in enumerate(candidate.follower_policy))))
        rows.append(("regret", f"{number(v['follower_regret'])} of a type"))
        return rows

    def fingerprint(self) -> str:
        """SHA-256 of everything that defines the answer (not of names and labels)."""
        digest = hashlib.sha256(b"stackopt.BayesianGame/1")
        for array in (self.leader_payoff, self.follower_payoff, self.probabilities):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def block(self) -> Block:
        """The printed form."""
        sizes = ", ".join(f"{n} {noun}" + ("" if n == 1 else "s") for n, noun in zip(self.shape, ("type", "leader action", "follower action")))
        rows = [
            ("types", "  ".join(f"{t}: {number(p, 4)}" for t, p in zip(self.types or range(self.shape[0]), self.probabilities))),
            ("payoffs", f"leader [{number(self.leader_payoff.min())}, {number(self.leader_payoff.max())}], "
                        f"follower [{number(self.follower_payoff.min())}, {number(self.follower_payoff.max())}]"),
        ]
        return Block(f'BayesianGame "{self.name}": {sizes}', tuple(rows))

    def __repr__(self) -> str:
        return self.block().text()

    def _repr_html_(self) -> str:
        return self.block().html()
