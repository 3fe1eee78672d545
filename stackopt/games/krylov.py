r"""Approximate solutions of :math:`(I-\gamma P)x=r` for large sparse kernels, in memory proportional to their non-zeros.

Plain Krylov iterations are enough where the chain mixes, or where the discount forgets within a few dozen steps. They stall
on long chains with discounts near 1, whose information must travel one state at a time; there an incomplete LU
factorisation with bounded fill, which for a nearly one-dimensional chain is nearly exact, carries it across at once. A full
sparse LU would fill in on grids and random graphs and is never made.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stackopt.games.operators import Array

#: Iterations of one linear solve ...
STEPS = 400
#: ... and before a preconditioner is built.
FIRST_STEPS = 60
#: Entries of the incomplete factors, at most this many times those of the matrix, and the relative size of what is dropped.
FILL, DROPPED = 4.0, 1e-4
#: Factors are kept if one use of them leaves at most this part of a random right-hand side: on grids they leave nearly all.
LEFT = 0.2
#: The residual asked for when there are factors, by precision of the kernel.
EXACT = {"float32": 1e-5, "float64": 1e-9}


class LinearSolver:
    """Krylov solves of a sequence of similar systems, which remembers whether they need a preconditioner.

    Parameters
    ----------
    discount : float

    Attributes
    ----------
    slow : bool
        Whether a system was too slow without a preconditioner.
    helps : bool
        Whether factors are worth having: not after the first that were not.
    """

    def __init__(self, discount: float) -> None:
        self.discount, self.slow, self.helps = discount, False, True
        self._kernel: Any = None  # the factors belong to it
        self._factors: Any = None

    def __call__(self, kernel: Any, right: Array, reduction: float) -> tuple[Array, bool]:
        """Solve to a residual of `reduction` times `right`, in max norm, or further where that costs little; see `krylov`."""
        if not self.slow:
            solution, reached = krylov(kernel, self.discount, right, reduction, steps=FIRST_STEPS)
            if reached:
                return solution, True
            self.slow = True
        if self.helps and self._kernel is not kernel:
            self._kernel, self._factors = kernel, incomplete_factors(kernel, self.discount)
            self.helps = self._factors is not None
        if not self.helps:
            return krylov(kernel, self.discount, right, reduction)
        # a few steps more make a policy iteration exact, hence monotone
        solution, reached = krylov(kernel, self.discount, right, min(reduction, EXACT[kernel.dtype.name]), self._factors, FIRST_STEPS)
        if not reached:
            left = right + self.discount * (kernel @ solution) - solution
            reached = float(np.abs(left).max()) <= reduction * float(np.abs(right).max())
        return solution, reached


def incomplete_factors(kernel: Any, discount: float) -> Any:
    r"""An incomplete LU factorisation of :math:`I-\gamma P` with a ``solve``, or None if none within `FILL` is any good."""
    from scipy import sparse
    from scipy.sparse import linalg

    identity = sparse.identity(kernel.shape[0], dtype=kernel.dtype, format="csr")
    matrix = (identity - kernel.dtype.type(discount) * kernel).tocsc()
    try:  # rows are diagonally dominant: no pivoting needed, which keeps the order that saves fill
        factors = linalg.spilu(matrix, drop_tol=DROPPED, fill_factor=FILL, diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    except (RuntimeError, MemoryError):  # singular to working precision, or too large
        return None
    trial = np.random.default_rng(0).standard_normal(kernel.shape[0]).astype(kernel.dtype)
    left = matrix @ factors.solve(trial) - trial
    return factors if float(np.linalg.norm(left)) <= LEFT * float(np.linalg.norm(trial)) else None


@np.errstate(over="ignore", invalid="ignore")  # an iteration that overflows is left, its best iterate returned
def krylov(kernel: Any, discount: float, right: Array, reduction: float, factors: Any = None, steps: int = STEPS) -> tuple[Array, bool]:
    r"""Solve :math:`(I-\gamma P)x=r` by stabilised bi-conjugate gradients until the residual is `reduction` of `right`, in max norm.

    Parameters
    ----------
    kernel : CSR matrix [S, S]
        Its precision is that of the iteration; the right-hand side is scaled to 1.
    discount : float
    right : array [S]
    reduction : float
    factors : object with ``solve``, optional
        An approximate factorisation, used as a preconditioner from the right: residuals stay those of the system itself.
    steps : int
        The most iterations, each of two products with the kernel.

    Returns
    -------
    solution : array [S]
        The best iterate.
    reached : bool
        Whether it is that good, by the residual the iteration carries along; callers measure the true one.
    """
    size = max(float(np.abs(right).max()), 1e-300)
    real = kernel.dtype.type
    gamma = real(-discount)
    r = (right / size).astype(kernel.dtype)
    x, best, scratch, smallest = np.zeros_like(r), np.zeros_like(r), np.empty_like(r), 1.0
    shadow, p, product = r.copy(), r.copy(), float(r @ r)
    for _ in range(steps):
        toward = p if factors is None else factors.solve(p)
        image = kernel @ toward  # then (I - discount * P) times it, in place
        image *= gamma
        image += toward
        against = float(shadow @ image)
        if against == 0.0 or product == 0.0:
            break
        alpha = product / against
        np.multiply(image, real(alpha), out=scratch)
        r -= scratch  # the half step
        across = r.copy() if factors is None else factors.solve(r)
        turned = kernel @ across
        turned *= gamma
        turned += across
        norm = float(turned @ turned)
        omega = float(turned @ r) / norm if norm > 0.0 else 0.0
        np.multiply(toward, real(alpha), out=scratch)
        x += scratch
        across *= real(omega)
        x += across
        turned *= real(omega)
        r -= turned
        left = max(float(r.max()), -float(r.min()))
        if not np.isfinite(left):
            break
        if left <= reduction:
            return x.astype(np.float64) * size, True
        if left < 0.5 * smallest:
            smallest = left
            best[:] = x
        following = float(shadow @ r)
        if omega == 0.0:
            break
        image *= real(-omega)
        p += image
        p *= real((following / product) * (alpha / omega))
        p += r
        product = following
    return best.astype(np.float64) * size, False
