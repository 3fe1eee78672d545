"""`StackelbergGame`: a finite, discounted Markov game with one leader and one follower, given as arrays or functions.

The arrays are the game. Axes: `S` states, `A` leader actions, `B` follower actions, leading `...` batch:
``leader_reward[..., S, A, B]``, ``follower_reward[..., S, A, B]``, ``transition[..., S, A, B, S]``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.certificate import Certificate, Examination
from stackopt.display import Block, number
from stackopt.errors import InvalidGame
from stackopt.games import validation
from stackopt.games.operators import Array

if TYPE_CHECKING:
    from stackopt.games.profile import Profile

#: `from_functions` builds sparse transitions above this many dense entries.
DENSE_ENTRIES = 2_000_000


def stay(states: int, leader_actions: int, follower_actions: int) -> Array:
    """Transitions of a game whose state never changes; with one state, of a matrix game.

    Parameters
    ----------
    states, leader_actions, follower_actions : int
        Sizes of the axes; the result is [S, A, B, S].
    """
    return np.broadcast_to(np.eye(states)[:, None, None, :], (states, leader_actions, follower_actions, states)).copy()


@dataclass(frozen=True, eq=False, repr=False)
class StackelbergGame:
    r"""One leader commits to a stationary policy, one follower answers  (theory A.1).

    Parameters
    ----------
    leader_reward, follower_reward : array [..., S, A, B]
        One-step rewards, in any unit. Both players are maximisers.
    transition : array [..., S, A, B, S], CSR matrix [S * A * B, S], or callable
        Probabilities of the next state; rows sum to 1. A sparse matrix has one row per (s, a, b) in C order and excludes
        batch axes. A callable such as `stay` is called with (S, A, B).
    discount : float, optional
        Of both players, in [0, 1).
    leader_discount, follower_discount : float, optional
        Separate discounts; each defaults to `discount`. A follower with discount 0 is myopic.
    initial : array [..., S], optional
        Distribution of the first state; uniform by default. Commitment values are scalarised with it (theory A.2).
    leader_observes : sequence of S hashables, optional
        What the leader sees in each state; its policy is constant on states with equal observations. The follower
        always sees the full state.
    states, leader_actions, follower_actions : sequence of str, optional
        Labels to print.
    name : str

    Attributes
    ----------
    observations : int array [S]
        The class of each state, ``arange(S)`` for a leader that sees everything.

    Raises
    ------
    InvalidGame
        With the first offending entry and what to do about it.

    Examples
    --------
    >>> import stackopt as so
    >>> game = so.StackelbergGame(leader_reward=[[[2, 4], [1, 3]]], follower_reward=[[[1, 0], [0, 1]]],
    ...                           transition=so.stay, discount=0.0, name="commit-2x2")
    >>> game.shape
    (1, 2, 2)
    """

    leader_reward: Any
    follower_reward: Any
    transition: Any
    discount: float | None = None
    leader_discount: float = None  # type: ignore[assignment]  # filled in by __post_init__
    follower_discount: float = None  # type: ignore[assignment]
    initial: Any = None
    leader_observes: Sequence[Hashable] | None = None
    states: Sequence[str] | None = None
    leader_actions: Sequence[str] | None = None
    follower_actions: Sequence[str] | None = None
    name: str = "game"
    observations: Any = field(init=False, default=None)

    def __setstate__(self, state: dict[str, Any]) -> None:
        validation.restore(self, state)

    def __post_init__(self) -> None:
        def set_(key: str, value: Any) -> None:  # the one way into a frozen dataclass
            object.__setattr__(self, key, value)

        leader = validation.rewards("leader_reward", self.leader_reward, None)
        follower = validation.rewards("follower_reward", self.follower_reward, leader.shape)
        *batch, S, A, B = leader.shape
        set_("leader_reward", validation.freeze(leader))
        set_("follower_reward", validation.freeze(follower))
        set_("transition", validation.transition(self.transition, tuple(batch), S, A, B))
        for name in ("leader_discount", "follower_discount"):
            set_(name, validation.discount(name, getattr(self, name), self.discount))
        set_("discount", self.leader_discount if self.leader_discount == self.follower_discount else None)
        set_("initial", validation.freeze(validation.initial_distribution(self.initial, tuple(batch), S)))
        set_("observations", validation.observation_classes(self.leader_observes, S))
        for name, count in (("states", S), ("leader_actions", A), ("follower_actions", B)):
            set_(name, validation.labels(name, getattr(self, name), count))
        set_("name", str(self.name))
        validation.printable("name", self.name)

    # --- sizes ---------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int, int]:
        """(S, A, B)."""
        S, A, B = self.leader_reward.shape[-3:]
        return S, A, B

    @property
    def batch(self) -> tuple[int, ...]:
        """Shape of the batch axes; () for a single game."""
        return tuple(self.leader_reward.shape[:-3])

    @property
    def sparse(self) -> bool:
        """Whether the transitions are a CSR matrix."""
        return not isinstance(self.transition, np.ndarray)

    @property
    def leader_sees_state(self) -> bool:
        """Whether every state is its own observation class."""
        return int(self.observations.max()) + 1 == self.shape[0]

    def leader_moves_state(self) -> str:
        """The first place where the transitions depend on the leader's action, in words; empty if nowhere."""
        S, A, B = self.shape
        if A == 1:
            return ""
        if self.sparse:
            P = self.transition
            for a in range(1, A):
                rows = (np.arange(S)[:, None] * A * B + np.arange(B)).ravel()
                difference = abs(P[rows] - P[rows + a * B])
                if difference.nnz and difference.max() > validation.MASS_TOLERANCE:
                    row = int(difference.max(axis=1).toarray().ravel().argmax())
                    return f"at (s, b) = ({row // B}, {row % B}) actions 0 and {a} lead to different states"
            return ""
        moved = np.abs(self.transition - self.transition[..., :1, :, :]).max(-1)
        if moved.max() <= validation.MASS_TOLERANCE:
            return ""
        s, a, b = (int(i) for i in np.unravel_index(int(moved.argmax()), moved.shape)[-3:])
        return f"at (s, b) = ({s}, {b}) actions 0 and {a} lead to different states"

    def observation_names(self) -> tuple[str, ...]:
        """What each observation class is called: its state, or what the names of its states share.

        ``day, 0 kWh`` and ``day, 5 kWh`` give ``day, *``.
        """
        states = self.states or tuple(f"state {s}" for s in range(self.shape[0]))
        return tuple(_shared([states[int(s)] for s in np.flatnonzero(self.observations == o)]) for o in range(int(self.observations.max()) + 1))

    # --- other ways in -------------------------------------------------------------------------------------------

    @classmethod
    def from_functions(
        cls,
        *,
        states: Iterable[Hashable],
        leader_actions: Iterable[Hashable],
        follower_actions: Iterable[Hashable],
        transition: Callable[[Any, Any, Any], Iterable[tuple[Hashable, float]]],
        leader_reward: Callable[[Any, Any, Any], float],
        follower_reward: Callable[[Any, Any, Any], float],
        leader_observes: Callable[[Any], Hashable] | None = None,
        initial: Callable[[Any], float] | None = None,
        sparse: bool | None = None,
        **rest: Any,
    ) -> StackelbergGame:
        """A game from functions of labels.

        Parameters
        ----------
        states, leader_actions, follower_actions : iterable of hashable
            The labels, in the order of the axes.
        transition : callable (s, a, b) -> iterable of (state, probability)
            Pairs, not a dict: equal targets add up instead of overwriting each other.
        leader_reward, follower_reward : callable (s, a, b) -> float
        leader_observes : callable s -> hashable, optional
        initial : callable s -> float, optional
            Weights of the first state; they must sum to 1.
        sparse : bool, optional
            Store transitions as CSR; by default when a dense array would exceed two million entries.
        **rest
            `discount`, `leader_discount`, `follower_discount`, `name`.

        Raises
        ------
        InvalidGame
            If a set is empty, a transition leads outside `states`, or a row does not sum to 1.
        """
        from scipy.sparse import csr_matrix

        S, A, B = (list(labels) for labels in (states, leader_actions, follower_actions))
        if not (S and A and B):
            raise InvalidGame("action-set", where=f"{len(S)} states, {len(A)} leader actions, {len(B)} follower actions")
        shape = (len(S), len(A), len(B))
        index = {s: i for i, s in enumerate(S)}
        if len(index) < len(S):
            raise InvalidGame("labels", name="states", expected=len(S), got=f"{len(index)} distinct")
        rows, columns, masses = [], [], []
        rewards = np.empty((2, *shape))
        row = 0
        for i, s in enumerate(S):
            for j, a in enumerate(A):
                for k, b in enumerate(B):
                    rewards[:, i, j, k] = leader_reward(s, a, b), follower_reward(s, a, b)
                    outcomes = transition(s, a, b)
                    if isinstance(outcomes, dict):
                        outcomes = outcomes.items()
                    for target, mass in outcomes:
                        if target not in index:
                            raise InvalidGame("unknown-state", where=f"(s, a, b) = ({s}, {a}, {b}) leads to {target!r}")
                        rows.append(row)
                        columns.append(index[target])
                        masses.append(mass)
                    row += 1
        kernel: Any = csr_matrix((np.asarray(masses, float), (rows, columns)), shape=(row, len(S)))  # duplicates add up
        if not (sparse if sparse is not None else row * len(S) > DENSE_ENTRIES):
            kernel = kernel.toarray().reshape(*shape, len(S))
        return cls(
            leader_reward=rewards[0],
            follower_reward=rewards[1],
            transition=kernel,
            initial=None if initial is None else [initial(s) for s in S],
            leader_observes=None if leader_observes is None else [leader_observes(s) for s in S],
            states=[str(s) for s in S],
            leader_actions=[str(a) for a in A],
            follower_actions=[str(b) for b in B],
            **rest,
        )

    @classmethod
    def stack(cls, games: Sequence[StackelbergGame], name: str = "batch") -> StackelbergGame:
        """One batched game [N, ...] out of N dense games of equal shape, discounts and observations."""
        first = games[0]
        for i, g in enumerate(games):
            same = (g.shape, g.leader_discount, g.follower_discount) == (first.shape, first.leader_discount, first.follower_discount)
            if g.sparse or not same or not np.array_equal(g.observations, first.observations):
                raise InvalidGame("batch", what=f"games of a batch share shape, discounts and observations and are dense; game {i} differs")
        return cls(
            np.stack([g.leader_reward for g in games]),
            np.stack([g.follower_reward for g in games]),
            np.stack([g.transition for g in games]),
            leader_discount=first.leader_discount,
            follower_discount=first.follower_discount,
            initial=np.stack([g.initial for g in games]),
            leader_observes=None if first.leader_sees_state else first.observations.tolist(),
            states=first.states,
            leader_actions=first.leader_actions,
            follower_actions=first.follower_actions,
            name=name,
        )

    def __getitem__(self, index: Any) -> StackelbergGame:
        """Part of a batched game."""
        if not self.batch:
            raise InvalidGame("batch", what="a single game has no batch axis to index")
        return type(self)(
            self.leader_reward[index],
            self.follower_reward[index],
            self.transition[index],
            leader_discount=self.leader_discount,
            follower_discount=self.follower_discount,
            initial=self.initial[index],
            leader_observes=None if self.leader_sees_state else self.observations.tolist(),
            states=self.states,
            leader_actions=self.leader_actions,
            follower_actions=self.follower_actions,
            name=f"{self.name}[{index}]",
        )

    # --- what a Problem must do ----------------------------------------------------------------------------------

    def certify(self, candidate: Profile, *, exact: bool = False) -> Certificate:
        """Recompute values, regrets and residuals of `candidate` from the tensors; see `stackopt.games.certify`.

        With `exact`, ties, best responses and values are decided in rational arithmetic (small games), or with a rounding
        margin; see `stackopt.games.exact_certificate`.
        """
        from stackopt.games.certify import certify
        from stackopt.games.exact_certificate import certify_exactly

        return certify_exactly(self, candidate) if exact else certify(self, candidate)

    def examinations(self, candidate: Profile, best_commitment: float | None = None) -> tuple[Examination, ...]:
        """Measured quantities of `candidate` against the bounds of the theory; see `stackopt.games.examination`."""
        from stackopt.games.examination import examinations

        return examinations(self, candidate, best_commitment)

    def without_commitment(self, candidate: Profile) -> dict[str, float]:
        """What the leader has where nobody commits, for `solve` to put beside the value of a commitment: ``fixed_point``, its value at the fixed
        point that responses in turn reach from the candidate, and ``fixed_point_share``, see `stackopt.games.uncommitted`. Empty if there is none.
        """
        from stackopt.games.uncommitted import reached

        found = None if candidate.concept == "fixed_point" else reached(self, candidate.leader_policy)
        return {} if found is None else {"fixed_point": found.value, "fixed_point_share": found.share}

    def summarize(self, candidate: Profile, certificate: Certificate) -> list[tuple[str, str]]:
        """The rows a `Solution` prints about a candidate of this game."""
        from stackopt.games.certify import summarize

        return summarize(self, candidate, certificate)

    def fingerprint(self) -> str:
        """SHA-256 of everything that defines the answer (not of names and labels)."""
        digest = hashlib.sha256(b"stackopt.StackelbergGame/1")
        kernel = (self.transition.data, self.transition.indices, self.transition.indptr) if self.sparse else (self.transition,)
        for array in (self.leader_reward, self.follower_reward, *kernel, self.initial, self.observations):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(repr((self.leader_discount, self.follower_discount)).encode())
        return digest.hexdigest()

    # --- how it prints -------------------------------------------------------------------------------------------

    def block(self) -> Block:
        """The printed form."""
        S, A, B = self.shape
        sizes = ((S, "state"), (A, "leader action"), (B, "follower action"))
        title = f'StackelbergGame "{self.name}": ' + ", ".join(f"{n} {noun}" + ("" if n == 1 else "s") for n, noun in sizes)
        kernel = f"sparse, {self.transition.nnz} non-zeros" if self.sparse else f"[..., S, A, B, S] {self.transition.shape}"
        rows = [
            ("transition", f"{kernel}; {'the leader moves the state' if self.leader_moves_state() else 'independent of the leader'}"),
            ("rewards", f"leader [{number(self.leader_reward.min())}, {number(self.leader_reward.max())}], "
                        f"follower [{number(self.follower_reward.min())}, {number(self.follower_reward.max())}]"),
            ("discounts", f"leader {number(self.leader_discount)}, follower {number(self.follower_discount)}"),
        ]
        if self.batch:
            rows.insert(0, ("batch", f"{self.batch}"))
        if not self.leader_sees_state:
            seen = int(self.observations.max()) + 1
            rows.append(("leader sees", f"{seen} observation{'s' if seen > 1 else ''} of the {S} states"))
        if S == 1 and not self.batch and A <= 8 and B <= 8:
            rows.append(("payoffs", "(leader, follower) by leader action (rows) and follower action (columns)"))
            names = self.leader_actions or [str(a) for a in range(A)]
            for a in range(A):
                cells = (f"({number(self.leader_reward[0, a, b])}, {number(self.follower_reward[0, a, b])})" for b in range(B))
                rows.append(("", f"{names[a]}:  " + "  ".join(cells)))
        return Block(title, tuple(rows))

    def __repr__(self) -> str:
        return self.block().text()

    def _repr_html_(self) -> str:
        return self.block().html()


def _shared(names: Sequence[str]) -> str:
    """The comma-separated parts on which all names agree, the others starred."""
    parts = [name.split(", ") for name in names]
    if len(names) == 1 or len({len(p) for p in parts}) > 1:
        return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
    shared = [p[0] if len(set(p)) == 1 else "*" for p in zip(*parts, strict=True)]
    return ", ".join(shared) if set(shared) != {"*"} else f"{names[0]} and {len(names) - 1} more"
