r"""Day sweeps of a chunk of types, compiled by Numba (extra ``[fast]``): the inner loops of `chunked`.

Types are the innermost axis, `LANES` of them, so that every inner loop is one vector operation and the policy of a chunk stays in
the cache. All compiled functions stand in this one file: a compiled function that is cached on disk is renewed when its own file
changes, not when a file it calls into does. Threads are the caller's (the functions release the interpreter), not Numba's
parallel loops: these are cached less reliably, and one of their threading layers must not be entered twice.

LLVM as Numba ships it has no vector exponential, so `exponential` and `logarithm` are polynomials after range reduction; both are
within 1e-15 of the exact value (tested).
"""

# The arguments are arrays whose types Numba infers.
# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated, no-untyped-call"

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

#: Types side by side in a chunk.
LANES = 32
#: A sum of weights below this has lost terms to underflow; its row is computed again with exponentials of its own.
TINY = 1e-200

# Contraction to fused multiply-adds is wanted; reassociation would undo the range reduction.
_OPTIONS: dict[str, Any] = {"fastmath": {"contract"}, "nogil": True, "cache": True, "error_model": "numpy"}

# Interpolation of exp on [-log(2)/2, log(2)/2] in Chebyshev nodes, degree 11: relative error 1.7e-17 before rounding.
_E0, _E1, _E2, _E3 = 1.0, 1.0, 0.5000000000000019, 0.1666666666666668
_E4, _E5, _E6, _E7 = 0.0416666666664881, 0.008333333333319601, 0.0013888888952314775, 0.00019841269890047113
_E8, _E9, _E10, _E11 = 2.4801485482328494e-05, 2.755724091857897e-06, 2.763263963904103e-07, 2.5110037605963777e-08
# log(2) in two parts, the first with trailing zeros so that its multiples are exact.
_LN2_HIGH, _LN2_LOW, _LOG2_E = 6.93147180369123816490e-01, 1.90821492927058770002e-10, 1.4426950408889634
_ROUND = 6755399441055744.0  # 1.5 * 2**52: adding it leaves a whole number in the low bits
_SQRT2 = math.sqrt(2.0)


@intrinsic
def _bits(typing_context, number):
    """The bits of a float64 as an int64."""
    return types.int64(types.float64), lambda context, builder, signature, args: builder.bitcast(args[0], ir.IntType(64))


@intrinsic
def _from_bits(typing_context, bits):
    """The float64 of these bits."""
    return types.float64(types.int64), lambda context, builder, signature, args: builder.bitcast(args[0], ir.DoubleType())


@njit(inline="always", **_OPTIONS)
def _exp(x):
    """exp(x) for x <= 709; below -708 it stays at exp(-708)."""
    x = max(x, -708.0)
    k = x * _LOG2_E + _ROUND
    n = k - _ROUND
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    p = _E11 * r + _E10
    p = p * r + _E9
    p = p * r + _E8
    p = p * r + _E7
    p = p * r + _E6
    p = p * r + _E5
    p = p * r + _E4
    p = p * r + _E3
    p = p * r + _E2
    p = p * r + _E1
    p = p * r + _E0
    return p * _from_bits((_bits(k) + np.int64(1023)) << np.int64(52))


# Interpolation of 2 atanh(sqrt(u)) / sqrt(u) on [0, 0.0295] in Chebyshev nodes, degree 7: relative error 3e-18 before rounding.
_L0, _L1, _L2, _L3 = 2.0, 0.6666666666666765, 0.3999999999930234, 0.2857142876064168
_L4, _L5, _L6, _L7 = 0.22222197056726048, 0.18183631680229329, 0.1531252814836419, 0.14809710360655276


@njit(inline="always", **_OPTIONS)
def _log(x):
    """log(x) for a normal positive x: log(2**e m) = e log(2) + 2 atanh((m - 1) / (m + 1)), m in [sqrt(1/2), sqrt(2)]."""
    bits = _bits(x)
    m = _from_bits((bits & np.int64(0x000FFFFFFFFFFFFF)) | np.int64(0x3FF0000000000000))
    # the exponent as a float without a conversion: its bits below those of 2**52
    e = _from_bits(((bits >> np.int64(52)) & np.int64(0x7FF)) | np.int64(0x4330000000000000)) - 4503599627371519.0
    large = m > _SQRT2
    m = 0.5 * m if large else m
    e = e + 1.0 if large else e
    s = (m - 1.0) / (m + 1.0)
    u = s * s
    p = _L7 * u + _L6
    p = p * u + _L5
    p = p * u + _L4
    p = p * u + _L3
    p = p * u + _L2
    p = p * u + _L1
    p = p * u + _L0
    return (e * _LN2_HIGH + s * p) + e * _LN2_LOW


@njit(**_OPTIONS)
def exponential(x, out):
    """exp of every number of x, at most 709 each; below -708 as at -708."""
    for i in range(x.size):
        out[i] = _exp(x[i])


@njit(**_OPTIONS)
def logarithm(x, out):
    """log of every number of x, positive and normal each."""
    for i in range(x.size):
        out[i] = _log(x[i])


@njit(inline="never", **_OPTIONS)
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


@njit(inline="never", **_OPTIONS)
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


@njit(inline="never", **_OPTIONS)
def _gather(X, E, entry, move, out):
    """out[r, c] = sum over b of X[r, entry[c, b]] E[r, move[c, b]]: four actions at a time, padded with a row of zeros."""
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            for lane in range(LANES):
                out[r, c, lane] = 0.0
            for b in range(0, move.shape[1], 4):
                i0, i1, i2, i3 = entry[c, b], entry[c, b + 1], entry[c, b + 2], entry[c, b + 3]
                j0, j1, j2, j3 = move[c, b], move[c, b + 1], move[c, b + 2], move[c, b + 3]
                for lane in range(LANES):
                    low = X[r, i0, lane] * E[r, j0, lane] + X[r, i1, lane] * E[r, j1, lane]
                    high = X[r, i2, lane] * E[r, j2, lane] + X[r, i3, lane] * E[r, j3, lane]
                    out[r, c, lane] += low + high


@njit(inline="never", **_OPTIONS)
def _scatter(X, a, first, source, entry, out):
    """out[r, c'] = sum over the sources (c, i) that lead to c' of X[r, i] a[r, c], four at a time."""
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            for lane in range(LANES):
                out[r, c, lane] = 0.0
            for s in range(first[c], first[c + 1], 4):
                i0, i1, i2, i3 = entry[s], entry[s + 1], entry[s + 2], entry[s + 3]
                j0, j1, j2, j3 = source[s], source[s + 1], source[s + 2], source[s + 3]
                for lane in range(LANES):
                    low = X[r, i0, lane] * a[r, j0, lane] + X[r, i1, lane] * a[r, j1, lane]
                    high = X[r, i2, lane] * a[r, j2, lane] + X[r, i3, lane] * a[r, j3, lane]
                    out[r, c, lane] += low + high


@njit(inline="never", **_OPTIONS)
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
                X[r, i, lane] = _exp(X[r, i, lane] - best[r, lane])
        for lane in range(LANES):
            X[r, last, lane] = -np.inf  # for a moment, the largest of u - tilt c
        for c in range(C):
            for lane in range(LANES):
                e = u[r, c, lane] - tilt[r, lane] * c
                X[r, last, lane] = max(X[r, last, lane], e)
                E[r, c, lane] = e
        for c in range(C):
            for lane in range(LANES):
                E[r, c, lane] = _exp(E[r, c, lane] - X[r, last, lane])
        for lane in range(LANES):
            best[r, lane] += X[r, last, lane]
            X[r, last, lane] = 0.0


@njit(inline="never", **_OPTIONS)
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


@njit(**_OPTIONS)
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
                        v[r, c, lane] = tilt[r, lane] * c + best[r, lane] + _log(z)
                        Zt[r, c, lane] = 1.0 / z
        if some:  # only the exact rows need it again
            U[t] = u


@njit(**_OPTIONS)
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


@njit(inline="never", **_OPTIONS)
def _by_entry(X, E, a, first, origin, target, flows):
    """flows[r, i] = X[r, i] * sum of a[r, c] E[r, c'] over the states and actions of entry i; a has a row of zeros for the padding."""
    for r in range(flows.shape[0]):
        for i in range(flows.shape[1]):
            for lane in range(LANES):
                flows[r, i, lane] = 0.0
            for s in range(first[i], first[i + 1], 4):
                i0, i1, i2, i3 = origin[s], origin[s + 1], origin[s + 2], origin[s + 3]
                j0, j1, j2, j3 = target[s], target[s + 1], target[s + 2], target[s + 3]
                for lane in range(LANES):
                    low = a[r, i0, lane] * E[r, j0, lane] + a[r, i1, lane] * E[r, j1, lane]
                    high = a[r, i2, lane] * E[r, j2, lane] + a[r, i3, lane] * E[r, j3, lane]
                    flows[r, i, lane] += low + high
            for lane in range(LANES):
                flows[r, i, lane] *= X[r, i, lane]


@njit(**_OPTIONS)
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


@njit(**_OPTIONS)
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


@njit(**_OPTIONS)
def pay_rows(net, chosen, payoff, pay):
    """pay[t, r, i, lane] = sum over channels of payoff * net, of the types `chosen` [LANES]."""
    for t in range(net.shape[1]):
        for r in range(net.shape[2]):
            for i in range(net.shape[3]):
                for lane in range(LANES):
                    k = chosen[lane]
                    x = 0.0
                    for channel in range(net.shape[4]):
                        x += payoff[t, channel] * net[k, t, r, i, channel]
                    pay[t, r, i, lane] = x


@njit(**_OPTIONS)
def earn(pay, entry, move, X, E, product, paid):
    """paid[t, r, c] = sum over actions of X E pay: what the payoff `pay` [T, R, I + 1, LANES] earns at once, times the sum of weights."""
    for t in range(E.shape[0]):
        for r in range(X.shape[1]):
            for i in range(X.shape[2]):
                for lane in range(LANES):
                    product[r, i, lane] = X[t, r, i, lane] * pay[t, r, i, lane]
        _gather(product, E[t], entry, move, paid[t])


@njit(**_OPTIONS)
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


@njit(**_OPTIONS)
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
