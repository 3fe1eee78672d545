"""What a method returns (`Run`), what the caller gets (`Solution`), and the two protocols between them.

A method cannot vouch for itself: it returns a `Run`, the *problem* certifies the candidate in it, and only then is there
a `Solution`. Why it stopped (`status`) and how good it is (`certificate`) are two fields.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from stackopt.certificate import Bound, Certificate, Check
from stackopt.display import Block, number
from stackopt.errors import NotCertified, Refused

#: What a bound on the best commitment is a bound *of*; comparisons look for exactly these words.
STRONG_VALUE = "strong commitment value over all leader policies"


class Status(enum.StrEnum):
    """Why a method stopped.

    `PROVED` is reserved for results with an exact-arithmetic proof that the checker accepted, see `Solution.proof`.
    `LIMIT` is never success: its candidate is an incumbent and its bound is what was proved so far.
    """

    PROVED = "PROVED"  # the search closed its gap and an exact-arithmetic proof was accepted
    OPTIMAL = "OPTIMAL"  # the search closed its gap in floating point and the problem certified the answer
    CONVERGED = "CONVERGED"  # a learner met its stopping rule on true residuals
    LIMIT = "LIMIT"  # iterations, time or nodes ran out
    INFEASIBLE = "INFEASIBLE"
    UNBOUNDED = "UNBOUNDED"
    NOT_ATTAINED = "NOT ATTAINED"  # proved: the bound is the infimum, and no decision has it; the candidate comes near
    FAILED = "FAILED"  # a solver fault, divergence, or a candidate that its problem does not certify

    @property
    def success(self) -> bool:
        """Whether the method did what it set out to do."""
        return self in (Status.PROVED, Status.OPTIMAL, Status.CONVERGED)


C = TypeVar("C")
C_contra = TypeVar("C_contra", contravariant=True)
P_contra = TypeVar("P_contra", contravariant=True)


@dataclass(frozen=True)
class Progress:
    """One report of long work, for a progress callback.

    Attributes
    ----------
    stage : str
        What is being done.
    done, total : int, int or None
        Steps finished and, where known, in all.
    residual : float or None
        The current residual or gap.
    """

    stage: str
    done: int
    total: int | None = None
    residual: float | None = None


Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Run(Generic[C]):
    """What a method found, before anybody has checked it.

    Attributes
    ----------
    status : Status
        Why the method stopped, in its own opinion.
    candidate : C or None
        The answer or incumbent.
    bound : Bound or None
        What the search proved about the optimum (an upper bound on the leader's value).
    stats : mapping
        Work counters and timings: plain numbers and strings.
    because : str
        The stopping rule that fired, with its figures.
    history : mapping of str to sequence of float
        Residuals and values by iteration, for plots.
    further_bounds : tuple of Bound
        Bounds on other quantities that the search proved on its way, e.g. on the best randomised commitment when the
        search itself was over deterministic ones.
    explanation : tuple of (label, text)
        Why there is no solution, to be printed: ``why``, ``nearest``, ``note``.
    proof : object or None
        An exact-arithmetic proof that a checker has accepted: its `statement` says of what.
    trace : object
        What the search learnt and a proof can start from; not kept in the solution.
    """

    status: Status
    candidate: C | None
    bound: Bound | None = None
    stats: Mapping[str, Any] = field(default_factory=dict)
    because: str = ""
    history: Mapping[str, Any] = field(default_factory=dict)
    further_bounds: tuple[Bound, ...] = ()
    explanation: tuple[tuple[str, str], ...] = ()
    proof: Any = None
    trace: Any = None


@dataclass(frozen=True)
class Refusal:
    """Why a method does not solve a problem, and what would.

    Attributes
    ----------
    code : str
        A key of `stackopt.codes.CODES`.
    because : str
        The witness, e.g. where the transitions depend on the leader's action.
    remedy : str
        What to do instead; by default the one registered with the code.
    law : mapping
        Values for the placeholders of the registered law.
    """

    code: str
    because: str = ""
    remedy: str = ""
    law: Mapping[str, object] = field(default_factory=dict)

    def error(self) -> Refused:
        """The exception `solve` raises."""
        return Refused(self.code, where=self.because, help=self.remedy, **self.law)


class Problem(Protocol[C_contra]):
    """Holds everything that defines the answer, and certifies candidates."""

    @property
    def name(self) -> str:
        """How it is called in tables."""
        ...

    def certify(self, candidate: C_contra) -> Certificate:
        """Recompute everything about `candidate` from the problem's own data."""
        ...

    def fingerprint(self) -> str:
        """A hash of the data that define the answer."""
        ...


class Method(Protocol[P_contra, C]):
    """Holds only how to find an answer. Methods are frozen dataclasses: their fields are their settings."""

    @property
    def name(self) -> str:
        """How it is called in tables."""
        ...

    def refuses(self, problem: P_contra) -> Refusal | None:
        """A reason with a remedy when the method does not solve `problem`, else None."""
        ...

    def run(self, problem: P_contra, *, seed: int = 0, report: Report | None = None) -> Run[C]:
        """Search. Must not modify `problem` or `self`; all randomness comes from `seed`."""
        ...


@dataclass(frozen=True)
class Solution(Generic[C]):
    """A candidate, why the search stopped, and what the problem says about it.

    Attributes
    ----------
    problem, method
        What was solved and how.
    status : Status
        Why it stopped. A claimed optimum that its problem does not certify is FAILED.
    candidate : C or None
        The answer (for a LIMIT: the incumbent).
    certificate : Certificate
        Recomputed from the problem; empty when there is no candidate.
    bound : Bound or None
        What the search proved about the optimum.
    stats, history, because, further_bounds, explanation
        Work done, residuals by iteration, the stopping rule that fired, what else the search proved, why there is no solution.
    provenance : mapping
        Versions, seed, settings, fingerprint: what is needed to repeat it.
    proof : object or None
        Where there is one: the texts `problem` and `text` that anyone can check, and `statement`, what they prove.
    """

    problem: Any
    method: Any
    status: Status
    candidate: C | None
    certificate: Certificate
    bound: Bound | None
    stats: Mapping[str, Any]
    provenance: Mapping[str, Any]
    because: str = ""
    history: Mapping[str, Any] = field(default_factory=dict)
    further_bounds: tuple[Bound, ...] = ()
    explanation: tuple[tuple[str, str], ...] = ()
    proof: Any = None

    @property
    def certified(self) -> bool:
        """Whether the status is a success and every check passes."""
        return self.status.success and self.certificate.certified

    @property
    def value(self) -> Any:
        """The leader's value, recomputed by the problem (array for a batch)."""
        return self.certificate.value

    def require(self) -> C:
        """The candidate, or an error that prints the failing checks.

        Raises
        ------
        NotCertified
            If the solution is not certified; a LIMIT is not success.
        """
        if self.certified and self.candidate is not None:
            return self.candidate
        failed = "; ".join(f"{c.name}: {number(c.residual)} > {number(c.tolerance)}" for c in self.certificate.failures)
        raise NotCertified("not-certified", where=failed or self.because, status=f"{self.status}, {self._word()}")

    def __getitem__(self, key: Any) -> Any:
        """The value of a variable of a bilevel program, by its name or as the object in the user's model.

        Raises
        ------
        InvalidProgram
            If the program has no such variable.
        NotCertified
            If there is no candidate.
        """
        return self._of_problem("look_up")(self._found(), key)

    def dual(self, key: Any) -> Any:
        """A multiplier of a follower's row or variable, with its range if it is not unique; see `BilevelProgram.dual`."""
        return self._of_problem("dual")(self._found(), key)

    def plot(self, variable: Any = None) -> Any:
        """A Matplotlib figure: of a bilevel program the followers' response as a leader variable moves, else the iterations.

        Parameters
        ----------
        variable : str or object, optional
            The leader variable to move, where there are several.

        Raises
        ------
        MissingPackage
            If Matplotlib is not installed.
        """
        from stackopt.plot import solution_figure

        return solution_figure(self, variable)

    def _of_problem(self, name: str) -> Any:
        if not hasattr(self.problem, name):
            raise TypeError(f"the solution of a {type(self.problem).__name__} has no variables by name; its policies are in .candidate")
        return getattr(self.problem, name)

    def _found(self) -> C:
        if self.candidate is None:
            raise NotCertified("not-certified", where=self.because, status=f"{self.status}, no candidate")
        return self.candidate

    def _word(self) -> str:
        if self.candidate is None:
            return "proved" if self.status in (Status.INFEASIBLE, Status.UNBOUNDED) else "no candidate"
        if self.status is Status.NOT_ATTAINED:
            return "proved"
        return "certified" if self.certified else "not certified"

    def block(self) -> Block:
        """The printed form; the first line is the verdict."""
        named = getattr(self.method, "name_for", None)
        by = named(self.problem) if named else self.method.name
        title = f'Solution of "{self.problem.name}" by {by}: {self.status}, {self._word()}'
        summary = getattr(self.problem, "summarize", None)
        rows: list[tuple[str, str]] = list(summary(self.candidate, self.certificate)) if summary and self.candidate is not None else []
        rows += self.explanation
        if self.bound is not None:
            rows.append(("bound", f"{number(self.bound.value)}  [{self.bound.reference}] on the {self.bound.of}"))
            rows += [] if self.bound.applies else [("", f"does not apply: {self.bound.because}")]
        rows += [("", f"{number(b.value)}  [{b.reference}] on the {b.of}") for b in self.further_bounds if b.applies]
        failed = self.certificate.failures
        passed = len(self.certificate.checks) - len(failed)
        if self.candidate is not None:
            rows.append(("certificate", f"{passed} of {len(self.certificate.checks)} checks pass"))
        rows += [("  FAILS", f"{c.name}: {number(c.residual)} > {number(c.tolerance)} ({c.because})") for c in failed]
        rows += [("note", n) for n in self.certificate.notes]
        rows += [("proof", self.proof.line)] if self.proof is not None else [("proof", f"none: {why}")] if (why := self.stats.get("unproved")) else []
        seconds = self.stats.get("seconds")
        rows.append(("stopped", self.because + (f", {number(seconds, 3)} s" if seconds is not None else "")))
        rows.append(("more", ".certificate  .bound  .stats  .provenance  .require()"))
        return Block(title, tuple(rows), good=self.certified)

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts: tuple[Certificate | Bound, ...] = (self.certificate, *self.certificate.bounds, *self.further_bounds)
        folded = tuple(part.block() for part in parts)
        block = self.block()
        return Block(block.title, block.rows, folded, block.good).html()


def with_checks(certificate: Certificate, *checks: Check) -> Certificate:
    """`certificate` with more checks behind its own."""
    return Certificate(
        (*certificate.checks, *checks), certificate.values, certificate.bounds, certificate.objective, certificate.notes
    )
