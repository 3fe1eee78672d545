"""Random small bilevel programs by every method that claims to solve them: ``python -m benchmarks.bilevel_fuzz --instances 2000``.

The reference is `Enumeration`, which shares no search with any of them (for pessimistic programs with continuous followers it
shares the reduction to adversaries). Also solved by Exact: the same program stated differently (senses flipped, rows scaled,
objectives in other units, variables in another order, rows repeated), which must change nothing. Prints counts by family and
method, every disagreement with the line that makes its program, and exits with 1 if there is one.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import stackopt as so
from stackopt.verification.bilevel_instances import FAMILIES, flipped, in_units, instance, permuted, redundant, scaled

#: Values within this of each other, relative to their size, agree.
EQUAL = 2e-6
METHODS: dict[str, Callable[[], Any]] = {
    "exact": lambda: so.Exact(time_limit=20, proof=False),
    "big-M": lambda: so.BigM(time_limit=20),
    "strong duality": lambda: so.StrongDuality(time_limit=20),
    "SOS1": lambda: so.Sos1(time_limit=20),
    "indicator": lambda: so.Indicator(time_limit=20),
    "SCIP": lambda: so.Scip(time_limit=20),
}


@dataclass(frozen=True)
class Answer:
    """What a method said: its status, and the certified value where there is one."""

    status: str
    value: float = np.nan

    @property
    def conclusive(self) -> bool:
        """Whether it claims to know the optimum."""
        return self.status in ("OPTIMAL", "INFEASIBLE", "UNBOUNDED")


def answer(program: so.BilevelProgram, method: Any) -> Answer:
    """The method's answer; REFUSED if it does not take the program."""
    try:
        solution = so.solve(program, method)
    except so.errors.Refused:
        return Answer("REFUSED")
    except Exception as error:  # a fault of a method is a finding, not the end of the run
        return Answer(f"ERROR {type(error).__name__}: {error}".splitlines()[0][:90])
    value = float(solution.value) if solution.status == "OPTIMAL" else np.nan
    return Answer(str(solution.status), value)


def agree(one: Answer, other: Answer) -> bool:
    """Whether two conclusive answers are the same."""
    if one.status != other.status:
        return False
    return one.status != "OPTIMAL" or abs(one.value - other.value) <= EQUAL * max(1.0, abs(one.value))


def verdict(reference: Answer, found: Answer) -> str:
    """``agrees``, ``DISAGREES``, or the status of an answer that claims nothing."""
    if found.status.startswith("ERROR"):
        return "DISAGREES"
    if not found.conclusive:
        return found.status
    return "agrees" if agree(reference, found) else "DISAGREES"


def statements(program: so.BilevelProgram, rng: np.random.Generator) -> Iterator[tuple[str, so.BilevelProgram, float]]:
    """The same program stated otherwise, and the factor of the leader's value."""
    yield "leader flipped", flipped(program, -1), -1.0
    yield "follower flipped", flipped(program, int(rng.integers(len(program.followers)))), 1.0
    yield "rows scaled", scaled(program, rng), 1.0
    yield "order changed", permuted(program, rng.permutation(program.size)), 1.0
    yield "rows repeated", redundant(program), 1.0
    yield "large units", in_units(program, 1e-3, 1e-4), 1e-3
    yield "small units", in_units(program, 1e3, 1e4), 1e3


def examined(family: str, seed: int, index: int, methods: list[str]) -> Iterator[tuple[str, str, str]]:
    """(method or statement, verdict, what was said) for one instance."""
    program = instance(family, seed, index)
    reference = answer(program, so.Enumeration())
    yield "enumeration", reference.status, ""
    if not reference.conclusive:
        return
    for name in methods:
        found = answer(program, METHODS[name]())
        yield name, verdict(reference, found), f"{found} against {reference}"
    if "exact" in methods:
        for what, stated, factor in statements(program, np.random.default_rng([seed, index])):
            found = answer(stated, so.Exact(time_limit=20, proof=False))
            expected = Answer(reference.status, factor * reference.value)
            yield what, verdict(expected, found), f"{found} against {expected}"


def main() -> int:
    """Run, print, and say whether anything disagreed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=2000, help="in all, dealt out over the families")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--families", nargs="*", default=list(FAMILIES), choices=list(FAMILIES), metavar="FAMILY")
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS), metavar="METHOD")
    settings = parser.parse_args()
    started, wrong = time.perf_counter(), 0
    for place, family in enumerate(settings.families):
        count = settings.instances // len(settings.families) + (place < settings.instances % len(settings.families))
        tables: dict[str, Counter[str]] = {}
        for index in range(count):
            for what, said, how in examined(family, settings.seed, index, settings.methods):
                tables.setdefault(what, Counter())[said] += 1
                if said == "DISAGREES":
                    wrong += 1
                    print(f"  {what}: {how}    instance({family!r}, {settings.seed}, {index})", flush=True)
        print(f"{family}: {count} programs")
        for what, table in tables.items():
            print(f"  {what:<17} " + ", ".join(f"{number} {said}" for said, number in sorted(table.items())), flush=True)
    print(f"{wrong} disagreements in {settings.instances} programs, {time.perf_counter() - started:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
