r"""Equilibria whose program has products of unknowns, as one quadratic program for a global solver  [D5].

Where the population or a decision moves transitions, :math:`P=P_0+\sum_jy_jP_{1j}+\sum_d\theta_dP_{2d}`, the law multiplies masses with statistics and
decisions, and best answers multiply values with them; a leader paid per mass in proportion to a decision out of a box
multiplies these two. Everything else is the mixed-integer program of `mean_field_equilibrium`, with the ranges of V of theory D5.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stackopt.games.mean_field.leaders import Menu
from stackopt.games.mean_field.terms import QuadraticObjective
from stackopt.games.operators import Array
from stackopt.programs.quadratic import QuadraticProgram
from stackopt.reformulations.game_program import quadratic_program
from stackopt.reformulations.mean_field_arrays import AffineFollowers
from stackopt.reformulations.mean_field_equilibrium import EquilibriumProgram

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: One product: (column, column, coefficient).
Product = tuple[int, int, float]


def bilinear_program(program: EquilibriumProgram) -> QuadraticProgram:
    """The equilibrium program with the products that `program.milp` leaves out.

    Parameters
    ----------
    program : EquilibriumProgram
        Of followers whose transitions may be moved; its objective may be a direction of the statistics.
    """
    followers = program.followers
    target = quadratic_program(program.milp)
    rows: dict[int, list[Product]] = {}
    if followers.moved:
        _law(program, rows)
        _answers(program, rows)
    return replace(target, row_quadratic={row: _triangle(terms, len(target.names)) for row, terms in rows.items()})


def with_leader(program: EquilibriumProgram, target: QuadraticProgram) -> QuadraticProgram:
    """`target` with what the leader earns by products: per mass in proportion to its decision, and a `QuadraticObjective`."""
    followers, game = program.followers, program.followers.game
    terms: list[Product] = []
    linear = target.linear.copy()
    paid = followers.leader_reward_leader
    if program.theta is not None and not isinstance(game.leader, Menu) and (paid != paid[:, :, :1, :1]).any():
        for k, t, s, b, d in np.argwhere(paid):
            value = program.sign * game.weights[k] * paid[k, t, s, b, d]
            terms.append((int(program.mass[k, t, s, b]), int(program.theta[d]), float(value)))
        linear[program.theta] = 0.0  # the part that all masses of a stage pay alike is among the products now
    if isinstance(game.objective, QuadraticObjective):
        for row in program.statistics:
            for i, j in np.argwhere(game.objective.quadratic):
                terms.append((int(row[i]), int(row[j]), program.sign * float(game.objective.quadratic[i, j])))
            linear[row] += program.sign * game.objective.linear
    return replace(target, linear=linear, quadratic=_triangle(terms, len(target.names)) if terms else None)


def _law(program: EquilibriumProgram, rows: dict[int, list[Product]]) -> None:
    """Masses times what moves their transitions."""
    followers = program.followers
    K, T, S, _ = followers.game.shape
    for k, t, s in np.ndindex(K, T, S):
        if program.flow[k, t, s] < 0:
            continue
        before = (t - 1) % T
        terms = rows.setdefault(int(program.flow[k, t, s]), [])
        for mover, slopes in _movers(program, before):
            for m, a, b in np.argwhere(slopes[k, before, :, :, :, s]):
                terms.append((int(program.mass[k, before, a, b]), int(mover[m]), -float(slopes[k, before, m, a, b, s])))


def _answers(program: EquilibriumProgram, rows: dict[int, list[Product]]) -> None:
    """Values of the next stage times what moves the transitions to them."""
    followers = program.followers
    game = followers.game
    K, T, S, B = game.shape
    for k, t, s, b in np.ndindex(K, T, S, B):
        if not game.cyclic and t == T - 1:
            continue
        after, row = (t + 1) % T, int(program.slack[k, t, s, b])
        terms = [
            (int(program.value[k, after, target]), int(mover[m]), -game.discount * float(slopes[k, t, m, s, b, target]))
            for mover, slopes in _movers(program, t)
            for m, target in np.argwhere(slopes[k, t, :, s, b])
        ]
        rows.setdefault(row, []).extend(terms)
        rows.setdefault(row + 1, []).extend(terms)  # the row that makes it tight


def _movers(program: EquilibriumProgram, t: int) -> list[tuple[np.ndarray, Array]]:
    """(columns, slopes) of what moves the transitions of stage t."""
    followers: AffineFollowers = program.followers
    found: list[tuple[np.ndarray, Array]] = []
    if followers.moved_population is not None:
        found.append((program.statistics[t], followers.moved_population))
    if followers.moved_leader is not None and program.theta is not None:
        found.append((program.theta, followers.moved_leader))
    return found


def _triangle(terms: list[Product], n: int) -> csr_array:
    """Products as an upper triangle; equal ones add up."""
    from scipy import sparse

    first, second = [min(i, j) for i, j, _ in terms], [max(i, j) for i, j, _ in terms]
    total = sparse.coo_array(([c for _, _, c in terms], (first, second)), shape=(n, n)).tocsr()
    total.sum_duplicates()
    return total
