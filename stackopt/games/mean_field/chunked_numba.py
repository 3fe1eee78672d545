r"""Day sweeps of a chunk of types, compiled by Numba (extra ``[fast]``): the inner loops of `chunked`.

Types are the innermost axis, `LANES` of them, so that every inner loop is one vector operation and the policy of a chunk stays in
the cache. Threads are the caller's (the functions release the interpreter), not Numba's parallel loops: these are cached less
reliably, and one of their threading layers must not be entered twice.
"""

# The arguments are arrays whose types Numba infers.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import math

import numpy as np

from stackopt.games.mean_field.compiling import compiled, exp, log

#: Types side by side in a chunk: enough that finding the way costs little beside the arithmetic.
LANES = 64
#: A sum of weights below this has lost terms to underflow; its row is computed again with exponentials of its own.
TINY = 1e-200


@compiled
def _average(signal, same, values, factor, out):
    """out[r] = factor * sum over r' of signal[r, r'] values[r'], arrays [R, C, LANES]; `same` where the signal stays."""
    R, C = out.shape[0], out.shape[1]
    for r in range(R):
        if same:
            for c in range(C):
                for lane in range(LANES):
                    out[r, c, lane] = factor * values[r, c, lane]
            continue
        for c in range(C):
            for lane in range(LANES):
                out[r, c, lane] = 0.0
            for q in range(R):
                p = factor * signal[r, q]
                for lane in range(LANES):
                    out[r, c, lane] += p * values[q, c, lane]


@compiled
def _spread(signal, same, mass, factor, out):
    """out[r'] = factor * sum over r of signal[r, r'] mass[r], arrays [R, C, LANES]."""
    R, C = out.shape[0], out.shape[1]
    for q in range(R):
        if same:
            for c in range(C):
                for lane in range(LANES):
                    out[q, c, lane] = factor * mass[q, c, lane]
            continue
        for c in range(C):
            for lane in range(LANES):
                out[q, c, lane] = 0.0
            for r in range(R):
                p = factor * signal[r, q]
                for lane in range(LANES):
                    out[q, c, lane] += p * mass[r, c, lane]


@compiled
def _gather(X, E, entry, move, out):
    """out[r, c] = sum over b of X[r, entry[c, b]] E[r, move[c, b]]: six actions at a time, padded with a row of zeros."""
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            for lane in range(LANES):
                out[r, c, lane] = 0.0
            for b in range(0, move.shape[1], 6):
                i0, i1, i2, i3, i4, i5 = entry[c, b], entry[c, b + 1], entry[c, b + 2], entry[c, b + 3], entry[c, b + 4], entry[c, b + 5]
                j0, j1, j2, j3, j4, j5 = move[c, b], move[c, b + 1], move[c, b + 2], move[c, b + 3], move[c, b + 4], move[c, b + 5]
                for lane in range(LANES):
                    low = X[r, i0, lane] * E[r, j0, lane] + X[r, i1, lane] * E[r, j1, lane]
                    mid = X[r, i2, lane] * E[r, j2, lane] + X[r, i3, lane] * E[r, j3, lane]
                    high = X[r, i4, lane] * E[r, j4, lane] + X[r, i5, lane] * E[r, j5, lane]
                    out[r, c, lane] += low + mid + high


@compiled
def _scatter(X, a, first, source, entry, out):
    """out[r, c'] = sum over the sources (c, i) that lead to c' of X[r, i] a[r, c], six at a time."""
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            for lane in range(LANES):
                out[r, c, lane] = 0.0
            for s in range(first[c], first[c + 1], 6):
                i0, i1, i2, i3, i4, i5 = entry[s], entry[s + 1], entry[s + 2], entry[s + 3], entry[s + 4], entry[s + 5]
                j0, j1, j2, j3, j4, j5 = source[s], source[s + 1], source[s + 2], source[s + 3], source[s + 4], source[s + 5]
                for lane in range(LANES):
                    low = X[r, i0, lane] * a[r, j0, lane] + X[r, i1, lane] * a[r, j1, lane]
                    mid = X[r, i2, lane] * a[r, j2, lane] + X[r, i3, lane] * a[r, j3, lane]
                    high = X[r, i4, lane] * a[r, j4, lane] + X[r, i5, lane] * a[r, j5, lane]
                    out[r, c, lane] += low + mid + high


@compiled
def _weights(rows, u, shift, tilted, X, E, tilt, best):
    """E[r, c] = exp(u - tilt c - m) and X[r, i] = exp(row + tilt shift - best); both at most 1.

    `tilt` is the slope of u in c. Where an entry always moves by the same step, as charging a battery does, the slope can be
    carried by the entries; what is left of u is its curvature, and low temperatures do not underflow. Returns with m added to
    `best`, so that the value is ``tilt c + best + log(sum of X E)``.
    """
    R, C, last = E.shape[0], E.shape[1], X.shape[1] - 1
    for r in range(R):
        for lane in range(LANES):
            tilt[r, lane] = (u[r, C - 1, lane] - u[r, 0, lane]) / max(C - 1, 1) if tilted else 0.0
            best[r, lane] = -np.inf
        for i in range(last):
            for lane in range(LANES):
                x = rows[r, i, lane] + tilt[r, lane] * shift[i]
                best[r, lane] = max(best[r, lane], x)
                X[r, i, lane] = x
        for i in range(last):
            for lane in range(LANES):
                X[r, i, lane] = exp(X[r, i, lane] - best[r, lane])
        for lane in range(LANES):
            X[r, last, lane] = -np.inf  # for a moment, the largest of u - tilt c
        for c in range(C):
            for lane in range(LANES):
                e = u[r, c, lane] - tilt[r, lane] * c
                X[r, last, lane] = max(X[r, last, lane], e)
                E[r, c, lane] = e
        for c in range(C):
            for lane in range(LANES):
                E[r, c, lane] = exp(E[r, c, lane] - X[r, last, lane])
        for lane in range(LANES):
            best[r, lane] += X[r, last, lane]
            X[r, last, lane] = 0.0


@compiled
def _exact_row(rows, u, r, c, entry, move, actions, out):
    """out = log sum over b of exp(row + u'), every term with an exponential of its own."""
    for lane in range(LANES):
        top = -np.inf
        for b in range(actions):
            top = max(top, rows[r, entry[c, b], lane] + u[r, move[c, b], lane])
        total = 0.0
        for b in range(actions):
            total += math.exp(rows[r, entry[c, b], lane] + u[r, move[c, b], lane] - top)
        out[lane] = top + math.log(total)


@compiled
def back(v, rows, shift, tilted, discount, signal, same, entry, move, actions, X, E, U, Z, exact, tilt, best, u):
    """One day backward: v [R, C, LANES], the values after the last stage in temperatures, becomes those of stage 0.

    Keeps of every stage the weights X and E, the expected next value U where a row is exact, and Z: one over the sum of weights, or, in the rows
    marked `exact`, the value itself.
    """
    T, R, C = E.shape[0], E.shape[1], E.shape[2]
    for t in range(T - 1, -1, -1):
        Xt, Et, Zt, rt = X[t], E[t], Z[t], rows[t]
        _average(signal[t], same[t], v, discount, u)
        _weights(rt, u, shift, tilted, Xt, Et, tilt, best)
        _gather(Xt, Et, entry, move, Zt)
        some = False
        for r in range(R):
            for c in range(C):
                least = np.inf
                for lane in range(LANES):
                    least = min(least, Zt[r, c, lane])
                if least < TINY:
                    exact[t, r, c] = 1
                    some = True
                    _exact_row(rt, u, r, c, entry, move, actions, Zt[r, c])
                    for lane in range(LANES):
                        v[r, c, lane] = Zt[r, c, lane]
                else:
                    exact[t, r, c] = 0
                    for lane in range(LANES):
                        z = Zt[r, c, lane]
                        v[r, c, lane] = tilt[r, lane] * c + best[r, lane] + log(z)
                        Zt[r, c, lane] = 1.0 / z
        if some:  # only the exact rows need it again
            U[t] = u


@compiled
def back_hard(v, rows, discount, signal, same, entry, move, actions, visits, u, total):
    """One day backward of the best values, in place; `total` [LANES] is their average over `visits`, summed over stages."""
    T, R, C = visits.shape[0], visits.shape[1], visits.shape[2]
    for lane in range(LANES):
        total[lane] = 0.0
    for t in range(T - 1, -1, -1):
        _average(signal[t], same[t], v, discount, u)
        for r in range(R):
            for c in range(C):
                for lane in range(LANES):
                    v[r, c, lane] = rows[t, r, entry[c, 0], lane] + u[r, move[c, 0], lane]
                for b in range(1, actions):
                    i, j = entry[c, b], move[c, b]
                    for lane in range(LANES):
                        v[r, c, lane] = max(v[r, c, lane], rows[t, r, i, lane] + u[r, j, lane])
                for lane in range(LANES):
                    total[lane] += visits[t, r, c, lane] * v[r, c, lane]


@compiled
def forward(mass, decay, source, with_source, rows, signal, same, entry, move, actions, first, origin, origin_entry,
            entry_first, entry_origin, entry_target, X, E, U, Z, exact, a, h, visits, keep, flows, measure):  # fmt: skip
    """One day forward under the policy of the last `back`: mass [R, C, LANES] at stage 0 becomes that after the last stage.

    `decay` multiplies each step, `source` [T, R, C, LANES] is added to the mass of the stage that follows. `keep` stores the mass
    of every stage in `visits`; `measure` sums it by reward entry in `flows` [T, R, I + 1, LANES].
    """
    T, R, C = E.shape[0], E.shape[1], E.shape[2]
    for t in range(T):
        Xt, Et = X[t], E[t]
        if keep:
            for r in range(R):
                for c in range(C):
                    for lane in range(LANES):
                        visits[t, r, c, lane] = mass[r, c, lane]
        some = False
        for r in range(R):
            for c in range(C):
                some = some or exact[t, r, c] == 1
                for lane in range(LANES):
                    a[r, c, lane] = 0.0 if exact[t, r, c] == 1 else mass[r, c, lane] * Z[t, r, c, lane]
        if measure:
            _by_entry(Xt, Et, a, entry_first, entry_origin, entry_target, flows[t])
        _scatter(Xt, a, first, origin, origin_entry, h)
        for r in range(R):
            for c in range(C):
                for lane in range(LANES):
                    h[r, c, lane] *= Et[r, c, lane]
        if some:
            for r in range(R):
                for c in range(C):
                    if exact[t, r, c] == 1:
                        for b in range(actions):
                            i, j = entry[c, b], move[c, b]
                            for lane in range(LANES):
                                moved = mass[r, c, lane] * math.exp(rows[t, r, i, lane] + U[t, r, j, lane] - Z[t, r, c, lane])
                                h[r, j, lane] += moved
                                if measure:
                                    flows[t, r, i, lane] += moved
        _spread(signal[t], same[t], h, decay, mass)
        if with_source:
            for r in range(R):
                for c in range(C):
                    for lane in range(LANES):
                        mass[r, c, lane] += source[t, r, c, lane]


@compiled
def _by_entry(X, E, a, first, origin, target, flows):
    """flows[r, i] = X[r, i] * sum of a[r, c] E[r, c'] over the states and actions of entry i; a has a row of zeros for the padding."""
    for r in range(flows.shape[0]):
        for i in range(flows.shape[1]):
            for lane in range(LANES):
                flows[r, i, lane] = 0.0
            for s in range(first[i], first[i + 1], 6):
                i0, i1, i2, i3, i4, i5 = origin[s], origin[s + 1], origin[s + 2], origin[s + 3], origin[s + 4], origin[s + 5]
                j0, j1, j2, j3, j4, j5 = target[s], target[s + 1], target[s + 2], target[s + 3], target[s + 4], target[s + 5]
                for lane in range(LANES):
                    low = a[r, i0, lane] * E[r, j0, lane] + a[r, i1, lane] * E[r, j1, lane]
                    mid = a[r, i2, lane] * E[r, j2, lane] + a[r, i3, lane] * E[r, j3, lane]
                    high = a[r, i4, lane] * E[r, j4, lane] + a[r, i5, lane] * E[r, j5, lane]
                    flows[r, i, lane] += low + mid + high
            for lane in range(LANES):
                flows[r, i, lane] *= X[r, i, lane]


@compiled
def load(base, net, prices, chosen, scale, rows):
    """rows[t, r, i, lane] = scale * (base - sum over channels of price * net) of the types `chosen` [LANES]."""
    for t in range(base.shape[1]):
        for r in range(base.shape[2]):
            for i in range(base.shape[3]):
                for lane in range(LANES):
                    k = chosen[lane]
                    x = base[k, t, r, i]
                    for channel in range(net.shape[4]):
                        x -= prices[t, channel] * net[k, t, r, i, channel]
                    rows[t, r, i, lane] = scale * x


@compiled
def purchases(net, chosen, flows, out):
    """out[lane, t, channel] = sum over signals and entries of net * flows, of the types `chosen` [LANES]."""
    for lane in range(LANES):
        k = chosen[lane]
        for t in range(net.shape[1]):
            for channel in range(net.shape[4]):
                x = 0.0
                for r in range(net.shape[2]):
                    for i in range(net.shape[3]):
                        x += net[k, t, r, i, channel] * flows[t, r, i, lane]
                out[lane, t, channel] = x


@compiled
def pay_rows(net, chosen, payoff, pay):
    """pay[t, r, i, lane] = sum over channels of payoff [LANES, T, L] * net, of the types `chosen` [LANES]."""
    for t in range(net.shape[1]):
        for r in range(net.shape[2]):
            for i in range(net.shape[3]):
                for lane in range(LANES):
                    k = chosen[lane]
                    x = 0.0
                    for channel in range(net.shape[4]):
                        x += payoff[lane, t, channel] * net[k, t, r, i, channel]
                    pay[t, r, i, lane] = x


@compiled
def earn(pay, entry, move, X, E, product, paid):
    """paid[t, r, c] = sum over actions of X E pay: what the payoff `pay` [T, R, I + 1, LANES] earns at once, times the sum of weights."""
    for t in range(E.shape[0]):
        for r in range(X.shape[1]):
            for i in range(X.shape[2]):
                for lane in range(LANES):
                    product[r, i, lane] = X[t, r, i, lane] * pay[t, r, i, lane]
        _gather(product, E[t], entry, move, paid[t])


@compiled
def back_linear(psi, pay, rows, signal, same, entry, move, actions, X, E, U, Z, exact, paid, a, ahead, values):
    """One day backward of the payoff `pay` [T, R, I + 1, LANES], of which `earn` made `paid`, undiscounted.

    psi [R, C, LANES] becomes that of stage 0; `ahead` keeps the expected next psi of every stage, `values` psi itself.
    """
    T, R, C = E.shape[0], E.shape[1], E.shape[2]
    for t in range(T - 1, -1, -1):
        Xt, Et, At = X[t], E[t], ahead[t]
        _average(signal[t], same[t], psi, 1.0, At)
        for r in range(R):
            for c in range(C):
                for lane in range(LANES):
                    a[r, c, lane] = Et[r, c, lane] * At[r, c, lane]
        _gather(Xt, a, entry, move, psi)
        for r in range(R):
            for c in range(C):
                if exact[t, r, c] == 1:
                    for lane in range(LANES):
                        psi[r, c, lane] = 0.0
                    for b in range(actions):
                        i, j = entry[c, b], move[c, b]
                        for lane in range(LANES):
                            p = math.exp(rows[t, r, i, lane] + U[t, r, j, lane] - Z[t, r, c, lane])
                            psi[r, c, lane] += p * (pay[t, r, i, lane] + At[r, j, lane])
                else:
                    for lane in range(LANES):
                        psi[r, c, lane] = (psi[r, c, lane] + paid[t, r, c, lane]) * Z[t, r, c, lane]
                for lane in range(LANES):
                    values[t, r, c, lane] = psi[r, c, lane]


@compiled
def deviations(pay, rows, discount, signal, same, entry, move, actions, X, E, U, Z, exact, visits, ahead, values, h, flows, source):
    r"""What a change of Q does to the payoff: g = mass * pi * (q - psi), summed by entry (`flows`) and by next state (`source`)."""
    T, R, C, entries = E.shape[0], E.shape[1], E.shape[2], flows.shape[2]
    for t in range(T):
        for r in range(R):
            for i in range(entries):
                for lane in range(LANES):
                    flows[t, r, i, lane] = 0.0
            for c in range(C):
                for lane in range(LANES):
                    h[r, c, lane] = 0.0
            for c in range(C):
                for b in range(actions):
                    i, j = entry[c, b], move[c, b]
                    if exact[t, r, c] == 1:
                        for lane in range(LANES):
                            p = math.exp(rows[t, r, i, lane] + U[t, r, j, lane] - Z[t, r, c, lane])
                            g = visits[t, r, c, lane] * p * (pay[t, r, i, lane] + ahead[t, r, j, lane] - values[t, r, c, lane])
                            h[r, j, lane] += g
                            flows[t, r, i, lane] += g
                    else:
                        for lane in range(LANES):
                            p = X[t, r, i, lane] * E[t, r, j, lane] * Z[t, r, c, lane]
                            g = visits[t, r, c, lane] * p * (pay[t, r, i, lane] + ahead[t, r, j, lane] - values[t, r, c, lane])
                            h[r, j, lane] += g
                            flows[t, r, i, lane] += g
        _spread(signal[t], same[t], h, discount, source[t])
