"""A `BilevelProgram` as one `QuadraticProgram`, with the way there and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.bilevel.kkt import Kkt
from stackopt.bilevel.point import Array, Point
from stackopt.certificate import Bound
from stackopt.display import Block
from stackopt.errors import InvalidCandidate
from stackopt.programs.quadratic import QuadraticProgram
from stackopt.reformulations.stated import Stated


@dataclass(frozen=True, eq=False, repr=False)
class Reduction(Stated):
    """A reformulation that can be read, written, edited and solved elsewhere.

    Attributes
    ----------
    form : str
        ``"sos1"``, ``"indicator"``, ``"products"``, ``"big-m"`` or ``"strong duality"``.
    kkt : Kkt
        The optimality conditions that it restates; its columns come first in `target`.
    target : QuadraticProgram
        In the leader's own sense.
    complete : callable
        From the columns of the `Mpec` [n + M] to the further columns of `target`.
    bounds : tuple of Bound
        The constants in it, each with its proof.
    """

    form: str
    kkt: Kkt
    target: QuadraticProgram
    complete: Callable[[Array], Array]
    bounds: tuple[Bound, ...] = ()

    @property
    def proved(self) -> bool:
        """Whether every constant in it is proved: then its optima are exactly those of the bilevel program."""
        return all(bound.applies for bound in self.bounds)

    def lift(self, v: Array) -> Point:
        """The candidate of a solution vector of `target`."""
        return self.kkt.lift(np.asarray(v, float)[: len(self.kkt.mpec.names)])

    def embed(self, point: Point) -> Array:
        """The solution vector of a candidate whose followers answer optimally: multipliers are found, further columns completed.

        Raises
        ------
        InvalidCandidate
            If there are no multipliers within the bounds of `target`: a follower's answer is not optimal, or a constant is too small.
        """
        w = np.concatenate([point.values, multipliers_at(self.kkt, point, self.target)])
        return np.concatenate([w, self.complete(w)])

    def block(self) -> Block:
        """The printed form."""
        title = f'Reduction of "{self.kkt.program.name}" to its {self.form} form{"" if self.proved else ", conditional"}'
        rows = [("target", self.target.block().title)]
        rows += [("given" if b.applies else "ASSUMED", f"{b.of} at most {b.value:.6g} [{b.reference}]") for b in self.bounds[:8]]
        rows += [("", f"{len(self.bounds) - 8} more bounds")] if len(self.bounds) > 8 else []
        return Block(title, (*rows, ("more", ".target.algebra()  .write(path)  .pyomo()  .cvxpy()  .lift(v)  .embed(point)")), good=self.proved)

    def __repr__(self) -> str:
        return self.block().text()

    def _repr_html_(self) -> str:
        return self.block().html()


def multipliers_at(kkt: Kkt, point: Point, target: QuadraticProgram | None = None) -> Array:
    """Multipliers [M] at a candidate, those of least total complementarity; within the bounds of `target`, if given.

    Raises
    ------
    InvalidCandidate
        If there are none, or they are not complementary: then a follower's answer is not optimal.
    """
    from scipy import sparse

    from stackopt.backends.matrix import minimise

    mpec, n = kkt.mpec, kkt.mpec.variables
    lower, upper = (mpec.lower, mpec.upper) if target is None else (target.lower, target.upper)
    slack = np.maximum(mpec.slack(point.values), 0.0)
    rhs = np.asarray(mpec.stationarity_rhs - mpec.stationarity[:, :n] @ point.values, float)
    matrix: Any = sparse.vstack([mpec.stationarity[:, n:], kkt.symbol_of[n:, n:]], format="csr")
    rhs = np.concatenate([rhs, point.multipliers])
    room = 1e-9 * (1.0 + np.abs(rhs))
    cost = np.concatenate([slack, np.zeros(len(mpec.free_row))])
    last = n + cost.size
    found = minimise(cost, sparse.csr_array(matrix), rhs - room, rhs + room, lower[n:last], upper[n:last])
    scale = 1.0 + np.abs(point.values).max(initial=0.0)
    if found.x is None or not found.value <= 1e-6 * scale * (1.0 + np.abs(found.x).max(initial=0.0)):
        why = "no multipliers satisfy stationarity" if found.x is None else f"multipliers times slacks add up to {found.value:.3g} at least"
        raise InvalidCandidate("not-a-response", where=why)
    return found.x
