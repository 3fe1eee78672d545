"""The ten environments of MFGLib 0.3.0 with its default parameters, written out again from their definitions.

Random data are those that the library draws: PyTorch's generator on a CPU is the Mersenne Twister that NumPy has too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.mean_field_environments import Array, Crowding, Environment, moves, random_bits, random_uniform


@dataclass(frozen=True, eq=False)
class Payoffs:
    """Reward in state 1 + i: sum_j matrix[i, j] * y[1 + j]; state 0 pays nothing."""

    matrix: Array

    def __call__(self, t: Array, y: Array, theta: Array) -> Array:
        """At stages t [n] and statistics y [n, J]."""
        paid = y[:, 1:] @ self.matrix.T
        return np.concatenate([np.zeros_like(paid[:, :1]), paid], 1)[:, :, None]


def choice_of_group(name: str, matrix: Array) -> Environment:
    """From state 0, action a leads to group 1 + a; the groups then pay by how many are in each."""
    groups = len(matrix)
    transition = np.zeros((groups + 1, groups, groups + 1))
    transition[:, np.arange(groups), 1 + np.arange(groups)] = 1.0
    return Environment(name, 2, groups + 1, groups, np.eye(groups + 1)[0], Payoffs(matrix), transition)


def left_right() -> Environment:
    """Two groups that lose what there is of them, the right one twice."""
    return choice_of_group("left_right", np.diag([-1.0, -2.0]))


def rock_paper_scissors() -> Environment:
    """Three groups that beat each other in a circle, with unequal prizes."""
    return choice_of_group("rock_paper_scissors", np.array([[0.0, -1.0, 2.0], [4.0, 0.0, -2.0], [-3.0, 6.0, 0.0]]))


def beach_bar(horizon: int = 2, places: int = 4, bar: int = 2, still: float = 0.5) -> Environment:
    """A beach with a bar: be near it, and not in a crowd. Walks end at the ends; the distance is counted around."""
    s, a = np.arange(places)[:, None], np.arange(-1, 2)[None, :]
    noise = [((1 - still) / 2, -1), (still, 0), ((1 - still) / 2, 1)]
    kernel = moves([(p, np.clip(s + a + e, 0, places - 1)) for p, e in noise], places, 3).toarray().reshape(places, 3, places)
    away = np.abs(s - bar)
    base = -np.minimum(away, places - away) - np.abs(a) / places
    return Environment("beach_bar", horizon + 1, places, 3, np.full(places, 1 / places), Crowding(base[None], 1.0, 1e-20), kernel)


@dataclass(frozen=True, eq=False)
class Linear:
    """Reward r1 @ flow + r2; y is the flow [S * B]."""

    r1: Array
    r2: Array

    def __call__(self, t: Array, y: Array, theta: Array) -> Array:
        """At stages t [n] and statistics y [n, J]."""
        return self.r1 @ y.reshape(len(y), *self.r2.shape) + self.r2


@dataclass(frozen=True, eq=False)
class SoftmaxLinear:
    """P(s' | s, a): softmax over s' of p1 @ flow + p2, with p1, p2 [S', S, .]."""

    p1: Array
    p2: Array

    def __call__(self, t: Array, y: Array, theta: Array) -> Array:
        """At stages t [n] and statistics y [n, J]."""
        n, _, B = self.p2.shape
        score = self.p1[None] @ y.reshape(len(y), 1, n, B) + self.p2
        weight = np.exp(score - score.real.max(1, keepdims=True))
        return np.moveaxis(weight / weight.sum(1, keepdims=True), 1, -1)


def random_linear(seed: int = 0, horizon: int = 3, n: int = 5, size: float = 10.0) -> Environment:
    """Random affine rewards, and kernels that are softmaxes of random affine functions of the flow; n states and n actions."""
    bits = random_bits(seed)
    r1, r2 = (2 * size * random_uniform(bits, n, n) - size for _ in range(2))
    p1, p2 = (2 * size * random_uniform(bits, n, n, n) - size for _ in range(2))
    name = "random_linear" + (f"[seed {seed}]" if seed else "")
    return Environment(name, horizon + 1, n, n, np.full(n, 1 / n), Linear(r1, r2), SoftmaxLinear(p1, p2), "state-actions")


def _distance(y: Array, n: int) -> Array:
    """|flow - (everybody in state s with action s)| ** 2 for every s.  [., S]"""
    diagonal = np.arange(n) * (n + 1)
    return (y * y).sum(-1)[:, None] - 2 * y[:, diagonal] + 1


@dataclass(frozen=True, eq=False)
class Treasure:
    """From stage 1 on, digging at s (state and action s) pays value[s] * (1 - distance / 2)."""

    value: Array

    def __call__(self, t: Array, y: Array, theta: Array) -> Array:
        """At stages t [n] and statistics y [n, J]."""
        n = len(self.value)
        pays = self.value * (1 - _distance(y, n) / 2) * (t > 0)[:, None]
        return pays[:, :, None] * np.eye(n)


@dataclass(frozen=True, eq=False)
class Dispersal:
    """Stage 0 goes where one wants; later all targets get c d / (1 + n c d), and the wanted one what is left."""

    strength: Array

    def __call__(self, t: Array, y: Array, theta: Array) -> Array:
        """At stages t [n] and statistics y [n, J]."""
        n = math.isqrt(y.shape[-1])
        c = np.concatenate([[0.0], self.strength])[t][:, None]
        d = c * _distance(y, n)
        share = 1 / (1 + n * d)
        return (d * share)[:, :, None, None] + share[:, :, None, None] * np.eye(n)


def conservative_treasure_hunting(horizon: int = 5, n: int = 3) -> Environment:
    """Dig where the others dig: treasures are worth more to a crowd that agrees."""
    return Environment(
        "conservative_treasure_hunting", horizon + 1, n, n, np.full(n, 1 / n), Treasure(np.ones(n)), Dispersal(np.ones(horizon)), "state-actions"
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Inventory:
    """(price(y) - c0) q - c1 q^2 - c2 h - (c2 + c3) max(q - s, 0) - c4 s, with price (d / (y + e0)) ** (1 / sigma), y the mean of q."""

    stock: int
    sell: int
    order: int
    demand: float
    base: float
    elasticity: float
    costs: tuple[float, float, float, float, float]

    def __call__(self, t: Array, y: Array, theta: Array) -> Array:
        """At stages t [n] and statistics y [n, J]."""
        s, q, h = np.meshgrid(np.arange(self.stock + 1), np.arange(self.sell + 1), np.arange(self.order + 1), indexing="ij")
        c0, c1, c2, c3, c4 = self.costs
        fixed = -c0 * q - c1 * q**2 - c2 * h - (c2 + c3) * np.maximum(q - s, 0) - c4 * s
        price = (self.demand / (y[:, 0] + self.base)) ** (1 / self.elasticity)
        return (fixed + price[:, None, None, None] * q).reshape(len(t), self.stock + 1, -1)


def equilibrium_price(horizon: int = 4, stock: int = 3, sell: int = 2, order: int = 2) -> Environment:
    """Firms with an inventory that sell q and order h; the price answers what all sell."""
    S, B = stock + 1, (sell + 1) * (order + 1)
    s, q, h = (x.reshape(S, B) for x in np.meshgrid(np.arange(S), np.arange(sell + 1), np.arange(order + 1), indexing="ij"))
    kernel = moves([(1.0, np.minimum(np.maximum(s - q, 0) + h, stock))], S, B).toarray().reshape(S, B, S)
    reward = Inventory(stock, sell, order, 1.0, 1.0, 1.0, (1.0,) * 5)
    return Environment("equilibrium_price", horizon + 1, S, B, np.full(S, 1 / S), reward, kernel, q[:, :, None].astype(float))


@dataclass(frozen=True, eq=False)
class Constant:
    """The same reward [S, B] whoever is where."""

    value: Array

    def __call__(self, t: Array, y: Array, theta: Array) -> Array:
        """At stages t [n] and statistics y [n, J]."""
        return self.value[None]


@dataclass(frozen=True)
class Contagion:
    """Susceptible (0) who go out are infected with probability rate * y_1; infected recover with probability `recovery`."""

    rate: float
    recovery: float

    def __call__(self, t: Array, y: Array, theta: Array) -> Array:
        """At stages t [n] and statistics y [n, J]."""
        caught = self.rate * y[:, 1]
        kernel = np.zeros((len(t), 2, 2, 2), y.dtype)
        kernel[:, 0, 0, 0], kernel[:, 0, 0, 1] = 1 - caught, caught
        kernel[:, 0, 1, 0] = 1.0
        kernel[:, 1, :, 0], kernel[:, 1, :, 1] = self.recovery, 1 - self.recovery
        return kernel


def susceptible_infected(horizon: int = 50, infected: float = 0.6) -> Environment:
    """Go out (0) or keep away (1): keeping away costs 0.5, infection 1."""
    changed = ([f"T {horizon}"] if horizon != 50 else []) + ([f"infected {infected:g}"] if infected != 0.6 else [])
    name = "susceptible_infected" + (f"[{', '.join(changed)}]" if changed else "")
    reward = Constant(np.array([[0.0, -0.5], [-1.0, -1.5]]))
    return Environment(name, horizon + 1, 2, 2, np.array([0.4 if infected == 0.6 else 1 - infected, infected]), reward, Contagion(0.9**2, 0.3))


@dataclass(frozen=True, eq=False)
class Follow:
    """delta * (-a^2 / 2 + q a (m - s) - kappa (m - s)^2 / 2), at the last stage -terminal (m - s)^2 / 2; m the mean position."""

    last: int
    reach: int
    push: int
    delta: float
    q: float
    kappa: float
    terminal: float

    def __call__(self, t: Array, y: Array, theta: Array) -> Array:
        """At stages t [n] and statistics y [n, J]."""
        place, a = np.arange(-self.reach, self.reach + 1), np.arange(-self.push, self.push + 1)
        gap = ((y @ place)[:, None] - place)[:, :, None]
        running = (-0.5 * a**2 + self.q * a * gap - 0.5 * self.kappa * gap**2) * self.delta
        return np.where((t == self.last)[:, None, None], -0.5 * self.terminal * gap**2, running)


@dataclass(frozen=True)
class Drift:
    """Next place: s + delta (k (m - s) + a) + sigma * sqrt(delta) * (sigma j), rounded, j in -3..3 with weight exp(-(sigma j)^2 / 2)."""

    reach: int
    push: int
    sigma: float
    delta: float
    k: float

    def __call__(self, t: Array, y: Array, theta: Array) -> Array:
        """At stages t [n] and statistics y [n, J]."""
        place, a = np.arange(-self.reach, self.reach + 1), np.arange(-self.push, self.push + 1)
        mean = (y.real @ place)[:, None, None]  # rounding has no derivative
        noise = np.arange(-3, 4) * self.sigma
        weight = np.exp(-0.5 * noise**2)
        weight /= weight.sum()
        target = place[:, None] + (self.k * (mean - place[:, None]) + a) * self.delta
        kernel = np.zeros((*target.shape, len(place)), y.dtype)
        for step, p in zip(noise, weight):
            there = np.clip(np.round(target + self.sigma * step * math.sqrt(self.delta)), -self.reach, self.reach)
            kernel += p * (there[..., None] == place)
        return kernel


def linear_quadratic(horizon: int = 3, reach: int = 5, push: int = 2) -> Environment:
    """Stay near the mean position at a quadratic cost of pushing; the kernel rounds, so it jumps in the mean."""
    S = 2 * reach + 1
    reward, kernel = Follow(horizon, reach, push, 0.1, 0.01, 0.5, 1.0), Drift(reach, push, 3.0, 0.1, 1.0)
    return Environment("linear_quadratic", horizon + 1, S, 2 * push + 1, np.full(S, 1 / S), reward, kernel)


def crowd_motion(seed: int = 0, horizon: int = 3, side: int = 20, every: int = 2, attraction: float = 10.0, still: float = 0.5) -> Environment:
    """The beach bar on a square, with a bar that now and then moves to a diagonal neighbour."""
    steps = [(1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)]
    i, j = (x.ravel() for x in np.meshgrid(np.arange(side), np.arange(side), indexing="ij"))

    def there(dx: int, dy: int) -> Array:
        return np.stack([np.clip(i + a + dx, 0, side - 1) * side + np.clip(j + b + dy, 0, side - 1) for a, b in steps], 1)

    kernel = moves([(still if (dx, dy) == (0, 0) else (1 - still) / 4, there(dx, dy)) for dx, dy in steps], side * side, 5)
    bits, bar = random_bits(seed), (side // 2, side // 2)
    bars = [bar]
    for t in range(horizon):
        if (t + 1) % every == 0:
            moved = (bar[0] + 2 * int(bits(1)[0] % 2) - 1, bar[1] + 2 * int(bits(1)[0] % 2) - 1)
            bar = moved if all(0 <= x < side for x in moved) else bar
        bars.append(bar)
    near = np.stack([1 - (np.abs(i - b[0]) + np.abs(j - b[1])) / (2 * side) for b in bars])
    name = "crowd_motion" + (f"[seed {seed}]" if seed else "")
    S = side * side
    return Environment(name, horizon + 1, S, 5, np.full(S, 1 / S), Crowding(attraction * near[:, :, None], 1.0, 1e-10), kernel)


def building_evacuation(horizon: int = 3, floors: int = 5, length: int = 10, width: int = 10, exit_reward: float = 10.0) -> Environment:
    """Floors with stairs down in one corner and up in the other; the ground floor pays, crowds do not."""
    S = floors * length * width
    f, i, j = (x.ravel() for x in np.meshgrid(np.arange(floors), np.arange(length), np.arange(width), indexing="ij"))
    down = np.where((i == 0) & (j == 0), np.maximum(f - 1, 0), f)
    up = np.where((i == length - 1) & (j == width - 1), np.minimum(f + 1, floors - 1), f)

    def cell(f: Array, i: Array, j: Array) -> Array:
        return (f * length + np.clip(i, 0, length - 1)) * width + np.clip(j, 0, width - 1)

    target = np.stack([cell(f, i + 1, j), cell(f, i - 1, j), cell(f, i, j - 1), cell(f, i, j + 1), cell(down, i, j), cell(up, i, j)], 1)
    base = np.where(f == 0, exit_reward, 0.0)[None, :, None]
    return Environment("building_evacuation", horizon + 1, S, 6, np.full(S, 1 / S), Crowding(base, 1.0, 1e-20, clamped=True), moves([(1.0, target)], S, 6))


#: MFGLib 0.3.0's environments by its names; all parameters are its defaults.
MFGLIB: dict[str, Callable[..., Environment]] = {
    make.__name__: make
    for make in (
        left_right, rock_paper_scissors, random_linear, conservative_treasure_hunting, beach_bar, equilibrium_price, susceptible_infected,
        linear_quadratic, crowd_motion, building_evacuation,
    )
}  # fmt: skip
