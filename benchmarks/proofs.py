"""What proofs of bilevel programs cost: ``python -m benchmarks.proofs [--seconds S] [--families NAME ...]``.

For each instance, in the same run: the search without a proof, the same with one, and the standalone checker on the two texts. *Overhead* is
(search + proof) / search; *auto* is what ``Exact()`` does by default. Median and worst of each family are printed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

import stackopt as so
from benchmarks.bilevel_instances import instance, random_data, random_lp, random_qp, transport
from stackopt.proof import check
from stackopt.verification import bilevel_instances

Made = Iterator[tuple[str, so.BilevelProgram]]


def recorded() -> Made:
    """The recorded cases that the checker covers."""
    for name in so.catalog.cases():
        yield name, so.catalog.case(name).program


def small() -> Made:
    """Small programs made to break methods: ties, degenerate rows, free variables, coupling rows, infeasible and unbounded ones."""
    for family in bilevel_instances.FAMILIES:
        for seed in range(4):
            yield f"{family} {seed}", bilevel_instances.instance(family, seed)


def linear(n: int) -> Callable[[], Made]:
    """Random bilevel LPs with small whole numbers."""
    return lambda: ((f"{n}/{seed}", random_lp(n, seed).program()) for seed in range(5))


def quadratic(n: int) -> Callable[[], Made]:
    """The same with a convex quadratic follower."""
    return lambda: ((f"{n}/{seed}", random_qp(n, seed).program()) for seed in range(5))


def doubles() -> Made:
    """Random bilevel LPs whose coefficients have all their digits."""
    for n in (10, 15, 20):
        for seed in range(3):
            data, rng = random_data(n, seed), np.random.default_rng([5, n, seed])
            for key in ("A", "B", "G", "c", "d", "q"):
                data[key] = data[key] * rng.uniform(0.5, 1.5, data[key].shape)
            yield f"{n}/{seed}", instance("doubles", **data).program()


def scaled() -> Made:
    """Random bilevel LPs with rows and columns in units from 1/1000 to 1000 and from 1/100 to 100."""
    for n in (10, 15, 20):
        for seed in range(3):
            data, rng = random_data(n, seed), np.random.default_rng([6, n, seed])
            rows, columns = 10.0 ** rng.integers(-3, 4, n), 10.0 ** rng.integers(-2, 3, n)
            data |= {"A": data["A"] * rows[:, None], "B": data["B"] * rows[:, None] * columns, "b": data["b"] * rows}
            data |= {"d": data["d"] * columns, "q": data["q"] * columns, "y_upper": data["y_upper"] / columns}
            yield f"{n}/{seed}", instance("scaled", **data).program()


def transported() -> Made:
    """Capacity rented by the leader, shipped at a carrier's least cost."""
    for size in ((2, 3), (3, 3), (3, 4)):
        for seed in range(2):
            yield f"{size[0]}x{size[1]}/{seed}", transport(*size, seed).program()


FAMILIES: dict[str, Callable[[], Made]] = {
    "recorded": recorded, "small": small, "LP 10": linear(10), "LP 15": linear(15), "LP 20": linear(20), "LP 25": linear(25),
    "QP 10": quadratic(10), "QP 15": quadratic(15), "doubles": doubles, "scaled": scaled, "transport": transported,
}  # fmt: skip


def timed(program: so.BilevelProgram, method: so.Exact) -> tuple[so.Solution, float]:
    """A solution and its seconds; the better of two runs, the first of which may load something."""
    begun = time.perf_counter()
    solution = so.solve(program, method)
    first = time.perf_counter() - begun
    if first > 1.0:
        return solution, first
    begun = time.perf_counter()
    so.solve(program, method)
    return solution, min(first, time.perf_counter() - begun)


def measured(made: Made, seconds: float) -> dict[str, list[float] | int | list[str]]:
    """Figures of a family: one entry per program that the checker covers."""
    found: dict[str, list[float]] = {key: [] for key in ("overhead", "auto", "check", "bytes", "nodes")}
    exact = by_default = other = 0
    without = list[str]()
    for name, program in made:
        try:
            plain, alone = timed(program, so.Exact(proof=False, time_limit=seconds))
        except so.Refused:
            continue
        if plain.status is so.Status.LIMIT:
            without.append(f"{name}: the search itself reached the limit")
            continue
        solution, together = timed(program, so.Exact(proof=True, time_limit=seconds))
        if solution.proof is None and "unproved" not in solution.stats:
            continue
        if solution.proof is None and "convex" in solution.stats["unproved"]:
            continue
        default, normally = timed(program, so.Exact(time_limit=seconds))
        found["auto"].append(normally / alone)
        by_default += default.proof is not None and default.proof.width in (0, None)
        if solution.proof is None or solution.proof.width not in (0, None):
            without.append(f"{name}: {solution.stats.get('unproved') or solution.proof.statement}")
            continue
        exact += 1
        other += solution.proof.width is None
        begun = time.perf_counter()
        check.check(solution.proof.problem, solution.proof.text)
        found["check"].append(time.perf_counter() - begun)
        found["overhead"].append(together / alone)
        found["bytes"].append(len(solution.proof.text))
        found["nodes"].append(solution.proof.nodes)
    return {**found, "exact": exact, "by_default": by_default, "without": without}


def line(name: str, f: dict) -> str:
    """A row of the table."""

    def both(key: str, form: str) -> str:
        values = f[key]
        return f"{statistics.median(values):{form}} / {max(values):{form}}" if values else "-"

    covered = len(f["auto"])
    return (
        f"{name:<10} {covered:>3} {f['exact']:>5} {f['by_default']:>8}   {both('overhead', '.2f'):>13}   {both('auto', '.2f'):>12}"
        f"   {both('check', '.4f'):>15}   {both('bytes', '.0f'):>14}   {both('nodes', '.0f'):>11}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 1 if nothing was proved."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=40.0, help="for each search, and for each proof")
    parser.add_argument("--families", nargs="*", default=list(FAMILIES), help=", ".join(FAMILIES))
    chosen = parser.parse_args(arguments)
    print("each figure: median / worst; overhead: (search + proof) / search, auto: the default against no proof; check in seconds")
    print(f"{'family':<10} {'of':>3} {'exact':>5} {'default':>8}   {'overhead':>13}   {'auto':>12}   {'check':>15}   {'bytes':>14}   {'nodes':>11}")
    total = 0
    for name in chosen.families:
        found = measured(FAMILIES[name](), chosen.seconds)
        total += found["exact"]
        print(line(name, found), flush=True)
        for one in found["without"]:
            print(f"           {one[:150]}", flush=True)
    return 0 if total else 1


if __name__ == "__main__":
    sys.exit(main())
