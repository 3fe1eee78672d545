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

from stackopt.certificate import Certificate
from stackopt.display import Block, number
from stackopt.errors import InvalidGame
from stackopt.games.operators import Array

if TYPE_CHECKING:
    from stackopt.games.profile import Profile

#: Largest deviation of a transition row's sum from 1 that is accepted (and then normalised away).
MASS_TOLERANCE = 1e-9
#: `from_functions` builds sparse transitions above this many dense entries.
DENSE_ENTRIES = 2_000_000


def stay(states: int, leader_actions: int, follower_actions: int) -> Array:
    """Transitions of a game whose state never changes; for one state, a matrix game."""
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

    def __post_init__(self) -> None:
        def set_(key: str, value: Any) -> None:  # the one way into a frozen dataclass
            object.__setattr__(self, key, value)

        leader = _rewards("leader_reward", self.leader_reward, None)
        follower = _rewards("follower_reward", self.follower_reward, leader.shape)
        *batch, S, A, B = leader.shape
        set_("leader_reward", _freeze(leader))
        set_("follower_reward", _freeze(follower))
        set_("transition", _transition(self.transition, tuple(batch), S, A, B))
        for name in ("leader_discount", "follower_discount"):
            set_(name, _discount(name, getattr(self, name), self.discount))
        set_("discount", self.leader_discount if self.leader_discount == self.follower_discount else None)
        set_("initial", _freeze(_initial(self.initial, tuple(batch), S)))
        set_("observations", _observations(self.leader_observes, S))
        for name, count in (("states", S), ("leader_actions", A), ("follower_actions", B)):
            set_(name, _labels(name, getattr(self, name), count))

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
                if difference.nnz and difference.max() > MASS_TOLERANCE:
                    row = int(difference.max(axis=1).toarray().ravel().argmax())
                    return f"at (s, b) = ({row // B}, {row % B}) actions 0 and {a} lead to different states"
            return ""
        moved = np.abs(self.transition - self.transition[..., :1, :, :]).max(-1)
        if moved.max() <= MASS_TOLERANCE:
            return ""
        s, a, b = (int(i) for i in np.unravel_index(int(moved.argmax()), moved.shape)[-3:])
        return f"at (s, b) = ({s}, {b}) actions 0 and {a} lead to different states"

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

    def certify(self, candidate: Profile) -> Certificate:
        """Recompute values, regrets and residuals of `candidate` from the tensors; see `stackopt.games.certify`."""
        from stackopt.games.certify import certify

        return certify(self, candidate)

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
            rows.append(("leader sees", f"{int(self.observations.max()) + 1} observations of the {S} states"))
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


# --- validation: everything is normalised once, here ------------------------------------------------------------------


def _freeze(array: Array) -> Array:
    array.flags.writeable = False
    return array


def _witness(array: np.ndarray, bad: np.ndarray, axes: str) -> str:
    """``(s, a, b) = (1, 0, 0) is nan; 3 more differ`` for the first bad entry."""
    where = np.argwhere(bad)
    index = tuple(int(i) for i in where[0])
    letters = ", ".join(axes.split()) if len(axes.split()) == len(index) else "index"
    more = f"; {len(where) - 1} more" if len(where) > 1 else ""
    shown = str(index) if len(index) > 1 else f"({index[0]})"
    return f"({letters}) = {shown} is {array[index]:.6g}{more}"


def _rewards(name: str, values: Any, expected: tuple[int, ...] | None) -> Array:
    array = _as_float(name, values, "[..., S, A, B]")
    if array.ndim < 3 or (expected is not None and array.shape != expected):
        want = expected if expected is not None else "at least three axes"
        raise InvalidGame("axes", array=name, axes="[..., S, A, B]", expected=want, got=array.shape)
    if 0 in array.shape:
        raise InvalidGame("action-set", where=f"{name} has shape {array.shape}")
    _require_finite(name, array, "s a b")
    return array


def _as_float(name: str, values: Any, axes: str) -> Array:
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidGame("axes", array=name, axes=axes, expected="an array of numbers", got=str(error)) from None


def _require_finite(name: str, array: Array, axes: str) -> None:
    bad = ~np.isfinite(array)
    if bad.any():
        raise InvalidGame("finite", array=name, where=_witness(array, bad, axes))


def _transition(values: Any, batch: tuple[int, ...], S: int, A: int, B: int) -> Any:
    if callable(values) and not hasattr(values, "shape"):
        values = values(S, A, B)
        if batch:
            values = np.broadcast_to(values, (*batch, S, A, B, S))
    if hasattr(values, "tocsr"):
        return _sparse_transition(values, batch, S, A, B)
    array = _as_float("transition", values, "[..., S, A, B, S]")
    if array.shape != (*batch, S, A, B, S):
        raise InvalidGame("axes", array="transition", axes="[..., S, A, B, S]", expected=(*batch, S, A, B, S), got=array.shape)
    _require_finite("transition", array, "s a b t")
    if (array < 0).any():
        raise InvalidGame("transition-sign", where=_witness(array, array < 0, "s a b t"))
    mass = array.sum(-1)
    _require_mass(mass)
    array /= mass[..., None]
    return _freeze(array)


def _sparse_transition(values: Any, batch: tuple[int, ...], S: int, A: int, B: int) -> Any:
    if batch:
        raise InvalidGame("batch", what="sparse transitions have no batch axes")
    matrix = values.tocsr()
    if matrix.shape != (S * A * B, S):
        raise InvalidGame("axes", array="transition", axes="[S * A * B, S]", expected=(S * A * B, S), got=matrix.shape)
    matrix = matrix.astype(np.float64)
    matrix.sum_duplicates()
    data = matrix.data
    if not np.isfinite(data).all() or (data < 0).any():
        bad = int(np.flatnonzero(~(np.isfinite(data) & (data >= 0)))[0])
        row = int(np.searchsorted(matrix.indptr, bad, side="right")) - 1
        s, a, b = (int(i) for i in np.unravel_index(row, (S, A, B)))
        where = f"(s, a, b, t) = ({s}, {a}, {b}, {int(matrix.indices[bad])}) is {data[bad]:.6g}"
        raise InvalidGame(*(("transition-sign",) if np.isfinite(data[bad]) else ("finite",)), where=where, array="transition")
    mass = np.asarray(matrix.sum(axis=1)).reshape(S, A, B)
    _require_mass(mass)
    return matrix


def _require_mass(mass: Array) -> None:
    bad = np.abs(mass - 1.0) > MASS_TOLERANCE
    if bad.any():
        where = _witness(mass, bad, "s a b" if mass.ndim == 3 else "...").replace(" is ", " sums to ").replace(" more", " more rows differ")
        raise InvalidGame("transition-mass", where=where)


def _discount(name: str, value: float | None, shared: float | None) -> float:
    value = shared if value is None else value
    if value is None:
        raise InvalidGame("discount", name=name, where="none was given", help="discount=0.95, or one for each player")
    try:
        number_ = float(value)
    except (TypeError, ValueError):
        raise InvalidGame("discount", name=name, where=f"{name} = {value!r}") from None
    if not 0.0 <= number_ < 1.0:
        raise InvalidGame("discount", name=name, where=f"{name} = {number_:.6g}")
    return number_


def _initial(values: Any, batch: tuple[int, ...], S: int) -> Array:
    if values is None:
        return np.full((*batch, S), 1.0 / S)
    array = _as_float("initial", values, "[..., S]")
    if array.shape == (S,) and batch:
        array = np.broadcast_to(array, (*batch, S)).copy()
    if array.shape != (*batch, S):
        raise InvalidGame("axes", array="initial", axes="[..., S]", expected=(*batch, S), got=array.shape)
    _require_finite("initial", array, "s")
    if (array < 0).any():
        raise InvalidGame("initial", where=_witness(array, array < 0, "s"))
    mass = array.sum(-1)
    if (np.abs(mass - 1.0) > MASS_TOLERANCE).any():
        raise InvalidGame("initial", where=f"the weights sum to {mass.ravel()[np.abs(mass - 1).argmax()]:.6g}")
    array /= mass[..., None]
    return array


def _observations(values: Sequence[Hashable] | None, S: int) -> np.ndarray:
    if values is None:
        classes = np.arange(S)
    else:
        labels = list(values)
        if len(labels) != S:
            raise InvalidGame("observation", states=S, where=f"{len(labels)} given")
        seen: dict[Hashable, int] = {}
        classes = np.array([seen.setdefault(label, len(seen)) for label in labels])
    classes.flags.writeable = False
    return classes


def _labels(name: str, labels: Sequence[str] | None, count: int) -> tuple[str, ...] | None:
    if labels is None:
        return None
    labels = tuple(str(label) for label in labels)
    if len(set(labels)) != count or len(labels) != count:
        raise InvalidGame("labels", name=name, expected=count, got=f"{len(labels)} of which {len(set(labels))} distinct")
    return labels
