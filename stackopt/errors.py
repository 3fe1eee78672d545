"""Typed errors: the law that was broken, the first witness, the remedy.

Every error carries a code. The codes, their laws and their explanations are data (`CODES`), so the error index of the
documentation is generated from the same table that raises (`stackopt.codes`), and a test keeps both equal.

    StackoptError
    ├── InvalidInput
    │   ├── InvalidGame        a game's arrays, functions or labels
    │   ├── InvalidMethod      a method's settings
    │   ├── InvalidProgram     a bilevel program, the model or file it comes from, or a program for a back end
    │   ├── InvalidCandidate   a policy pair handed to `certify`
    │   └── InvalidStudy       a tariff study: its file, data, rates or market
    │       └── InfeasibleTariff   no level of a tariff recovers the requirement
    ├── Refused                a method does not solve this problem; says why and what would
    ├── NotCertified           `Solution.require()` on an answer that does not hold
    ├── UnknownModel           no model of that name
    ├── InvalidStore           a store that cannot be read or written
    ├── InvalidOutput          an output file that cannot be written
    └── MissingPackage         an optional package is needed and absent
"""

from __future__ import annotations

from stackopt.codes import CODES


class StackoptError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    code : str
        A key of `CODES`.
    where : str, optional
        The first witness, e.g. ``(s, a, b) = (1, 0, 0) sums to 0.9; 3 more rows differ``.
    help : str, optional
        The remedy; by default the one registered with the code.
    **law : object
        Values for the placeholders of the registered law.
    """

    def __init__(self, code: str, *, where: str = "", help: str = "", **law: object) -> None:
        entry = CODES[code]
        self.code = code
        self.law = entry.law.format(**law)
        self.where = where
        self.placeholders = law
        self.help = help or entry.help.format(**law)
        super().__init__(self.__str__())

    def __str__(self) -> str:
        lines = [f"{type(self).__name__}[{self.code}]: {self.law}"]
        lines += [f"  where:  {self.where}"] if self.where else []
        lines += [f"  help:   {self.help}"] if self.help else []
        return "\n".join([*lines, f"  docs:   errors/{self.code}"])

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.code, self.law, self.where, self.help)


def _rebuild(kind: type[StackoptError], code: str, law: str, where: str, help: str) -> StackoptError:
    """Unpickle: a process pool must hand errors back with their texts unchanged."""
    error = kind.__new__(kind)
    error.code, error.law, error.where, error.help, error.placeholders = code, law, where, help, {}
    Exception.__init__(error, str(error))
    return error


class InvalidInput(StackoptError):
    """Something the caller passed breaks a law."""


class InvalidGame(InvalidInput):
    """A game's arrays, functions or labels break a law."""


class InvalidMethod(InvalidInput):
    """A method's settings break a law."""


class InvalidProgram(InvalidInput):
    """A mixed-integer program is malformed."""


class InvalidCandidate(InvalidInput):
    """A policy pair does not fit the game it is to be certified for."""


class InvalidStudy(InvalidInput):
    """A tariff study's file, data, rates or market break a law."""


class InfeasibleTariff(InvalidStudy):
    """No level of a tariff recovers the revenue that is required."""


class Refused(StackoptError):
    """A method does not solve this problem; the remedy names what does."""


class NotCertified(StackoptError):
    """`Solution.require()` was called on an answer that is not certified."""


class UnknownModel(StackoptError):
    """There is no model of that name."""


class InvalidStore(StackoptError):
    """A store of results cannot be read or written."""


class InvalidOutput(StackoptError):
    """An output file cannot be written; nothing half-written is left."""


class MissingPackage(StackoptError):
    """An optional package is needed and not installed."""
