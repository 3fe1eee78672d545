"""How the compiled loops are compiled, and the exponential and the logarithm that they use.

LLVM as Numba ships it has no vector exponential, so both functions are polynomials after range reduction, which LLVM turns into vector
instructions. They are within 1e-15 of the exact value, relative (tested).
"""

# Numba infers the types of arguments.
# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

# Contraction to fused multiply-adds is wanted; reassociation would undo the range reduction.
_OPTIONS: dict[str, Any] = {"fastmath": {"contract"}, "nogil": True, "error_model": "numpy"}


def compiled(function: Callable[..., Any]) -> Any:
    """Compile by Numba at the first call; the result is kept on disk where there is a place to write to.

    A kept function is renewed when its own file changes, not when a file it calls into does: a change of this file needs one of
    `chunked_numba`, too.
    """
    try:
        return njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # no folder to keep it in: compiled again in every process
        return njit(**_OPTIONS)(function)


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
def exp(x):
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
def log(x):
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


@compiled
def exponential(x, out):
    """exp of every number of x, at most 709 each; below -708 as at -708."""
    for i in range(x.size):
        out[i] = exp(x[i])


@compiled
def logarithm(x, out):
    """log of every number of x, positive and normal each."""
    for i in range(x.size):
        out[i] = log(x[i])
