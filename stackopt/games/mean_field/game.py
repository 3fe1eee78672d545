r"""`MeanFieldStackelbergGame`: a leader's decision, and a continuum of followers of K types who re-equilibrate under it  (theory A.4).

Axes: `K` types, `T` stages, `S` states, `B` actions, `J` statistics of the population, `D` parameters of the leader. Followers meet each
other only through the statistics :math:`y_{tj}`, averages over the population at their own stage.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.certificate import Certificate, Examination
from stackopt.display import Block, number
from stackopt.errors import InvalidGame
from stackopt.games import validation
from stackopt.games.mean_field import arrays, operators
from stackopt.games.mean_field.horizon import Finite, Horizon, Periodic, Stationary
from stackopt.games.mean_field.kernel_checks import distributions
from stackopt.games.mean_field.kernels import Dense, as_kernel
from stackopt.games.mean_field.leaders import Box, LeaderSet, Menu, Policies
from stackopt.games.operators import Array

if TYPE_CHECKING:
    from stackopt.games.mean_field.population import Population


@dataclass(frozen=True, eq=False, repr=False)
class MeanFieldStackelbergGame:
    r"""One leader and a continuum of followers of K types.

    Under a decision :math:`\theta` of the leader and statistics y of the population, a follower of type k at stage t earns
    :math:`r_k(s,b)=r_{0}+R_1y_t+R_2\theta` and moves by :math:`P_k=P_0+\sum_jy_{tj}P_{1j}+\sum_d\theta_dP_{2d}`; or both are callables.
    In a *mean-field equilibrium* every type's policy is optimal given y, and y is what these policies bring about. The leader
    chooses :math:`\theta` to make the most of the equilibrium.

    Parameters
    ----------
    horizon : Stationary, Periodic or Finite
        T is 1, the period, or the number of stages.
    reward : array [..., S, B] or callable
        Broadcasts to [K, T, S, B]: an axis in front of S is T, [K, 1, S, B] is by type. A callable ``reward(t, y, theta)`` gets
        stages t, int [n], their statistics y [n, J] and theta [D] and returns what broadcasts to [K, n, S, B]; stage t may depend
        only on its own row of y. It should accept complex y and theta: derivatives are taken by complex steps. Give a function of
        a module or a `functools.partial` of one, so that the game can be sent to other processes.
    transition : array [..., S, B, S], kernel or callable
        Broadcasts to [K, T, S, B, S]; or a `Sparse` or `Factored` kernel; or a callable ``transition(t, y, theta)``.
    weights : array [K], optional
        Shares of the types; equal by default.
    statistic : str or array [..., S, B, J]
        What couples the followers: ``"states"``, the distribution of states of all types together (J = S); ``"state-actions"``
        (J = S * B); or H, and y[t, j] is the population's average of H[k, t, s, b, j], e.g. its net load.
    reward_population : array [..., S, B, J], optional
        :math:`R_1`.
    reward_leader : array [..., S, B, D], optional
        :math:`R_2`.
    transition_population : array [..., J, S, B, S], optional
        :math:`P_1`.
    transition_leader : array [..., D, S, B, S], optional
        :math:`P_2`.
    leader : Box, Simplex, Policies or Menu, optional
        What theta is chosen from; by default there is nothing to choose (D = 0).
    leader_reward, leader_reward_leader : array [..., S, B] and [..., S, B, D], optional
        The leader earns the population's average of :math:`L_0+L_1\theta`, summed over stages.
    objective : callable, optional
        ``objective(y, theta)`` of all statistics [T, J], added to the leader's value; a number. It should accept complex numbers.
    sizes : (K, S, B), optional
        Needed where neither rewards nor transitions are arrays.
    types, states, actions : sequence of str, optional
        Labels to print.
    name : str

    Raises
    ------
    InvalidGame
        With the first offending entry and what to do about it; callables are tried once at the middle of the leader's set.

    Examples
    --------
    >>> import numpy as np, stackopt as so
    >>> crowd = so.MeanFieldStackelbergGame(                       # two places, and nobody likes company
    ...     so.Stationary(discount=0.9), reward=np.zeros((2, 2)), transition=np.eye(2)[None].repeat(2, 0),
    ...     reward_population=-np.eye(2)[:, None].repeat(2, 1), name="crowd")
    >>> crowd.shape
    (1, 1, 2, 2)
    """

    horizon: Horizon
    reward: Any
    transition: Any
    weights: Any = None
    statistic: Any = "states"
    reward_population: Any = None
    reward_leader: Any = None
    transition_population: Any = None
    transition_leader: Any = None
    leader: LeaderSet | None = None
    leader_reward: Any = None
    leader_reward_leader: Any = None
    objective: Callable[[Array, Array], Any] | None = None
    sizes: tuple[int, int, int] | None = None
    types: Sequence[str] | None = None
    states: Sequence[str] | None = None
    actions: Sequence[str] | None = None
    name: str = "population"
    initial: Any = field(init=False, default=None)
    _fixed: Any = field(init=False, default=None)  # the kernel, where nothing moves it

    def __setstate__(self, state: dict[str, Any]) -> None:
        validation.restore(self, state)

    def __post_init__(self) -> None:
        def set_(key: str, value: Any) -> None:  # the one way into a frozen dataclass
            object.__setattr__(self, key, value)

        if not isinstance(self.horizon, Stationary | Periodic | Finite):
            raise InvalidGame("horizon", law="Stationary, Periodic or Finite", got=repr(self.horizon))
        set_("leader", Menu(np.zeros((1, 0))) if self.leader is None else self.leader)
        if not isinstance(self.leader, Box | Policies | Menu):
            raise InvalidGame("leader-set", law="a Box, Simplex, Policies or Menu", got=repr(self.leader))
        T = self.horizon.stages
        if hasattr(self.transition, "tocsr"):
            set_("transition", as_kernel(self.transition))
        K, S, B = self._sizes()
        set_("sizes", (K, S, B))
        set_("weights", arrays.weights(self.weights, K))
        if not (isinstance(self.statistic, str) and self.statistic in ("states", "state-actions")):
            tail = np.shape(self.statistic)[-1:]
            set_("statistic", arrays.compact("statistic", self.statistic, (S, B, *tail), "[..., S, B, J]", K, T))
        J, D = self.statistics, self.parameters
        tails: dict[str, tuple[str, tuple[int, ...]]] = {
            "reward": ("[..., S, B]", (S, B)),
            "reward_population": ("[..., S, B, J]", (S, B, J)),
            "reward_leader": ("[..., S, B, D]", (S, B, D)),
            "leader_reward": ("[..., S, B]", (S, B)),
            "leader_reward_leader": ("[..., S, B, D]", (S, B, D)),
            "transition": ("[..., S, B, S]", (S, B, S)),
            "transition_population": ("[..., J, S, B, S]", (J, S, B, S)),
            "transition_leader": ("[..., D, S, B, S]", (D, S, B, S)),
        }
        for name, (axes, tail) in tails.items():
            value = getattr(self, name)
            if value is not None and not callable(value) and not hasattr(value, "expect"):
                set_(name, arrays.compact(name, value, tail, axes, K, T))
        self._require_consistent()
        if isinstance(self.horizon, Finite):
            set_("initial", arrays.distribution("initial", self.horizon.initial, K, S))
        if self.transition_population is None and self.transition_leader is None and not callable(self.transition):
            set_("_fixed", as_kernel(self.transition))
        for name, count in (("types", K), ("states", S), ("actions", B)):
            set_(name, validation.labels(name, getattr(self, name), count))
        set_("name", str(self.name))
        validation.printable("name", self.name)
        self._try()

    def _sizes(self) -> tuple[int, int, int]:
        """(K, S, B) from what was given."""
        if self.sizes is not None:
            if len(tuple(self.sizes)) != 3 or min(self.sizes) < 1:
                raise InvalidGame("sizes", got=repr(self.sizes))
            K, S, B = (int(n) for n in self.sizes)
            return K, S, B
        shapes = [np.shape(v) for v in (self.reward,) if not callable(v)]
        if hasattr(self.transition, "expect"):
            K, _, S, B = self.transition.shape[:4]
            shapes.append((K, 1, S, B))
        elif not callable(self.transition):
            shapes.append(np.shape(self.transition)[:-1])
        if not shapes:
            raise InvalidGame("sizes", got="neither is an array")
        if any(len(s) < 2 or 0 in s for s in shapes):
            raise InvalidGame("sizes", got=f"shapes {shapes}")
        S, B = shapes[0][-2:]
        counts = [s[0] for s in shapes if len(s) >= 4] + ([np.size(self.weights)] if self.weights is not None else [])
        counts += [np.shape(v)[0] for v, n in ((self.reward_population, 5), (self.reward_leader, 5), (self.statistic, 5)) if np.ndim(v) == n]
        return max([1, *counts]), int(S), int(B)

    def _require_consistent(self) -> None:
        if callable(self.reward) and (self.reward_population is not None or self.reward_leader is not None):
            raise InvalidGame("callable-and-array", name="reward", rest="reward_population and reward_leader")
        if (callable(self.transition) or hasattr(self.transition, "expect")) and (self.transition_population is not None or self.transition_leader is not None):
            raise InvalidGame("callable-and-array", name="transition", rest="transition_population and transition_leader")
        if hasattr(self.transition, "expect"):
            K, T, S, B = self.shape
            if not arrays.fits(tuple(self.transition.shape[:4]), (K, T, S, B)):
                raise InvalidGame("axes", array="transition", axes="[K, T, S, B] of the kernel", expected=(K, T, S, B), got=tuple(self.transition.shape[:4]))

    def _try(self) -> None:
        """Evaluate everything once, at uniform behaviour and the middle of the leader's set: what is broken shows at once."""
        assert self.leader is not None
        K, T, S, B = self.shape
        start = self.initial[:, None] if self.initial is not None else np.full((1, 1, S), 1.0 / S)
        y = self.aggregate(operators.flow(np.broadcast_to(start, (K, T, S)), np.full((K, T, S, B), 1.0 / B)))
        theta = self.leader.center()
        self.rewards(y, theta)
        kernel = self.kernel(y, theta)
        if self._fixed is None:
            distributions("transition", kernel.array, "k t s b")
        self.leader_value(np.zeros(self.shape), y, theta)

    # --- sizes ---------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(K, T, S, B)."""
        assert self.sizes is not None
        K, S, B = self.sizes
        return K, self.horizon.stages, S, B

    @property
    def statistics(self) -> int:
        """J."""
        _, _, S, B = self.shape
        if isinstance(self.statistic, str):
            return S if self.statistic == "states" else S * B
        return int(self.statistic.shape[-1])

    @property
    def parameters(self) -> int:
        """D."""
        assert self.leader is not None
        return self.leader.size

    @property
    def cyclic(self) -> bool:
        """Whether the last stage is followed by the first."""
        return self.horizon.cyclic

    @property
    def discount(self) -> float:
        """Per stage."""
        return self.horizon.discount

    @property
    def kernel_is_fixed(self) -> bool:
        """Whether transitions depend neither on the population nor on the leader."""
        return self._fixed is not None

    @property
    def affine(self) -> bool:
        """Whether rewards and transitions are given as arrays, affine in the population's statistics and in theta."""
        return not callable(self.reward) and not callable(self.transition)

    # --- its parts, at given statistics and decision ---------------------------------------------------------------

    def aggregate(self, flows: Array) -> Array:
        """Statistics y [T, J] of masses of states and actions [K, T, S, B]."""
        y: Array = operators.aggregate(flows, self.weights, self.statistic)
        return y

    def rewards(self, y: Array, theta: Array, t: Array | None = None) -> Array:
        """Rewards [K, n, S, B] at stages t (all by default) with statistics y [n, J].

        Raises
        ------
        InvalidGame
            If a callable returns what is not finite or has the wrong shape; the first offending state is named.
        """
        K, T, S, B = self.shape
        stages = np.arange(T) if t is None else t
        shape = (K, len(stages), S, B)
        if callable(self.reward):
            found = self._called("reward", self.reward(stages, y, theta), shape)
        else:
            found = operators.affine(_at(self.reward, t), _at(self.reward_population, t), y, _at(self.reward_leader, t), theta)
        rewards: Array = np.broadcast_to(found, shape)
        return rewards

    def kernel(self, y: Array, theta: Array, t: Array | None = None) -> Any:
        """The kernel of stages t (all by default) with statistics y [n, J]; see `stackopt.games.mean_field.kernels`."""
        if self._fixed is not None:
            return self._fixed if t is None else self._fixed.stages(t)
        K, T, S, B = self.shape
        if callable(self.transition):
            stages = np.arange(T) if t is None else t
            found = self._called("transition", self.transition(stages, y, theta), (K, len(stages), S, B, S))
            found = found.reshape((1,) * (5 - found.ndim) + found.shape)
            if found.shape[2:] != (S, B, S):
                found = np.broadcast_to(found, (*found.shape[:2], S, B, S))
        else:
            found = operators.affine_kernel(_at(self.transition, t), _at(self.transition_population, t), y, _at(self.transition_leader, t), theta)
        return Dense(found, checked=False)

    def _called(self, name: str, found: Any, shape: tuple[int, ...]) -> Array:
        array = np.asarray(found)
        if array.dtype.kind not in "fciub" or not arrays.fits(array.shape, shape):
            axes = "[K, n, S, B]" if len(shape) == 4 else "[K, n, S, B, S]"
            raise InvalidGame("axes", array=f"{name}(t, y, theta)", axes=axes, expected=shape, got=array.shape if array.dtype.kind in "fciub" else repr(found))
        if not np.isfinite(array).all():
            index = arrays.first(~np.isfinite(np.broadcast_to(array, shape)))
            where = f"(type, stage, state, action) = {index[:4]} gives {np.broadcast_to(array, shape)[index]}"
            raise InvalidGame("callable-finite", name=name, where=where)
        return array

    def leader_value(self, flows: Array, y: Array, theta: Array) -> float:
        """The leader's value of masses [K, T, S, B] with statistics y [T, J] under theta [D]."""
        value = 0.0
        if self.leader_reward is not None or self.leader_reward_leader is not None:
            base = np.zeros((1, 1, 1, 1)) if self.leader_reward is None else self.leader_reward
            earned = operators.affine(base, None, y, self.leader_reward_leader, theta)
            value += float((self.weights[:, None, None, None] * flows * earned).sum())
        if self.objective is not None:
            value += self.objective_value(y, theta)
        return value

    def objective_value(self, y: Array, theta: Array) -> Any:
        """The part of the leader's value that is a function of the statistics; 0 if there is none. Complex for complex arguments."""
        if self.objective is None:
            return 0.0
        value = np.asarray(self.objective(y, theta))
        if value.size != 1 or value.dtype.kind not in "fciub":
            raise InvalidGame("axes", array="objective(y, theta)", axes="a number", expected=(), got=value.shape)
        if not np.isfinite(value).all():
            raise InvalidGame("callable-finite", name="objective", where=f"theta = {np.asarray(theta).tolist()[:6]} gives {value.ravel()[0]}")
        scalar = value.reshape(())[()]
        return complex(scalar) if value.dtype.kind == "c" else float(scalar)

    def uniform(self) -> Array:
        """Uniform policies [K, T, S, B]."""
        K, T, S, B = self.shape
        return np.full((K, T, S, B), 1.0 / B)

    def at(self, theta: Any) -> MeanFieldStackelbergGame:
        """The same followers under one decision theta [D]: what remains is to find their equilibrium."""
        fixed = dataclasses.replace(self, leader=Menu(np.atleast_2d(self.require_theta(theta))))
        return fixed

    def require_theta(self, theta: Any) -> Array:
        """theta as an array [D]; raises InvalidGame if it has another length or is not finite."""
        array = np.atleast_1d(validation.as_float("theta", theta, "[D]"))
        if array.shape != (self.parameters,):
            raise InvalidGame("axes", array="theta", axes="[D]", expected=(self.parameters,), got=array.shape)
        validation.require_finite("theta", array, "d")
        return array

    # --- what a Problem must do ----------------------------------------------------------------------------------

    def certify(self, candidate: Population) -> Certificate:
        """Recompute the law, the exploitability and the leader's value of `candidate`; see `stackopt.games.mean_field.certify`."""
        from stackopt.games.mean_field.certify import certify

        return certify(self, candidate)

    def examinations(self, candidate: Population, best_commitment: float | None = None) -> tuple[Examination, ...]:
        """Measured quantities of `candidate` against the bounds of the theory; see `stackopt.games.mean_field.examination`."""
        from stackopt.games.mean_field.examination import examinations

        return examinations(self, candidate, best_commitment)

    def summarize(self, candidate: Population, certificate: Certificate) -> list[tuple[str, str]]:
        """The rows a `Solution` prints about a candidate of this game."""
        from stackopt.games.mean_field.certify import summarize

        return summarize(self, candidate, certificate)

    def fingerprint(self) -> str:
        """SHA-256 of everything that defines the answer (not of names and labels); callables count by their code."""
        skipped = ("types", "states", "actions", "name", "_fixed", "horizon", "leader")
        values = [getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in skipped]
        assert self.leader is not None
        chosen = [getattr(self.leader, f.name) for f in dataclasses.fields(self.leader)]
        return arrays.digest(str(self.horizon), type(self.leader).__name__, *chosen, *values)

    # --- how it prints -------------------------------------------------------------------------------------------

    def block(self) -> Block:
        """The printed form."""
        K, _, S, B = self.shape
        sizes = ((K, "type"), (S, "state"), (B, "action"))
        title = f'MeanFieldStackelbergGame "{self.name}": ' + ", ".join(f"{n} {noun}{'' if n == 1 else 's'}" for n, noun in sizes)
        coupled = "callable" if callable(self.reward) else "affine" if self.reward_population is not None else "independent of the population"
        movers = (("population", self.transition_population), ("leader", self.transition_leader))
        moved = " and the ".join(who for who, terms in movers if terms is not None)
        fixed = f"fixed, {type(self._fixed).__name__.lower()}"
        kernel = "callable" if callable(self.transition) else f"moved by the {moved}" if moved else fixed
        statistic = {"states": "distribution of states", "state-actions": "distribution of states and actions"}.get(str(self.statistic), "averages")
        rows = [
            ("horizon", str(self.horizon)),
            ("coupling", f"{self.statistics} statistic{'' if self.statistics == 1 else 's'} ({statistic}); rewards {coupled}; transitions {kernel}"),
            ("leader", str(self.leader)),
        ]
        if K > 1:
            rows.append(("weights", number(self.weights)))
        return Block(title, tuple(rows))

    def __repr__(self) -> str:
        return self.block().text()

    def _repr_html_(self) -> str:
        return self.block().html()


def _at(array: Array | None, t: Array | None) -> Array | None:
    """The stages t of a compact array [K or 1, T or 1, ...]."""
    return array if array is None or t is None or array.shape[1] == 1 else array[:, t]
