"""Seeded bilevel instances in plain arrays, for the benchmarks: random LPs, three structured families, convex-QP followers.

Everything is one form, so that every solver is given the same numbers::

    min_{x, y}  c x + d y + share phi(x)      G x + H y <= g,   0 <= x <= x_upper
    y solves    phi(x) = min  q y + x' C' y + 1/2 y' Q y      A x + B y <= b  (or ==),   0 <= y <= y_upper

`share` is nonzero in toll setting only: there the revenue is `phi(x)` less what the routes cost without tolls, and `phi(x) = b lam`
by strong duality, which is linear in the follower's multipliers `lam`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    import stackopt as so

#: The lowest leader value anybody has shown to be bilevel feasible (follower re-solved), where no search has closed the gap.
BEST_KNOWN: dict[str, float] = {"random 60/0": -2193.4, "random 60/1": -2039.0, "random 60/2": -1958.9, "random 100/0": -2752.3}


@dataclass(frozen=True, eq=False)
class Instance:
    """One bilevel program as arrays; the formula is in the module's first lines.

    Attributes
    ----------
    name : str
        Family, size and seed.
    c, d, q : array [n_x], [n_y], [n_y]
        Costs of the leader in x, of the leader in y, of the follower in y.
    G, H, g : array [l, n_x], [l, n_y], [l]
        Leader rows.
    A, B, b : array [m, n_x], [m, n_y], [m]
        Follower rows.
    x_upper, y_upper : array [n_x], [n_y]
        Upper bounds; lower bounds are 0; infinity is none.
    equal : bool array [m]
        Which follower rows are equations.
    Q : array [n_y, n_y]
        Positive semidefinite.
    C : array [n_y, n_x]
        The leader's prices in the follower's objective.
    share : float
        Weight of the follower's optimal value in the leader's objective.
    """

    name: str
    c: np.ndarray
    d: np.ndarray
    q: np.ndarray
    A: np.ndarray
    B: np.ndarray
    b: np.ndarray
    G: np.ndarray
    H: np.ndarray
    g: np.ndarray
    x_upper: np.ndarray
    y_upper: np.ndarray
    equal: np.ndarray
    Q: np.ndarray
    C: np.ndarray
    share: float = 0.0

    @property
    def pairs(self) -> int:
        """Complementarity pairs of the follower's KKT conditions: inequality rows and finite bounds."""
        return int((~self.equal).sum() + self.q.size + np.isfinite(self.y_upper).sum())

    def program(self) -> so.BilevelProgram:
        """The same program as a `BilevelProgram`."""
        from stackopt.bilevel.program import BilevelProgram

        i = self

        def part(rows: np.ndarray) -> tuple[Any, Any, np.ndarray]:
            return sparse.csr_array(i.A[rows]), sparse.csr_array(i.B[rows]), i.b[rows]

        made = BilevelProgram.from_matrices(
            leader_cost=(i.c, i.d),
            follower_cost=i.q,
            leader_rows=(i.G, i.H, i.g) if i.g.size else None,
            follower_rows=part(~i.equal) if not i.equal.all() else None,
            follower_equations=part(i.equal) if i.equal.any() else None,
            leader_bounds=(0.0, i.x_upper),
            follower_bounds=(0.0, i.y_upper),
            follower_hessian=i.Q if i.Q.any() else None,
            follower_cross=i.C.T if i.C.any() else None,
            name=i.name,
        )
        return priced(made, i.share * i.b) if i.share else made


def priced(program: so.BilevelProgram, price: np.ndarray) -> so.BilevelProgram:
    """`program` with ``price . multipliers`` of the follower's rows added to the leader's objective."""
    from stackopt.bilevel.program import BilevelProgram, Level, Multiplier, Objective, Rows

    follower = program.followers[0]
    used = np.flatnonzero(price)
    symbols = program.size + used.size

    def wide(level: Level, extra: np.ndarray) -> Level:
        form = level.objective.quadratic
        if form is not None:
            form = sparse.csr_array((form.data, form.indices, np.concatenate([form.indptr, np.full(used.size, form.nnz)])), shape=(symbols, symbols))
        objective = Objective(level.objective.sense, np.concatenate([level.objective.linear, extra]), form, level.objective.constant)
        matrix = sparse.hstack([level.rows.matrix, sparse.csr_array((len(level.rows), used.size))], format="csr")
        return Level(level.name, objective, Rows(level.rows.names, matrix, level.rows.lower, level.rows.upper))

    return BilevelProgram(
        names=program.names,
        owner=program.owner,
        lower=program.lower,
        upper=program.upper,
        integer=program.integer,
        leader=wide(program.leader, price[used]),
        followers=(wide(follower, np.zeros(used.size)),),
        multipliers=tuple(Multiplier(f"lam[{r}]", follower.name, follower.rows.names[r]) for r in used),
        name=program.name,
    )


def instance(name: str, c: Any, d: Any, q: Any, A: Any, B: Any, b: Any, **more: Any) -> Instance:
    """An `Instance` with zeros and no bounds where nothing is given."""
    n_x, n_y, m = len(c), len(q), len(b)
    filled = {
        "G": np.zeros((0, n_x)),
        "g": np.zeros(0),
        "x_upper": np.full(n_x, np.inf),
        "y_upper": np.full(n_y, np.inf),
        "equal": np.zeros(m, dtype=bool),
        "Q": np.zeros((n_y, n_y)),
        "C": np.zeros((n_y, n_x)),
    } | more
    filled.setdefault("H", np.zeros((len(filled["g"]), n_y)))
    return Instance(name, np.asarray(c, float), np.asarray(d, float), np.asarray(q, float), A, B, np.asarray(b, float), **filled)


def random_data(n: int, seed: int, density: float = 0.3) -> dict[str, Any]:
    """A random bilevel LP: n variables and n rows for the follower, n variables and ``max(2, n // 5)`` rows for the leader.

    Integer coefficients in [-10, 10], each kept with probability `density`; all variables in [0, 10]. Right-hand sides leave room
    for a random point, so both levels are feasible. Every draw is in a fixed order: the instances are the same everywhere.
    """
    rng = np.random.default_rng(1000 * n + seed)

    def sparse(rows: int, columns: int) -> np.ndarray:
        values = rng.integers(-10, 11, (rows, columns)).astype(float)
        values[rng.random((rows, columns)) > density] = 0
        return values

    A, B = sparse(n, n), sparse(n, n)
    x, y = rng.uniform(0, 10, n), rng.uniform(0, 10, n)
    b = np.round(A @ x + B @ y + rng.uniform(0, 20, n))
    G = np.abs(sparse(max(2, n // 5), n))
    g = np.round(G @ x + 5)
    c, d, q = (rng.integers(-10, 11, n).astype(float) for _ in range(3))
    return {"c": c, "d": d, "q": q, "A": A, "B": B, "b": b, "G": G, "g": g, "x_upper": np.full(n, 10.0), "y_upper": np.full(n, 10.0)}


def random_lp(n: int, seed: int) -> Instance:
    """`random_data`: 3 n complementarity pairs without structure."""
    return instance(f"random {n}/{seed}", **random_data(n, seed))


def random_qp(n: int, seed: int) -> Instance:
    """`random_data` with a convex quadratic follower: ``Q = R'R + I``, R sparse with integers in [-2, 2]; 3 n pairs."""
    data = random_data(n, seed)
    rng = np.random.default_rng([7, n, seed])
    R = rng.integers(-2, 3, (n, n)) * (rng.random((n, n)) < 0.2)
    return instance(f"qp {n}/{seed}", **data, Q=(R.T @ R + np.eye(n)).astype(float))


def transport(plants: int, customers: int, seed: int) -> Instance:
    """The leader rents capacity at plants; a carrier then ships at its own least cost, and cheap roads are the harmful ones.

    x[i] in [0, K]: capacity of plant i, at rent 1, K = 2 / plants of the demand; the rented sum must cover the demand and a tenth.
    Follower: flows y[i, j] in [0, 15] at cost q in [1, 20], at most x[i] from plant i, the demand of customer j met exactly. The leader
    pays d = 21 - q, give or take 3, for each unit shipped. ``plants (1 + 2 customers)`` pairs.
    """
    rng = np.random.default_rng([11, plants, customers, seed])
    demand = rng.integers(5, 16, customers).astype(float)
    n_y = plants * customers
    q = rng.integers(1, 21, n_y)
    return instance(
        f"transport {plants}x{customers}/{seed}",
        c=np.ones(plants),
        d=21 - q + rng.integers(-3, 4, n_y),
        q=q,
        A=np.vstack([-np.eye(plants), np.zeros((customers, plants))]),
        B=np.vstack([np.kron(np.eye(plants), np.ones(customers)), np.kron(np.ones(plants), np.eye(customers))]),
        b=np.concatenate([np.zeros(plants), demand]),
        equal=np.repeat([False, True], [plants, customers]),
        G=-np.ones((1, plants)),
        g=np.array([-np.ceil(1.1 * demand.sum())]),
        x_upper=np.full(plants, np.ceil(2.0 * demand.sum() / plants)),
        y_upper=np.full(n_y, 15.0),
    )


def market(generators: int, consumers: int, seed: int) -> Instance:
    """A regulator issues permits to generators; the market then clears at least cost, consumers' value counted.

    x[i] in [0, P[i]]: permits of generator i, at a price in [0, 5], between half and 60 % of all capacity. Follower: generation y in
    [0, P], at most x, consumption w in [0, D], ``sum y = sum w``, cost q y - v w with q in [5, 40], v in [10, 50]. The leader counts
    emissions, 45 - q give or take 5 (cheap is dirty), and what consumption is worth to *it*, in [0, 60] a unit.
    ``3 generators + 2 consumers`` pairs.
    """
    rng = np.random.default_rng([13, generators, consumers, seed])
    P, D = rng.integers(10, 41, generators).astype(float), rng.integers(5, 31, consumers).astype(float)
    cost, value = rng.integers(5, 41, generators), rng.integers(10, 51, consumers)
    emissions, worth = 45 - cost + rng.integers(-5, 6, generators), rng.integers(0, 61, consumers)
    capped = np.hstack([np.eye(generators), np.zeros((generators, consumers))])
    return instance(
        f"market {generators}/{consumers}/{seed}",
        c=rng.integers(0, 6, generators),
        d=np.concatenate([emissions, -worth]),
        q=np.concatenate([cost, -value]),
        A=np.vstack([-np.eye(generators), np.zeros((1, generators))]),
        B=np.vstack([capped, np.repeat([1.0, -1.0], [generators, consumers])]),
        b=np.zeros(generators + 1),
        equal=np.arange(generators + 1) == generators,
        G=np.outer([1.0, -1.0], np.ones(generators)),
        g=np.array([np.floor(0.6 * P.sum()), -np.floor(0.5 * P.sum())]),
        x_upper=P,
        y_upper=np.concatenate([P, D]),
    )


def toll(rows: int, columns: int, commodities: int, seed: int) -> Instance:
    """Tolls on a grid road network, the revenue maximised; each commodity takes a cheapest route.

    Nodes of a grid, an arc in both directions between neighbours, cost 1 to 10. A third of the arcs carry a toll in [0, 10].
    Commodity k sends its demand (1 to 5) between two random nodes. The leader minimises minus the revenue,
    ``cost y - phi(x)``, so the multipliers of flow conservation enter its objective. ``commodities x arcs`` pairs.
    """
    rng = np.random.default_rng([17, rows, columns, commodities, seed])
    node = np.arange(rows * columns).reshape(rows, columns)
    ends = [*zip(node[:, :-1].ravel(), node[:, 1:].ravel()), *zip(node[:-1].ravel(), node[1:].ravel())]
    ends += [(b, a) for a, b in ends]
    n, arcs = node.size, len(ends)
    leave = np.zeros((n, arcs))
    for arc, (a, b) in enumerate(ends):
        leave[a, arc], leave[b, arc] = 1.0, -1.0
    cost = rng.integers(1, 11, arcs).astype(float)
    tolled = rng.permutation(arcs)[: arcs // 3]
    price = np.zeros((arcs, tolled.size))
    price[tolled, np.arange(tolled.size)] = 1.0
    supply = np.zeros((commodities, n))
    for k in range(commodities):
        origin, end = rng.permutation(n)[:2]
        demand = rng.integers(1, 6)
        supply[k, origin], supply[k, end] = demand, -demand
    costs = np.tile(cost, commodities)
    return instance(
        f"toll {rows}x{columns}/{commodities}/{seed}",
        c=np.zeros(tolled.size),
        d=costs,
        q=costs,
        A=np.zeros((commodities * n, tolled.size)),
        B=np.kron(np.eye(commodities), leave),
        b=supply.ravel(),
        equal=np.ones(commodities * n, dtype=bool),
        C=np.tile(price, (commodities, 1)),
        x_upper=np.full(tolled.size, 10.0),
        share=-1.0,
    )
