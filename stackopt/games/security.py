"""`SecurityGame`: a defender spreads few resources over many targets, an attacker sees the coverage and attacks one.

Axis: `T` targets. Each resource covers one target, any of them, so the coverage probabilities are all that matters: every
coverage in [0, 1] with sum at most the number of resources is the marginal of a mixed allocation.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.certificate import Certificate, Check
from stackopt.display import Block, number
from stackopt.errors import InvalidCandidate, InvalidGame, Refused
from stackopt.games import validation
from stackopt.games.checks import VALUE_TOLERANCE, restated
from stackopt.games.operators import Array
from stackopt.games.profile import Concept
from stackopt.games.responses import tie_width
from stackopt.games.stackelberg import StackelbergGame, stay

#: `expand` refuses to build more allocations than this.
ALLOCATIONS = 20_000

PAYOFFS = ("defender_covered", "defender_uncovered", "attacker_covered", "attacker_uncovered")


@dataclass(frozen=True, eq=False)
class Coverage:
    """The candidate of a security game: how often each target is covered, and which one is attacked.

    Attributes
    ----------
    coverage : array [T]
        Probabilities; their sum is at most the number of resources.
    attacked : int
        The target the attacker picks.
    concept : str
        ``"strong"`` or ``"weak"``: ties for or against the defender.
    margin : float
        ``"weak"`` only: targets within `margin` of the attacker's best count as ties (theory D2).
    claim : float or None
        The defender's value according to the method.
    """

    coverage: Array
    attacked: int
    concept: Concept = "strong"
    margin: float = 0.0
    claim: Any = None


@dataclass(frozen=True, eq=False, repr=False)
class SecurityGame:
    r"""The defender commits to a coverage :math:`c\in[0,1]^T`, :math:`\sum c\le m`; the attacker attacks a best target.

    An attack on :math:`t` pays the defender :math:`c_tD_t+(1-c_t)d_t` and the attacker :math:`c_tA_t+(1-c_t)a_t`, capitals for
    covered, small letters for uncovered. Coverage helps the defender (:math:`D\ge d`) and hurts the attacker (:math:`A\le a`).

    Parameters
    ----------
    resources : int
        m, from 0 to T.
    defender_covered, defender_uncovered, attacker_covered, attacker_uncovered : array [T]
        Both players are maximisers.
    targets : sequence of str, optional
        Labels to print.
    name : str

    Raises
    ------
    InvalidGame
        With the first offending target.
    """

    resources: int
    defender_covered: Any
    defender_uncovered: Any
    attacker_covered: Any
    attacker_uncovered: Any
    targets: Sequence[str] | None = None
    name: str = "security game"

    def __setstate__(self, state: dict[str, Any]) -> None:
        validation.restore(self, state)

    def __post_init__(self) -> None:
        for key in PAYOFFS:
            try:
                array = np.array(getattr(self, key), dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise InvalidGame("security", law=f"numbers in `{key}`", where=str(error), help="one number per target") from None
            if array.ndim != 1 or not array.size:
                raise InvalidGame("security", law=f"`{key}` of shape [T]", where=f"shape {array.shape}", help="one number per target")
            validation.require_finite(key, array, "t")
            array.flags.writeable = False
            object.__setattr__(self, key, array)
        T = len(self.defender_covered)
        for key in PAYOFFS:
            if len(getattr(self, key)) != T:
                raise InvalidGame("security", law="payoffs of one length", where=f"{key} has {len(getattr(self, key))} targets, defender_covered {T}")
        for law, bad in (
            ("coverage that does not hurt the defender", self.defender_covered < self.defender_uncovered),
            ("coverage that does not help the attacker", self.attacker_covered > self.attacker_uncovered),
        ):
            if bad.any():
                raise InvalidGame("security", law=law, where=f"target {int(np.flatnonzero(bad)[0])}")
        if isinstance(self.resources, bool) or self.resources != int(self.resources) or not 0 <= self.resources <= T:
            raise InvalidGame("security", law=f"resources from 0 to {T}", where=f"resources = {self.resources}", help="a whole number, at most one per target")
        object.__setattr__(self, "resources", int(self.resources))
        object.__setattr__(self, "targets", validation.labels("targets", self.targets, T))

    @property
    def size(self) -> int:
        """T, the number of targets."""
        return len(self.defender_covered)

    # --- what a coverage is worth ---------------------------------------------------------------------------------

    def defender_values(self, coverage: Array) -> Array:
        """What an attack on each target pays the defender; [T] to [T]."""
        values: Array = coverage * self.defender_covered + (1 - coverage) * self.defender_uncovered
        return values

    def attacker_values(self, coverage: Array) -> Array:
        """What an attack on each target pays the attacker; [T] to [T]."""
        values: Array = coverage * self.attacker_covered + (1 - coverage) * self.attacker_uncovered
        return values

    def attacked(self, coverage: Array, *, against: bool = False, margin: float = 0.0) -> int:
        """The target attacked, ties for the defender or, if `against`, against it; `margin` as in `Coverage`."""
        attacker, defender = self.attacker_values(coverage), self.defender_values(coverage)
        width = tie_width(attacker)
        ties = attacker.max() - attacker <= max(width, margin - width)
        return int(np.where(ties, defender, np.inf).argmin() if against else np.where(ties, defender, -np.inf).argmax())

    # --- another form ---------------------------------------------------------------------------------------------

    def expand(self) -> StackelbergGame:
        """The same game with the allocations written out: one state, T follower actions.

        One leader action per way to use all m resources. That loses nothing for m < T: a spare resource can go to a target that
        is not attacked, which only makes that target less attractive. For m = T, allocations that leave targets bare are listed too.

        Raises
        ------
        Refused
            If there are more than 20,000 allocations.
        """
        T, m = self.size, self.resources
        sizes = (m,) if m < T else range(T + 1)
        count = sum(math.comb(T, k) for k in sizes)
        if count > ALLOCATIONS:
            raise Refused("too-large", what=f"{count} allocations of {m} resources to {T} targets", help="Exact solves the compact form itself")
        chosen = [c for k in sizes for c in itertools.combinations(range(T), k)]
        allocations = np.array([np.isin(np.arange(T), c) for c in chosen], float)
        names = self.targets or tuple(str(t) for t in range(T))
        return StackelbergGame(
            leader_reward=self.defender_values(allocations)[None],
            follower_reward=self.attacker_values(allocations)[None],
            transition=stay,
            discount=0.0,
            leader_actions=["+".join(name for name, used in zip(names, row) if used) or "none" for row in allocations],
            follower_actions=names,
            name=f"{self.name}, allocations written out",
        )

    # --- what a Problem must do -----------------------------------------------------------------------------------

    def certify(self, candidate: Coverage) -> Certificate:
        """Recompute everything about `candidate` from the payoffs.

        Raises
        ------
        InvalidCandidate
            If the coverage does not fit the game or the attacked target does not exist.
        """
        c = np.asarray(candidate.coverage, float)
        if c.shape != (self.size,):
            raise InvalidCandidate("candidate", array="coverage", axes="[T]", expected=(self.size,), got=c.shape)
        if not 0 <= candidate.attacked < self.size:
            raise InvalidCandidate("candidate", array="attacked", axes="a target", expected=f"0 to {self.size - 1}", got=candidate.attacked)
        attacker, defender = self.attacker_values(c), self.defender_values(c)
        loss = float(attacker.max() - attacker[candidate.attacked])
        values = {
            "strong": float(defender[self.attacked(c)]),
            "weak": float(defender[self.attacked(c, against=True)]),
            "own_follower": float(defender[candidate.attacked]),
            "follower": float(attacker.max()),
            "follower_regret": max(loss, 0.0),
        }
        objective = "strong"
        if candidate.concept == "weak":
            objective = "weak"
            if candidate.margin:
                objective = "margin"
                values["margin"] = float(defender[self.attacked(c, against=True, margin=candidate.margin)])
        outside = float(np.maximum(-c, c - 1.0).max())
        checks = [
            Check("coverage in [0, 1]", max(outside, 0.0) + 0.0 if np.isfinite(c).all() else math.nan, 1e-9, f"{self.size} targets"),
            Check("resources suffice", float(c.sum()) - self.resources, 1e-7, f"{number(c.sum(), 9)} used of {self.resources}"),
            Check("attacker optimal", loss, VALUE_TOLERANCE * (1 + float(np.abs(attacker).max())), f"against its best target, {int(attacker.argmax())}"),
        ]
        if candidate.claim is not None:
            checks.append(restated(candidate.claim, values[objective]))
        return Certificate(tuple(checks), values, (), objective)

    def summarize(self, candidate: Coverage, certificate: Certificate) -> list[tuple[str, str]]:
        """The rows a `Solution` prints about a candidate of this game."""
        v = certificate.values
        names = self.targets or tuple(f"target {t}" for t in range(self.size))
        covered = [f"{names[t]}: {p:.4g}" for t, p in enumerate(candidate.coverage) if p > 5e-5]
        more = [f"and {len(covered) - 12} more"] if len(covered) > 12 else []
        same = abs(v["strong"] - v["weak"]) <= VALUE_TOLERANCE * (1 + abs(v["strong"]))
        shown = f"{number(v['strong'])}  if the attacker best-responds (strong = weak)" if same else (
            f"{number(v['strong'])} strong, {number(v['weak'])} weak  if the attacker best-responds")
        rows = [("leader value", shown)]
        if "margin" in v:
            rows.append(("", f"{number(v['margin'])}  weak, targets within {number(candidate.margin)} counted as ties"))
        rows.append(("coverage", "  ".join(covered[:12] + more)))
        rows.append(("attacked", f"{names[candidate.attacked]}, worth {number(v['follower'])} to the attacker"))
        return rows

    def fingerprint(self) -> str:
        """SHA-256 of everything that defines the answer (not of names and labels)."""
        digest = hashlib.sha256(f"stackopt.SecurityGame/1 {self.resources}".encode())
        for key in PAYOFFS:
            digest.update(f"{getattr(self, key).shape}".encode())
            digest.update(np.ascontiguousarray(getattr(self, key)).tobytes())
        return digest.hexdigest()

    def block(self) -> Block:
        """The printed form."""
        plural = "" if self.resources == 1 else "s"
        zero_sum = np.allclose(self.defender_covered, -self.attacker_covered) and np.allclose(self.defender_uncovered, -self.attacker_uncovered)
        rows = [
            (who, f"covered [{number(covered.min())}, {number(covered.max())}], uncovered [{number(bare.min())}, {number(bare.max())}]")
            for who, covered, bare in (
                ("defender", self.defender_covered, self.defender_uncovered),
                ("attacker", self.attacker_covered, self.attacker_uncovered),
            )
        ]
        rows += [("payoffs", "zero-sum")] if zero_sum else []
        return Block(f'SecurityGame "{self.name}": {self.size} targets, {self.resources} resource{plural}', tuple(rows))

    def __repr__(self) -> str:
        return self.block().text()

    def _repr_html_(self) -> str:
        return self.block().html()
