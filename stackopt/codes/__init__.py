"""The error index as data: every code with its law, its remedy and why the law exists."""

from __future__ import annotations

from stackopt.codes.bilevel import CODES as _BILEVEL
from stackopt.codes.code import ErrorCode
from stackopt.codes.energy import CODES as _ENERGY
from stackopt.codes.front_ends import CODES as _FRONT_ENDS
from stackopt.codes.games import CODES as _GAMES
from stackopt.codes.kernels import CODES as _KERNELS
from stackopt.codes.mean_field import CODES as _MEAN_FIELD
from stackopt.codes.methods import CODES as _METHODS
from stackopt.codes.studies import CODES as _STUDIES

CODES: dict[str, ErrorCode] = _GAMES | _BILEVEL | _FRONT_ENDS | _METHODS | _KERNELS | _MEAN_FIELD | _ENERGY | _STUDIES

__all__ = ["CODES", "ErrorCode"]
