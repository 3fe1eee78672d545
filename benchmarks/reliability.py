"""What the proofs rest on, measured: ``python -m benchmarks.reliability`` runs everything and writes ``docs/reliability.md``.

Parts: ``library`` (every recorded case), ``random`` (random bilevel LPs: cost of proofs), ``fuzz`` (small programs against enumeration),
``wide`` (the same with quadratic leaders and multipliers in the leader),
``mutants`` (corrupted proofs), ``checker`` (mutants of the checker against the corpus), ``second`` (the second checker on the corpus),
``liar`` (a lying LP solver), ``faults`` (signals, full disk, memory, time), ``bytes`` (every byte turned once), ``same`` (the same bytes again).
Figures are kept in ``data/proofs/reliability.json``; the page is made from them. Exit code 1 if anything false was accepted or disagreed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import stackopt as so
from benchmarks.bilevel_instances import random_lp
from benchmarks.reliability_page import page
from stackopt.proof import check
from stackopt.verification import proof_checker_mutants, proof_corpus, proof_enumeration, proof_faults, proof_fuzz, proof_liar, proof_mutants, proof_second
from stackopt.verification.proof_instances import instance

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "data" / "proofs" / "reliability.json"
PAGE = ROOT / "docs" / "reliability.md"
Figures = dict[str, Any]
#: Relative distance within which a recorded optimum and a proved one are the same.
KNOWN = 2e-3
#: Bytes of a proof up to which the second checker is asked about large programs.
SHORT = 20_000


def spread(values: list[float]) -> dict[str, float]:
    """Median and worst."""
    return {"median": statistics.median(values), "worst": max(values)} if values else {}


def proved(program: Any, limit: float) -> tuple[Any, float, float]:
    """The solution with its proof, seconds without a proof and with one."""
    so.solve(program, so.Exact(proof=False, time_limit=limit))  # loads what is needed
    begun = time.perf_counter()
    so.solve(program, so.Exact(proof=False, time_limit=limit))
    plain = time.perf_counter() - begun
    begun = time.perf_counter()
    solution = so.solve(program, so.Exact(proof=True, time_limit=limit))
    return solution, plain, time.perf_counter() - begun


def cost(solution: Any, plain: float, whole: float) -> Figures:
    """What a proof cost: seconds, the checker's own, bytes, lines."""
    begun = time.perf_counter()
    check.check(solution.proof.problem, solution.proof.text)
    return {"overhead": whole / plain, "check": time.perf_counter() - begun, "bytes": len(solution.proof.text.encode()), "nodes": solution.proof.nodes}


def costs(rows: list[Figures]) -> Figures:
    """Median and worst of each cost."""
    return {key: spread([row[key] for row in rows]) for key in ("overhead", "check", "bytes", "nodes")} if rows else {}


def recorded(name: str) -> tuple[str | None, float | None]:
    """Status and optimum recorded for a case, where an independent solve proved it."""
    record = json.loads(so.catalog.data_file("bilevel", f"{name}.json").read_text(encoding="utf-8"))
    if record.get("known", {}).get("status") == "infeasible":
        return "infeasible", None
    value = record.get("verification", {}).get("computed_objective")
    return ("optimal", float(value)) if value is not None and record.get("verification", {}).get("proved") else (None, None)


def library(limit: float = 20.0) -> Figures:
    """Every recorded case."""
    rows, refused, without, wrong, exact, wide, words = list[Figures](), Counter[str](), dict[str, str](), list[str](), 0, dict[str, str](), Counter[str]()
    cases = [path.stem for path in sorted((ROOT / "data" / "bilevel").glob("*.json"))]
    opinions = list[tuple[str, str]]()
    for name in cases:
        program = so.catalog.case(name).program
        text = so.catalog.data_file("bilevel", f"{name}.json").read_text(encoding="utf-8")
        try:
            check.lower(check.load(text))
        except Exception as why:
            refused[str(why)] += 1
            continue
        solution, plain, whole = proved(program, limit)
        if solution.proof is None:
            without[name] = f"{solution.status}: {solution.stats.get('unproved', solution.because)}"
            continue
        rows.append(cost(solution, plain, whole))
        words[f"{solution.status}, proof of {solution.proof.status}"] += 1
        if solution.proof.width == 0 or solution.proof.status in ("infeasible", "unbounded"):
            exact += 1
        else:
            wide[name] = f"{float(solution.proof.width):.2g}" if solution.proof.width is not None else "no point"
        status, value = recorded(name)
        if status is not None and solution.proof.status not in (status, "bound"):
            wrong.append(f"{name}: {solution.proof.statement}, recorded: {status}")
        if value is not None and solution.proof.upper is not None and abs(float(solution.proof.upper) - value) > KNOWN * (1 + abs(value)):
            wrong.append(f"{name}: {solution.proof.statement}, recorded: {value}")
        opinions.append((text, solution.proof.text))
    return {
        "cases": len(cases), "second checker": {"proofs": len(opinions), "differ": second_opinion(opinions)},
        "refused": dict(refused.most_common()), "in scope": len(rows) + len(without), "proved": len(rows), "exact": exact, "words": dict(words),
        "wide": wide, "without": without, "wrong": wrong, "cost": costs(rows),
    }  # fmt: skip


def second_opinion(cases: list[tuple[str, str]]) -> list[str]:
    """Where the two checkers differ; says so if there is no Perl."""
    if not proof_second.available():
        return ["there is no Perl for the second checker"]
    return proof_second.disagreements(cases, [proof_checker_mutants.verdict(check, *case)[0] for case in cases])


def random_programs(sizes: tuple[int, ...] = (10, 15, 20), seeds: int = 5, limit: float = 30.0) -> Figures:
    """Random bilevel LPs; the second checker, which is slower, gets the shorter proofs."""
    rows, without, exact, opinions = list[Figures](), dict[str, str](), 0, list[tuple[str, str]]()
    for n in sizes:
        for seed in range(seeds):
            solution, plain, whole = proved(random_lp(n, seed).program(), limit)
            if solution.proof is None:
                without[f"{n}/{seed}"] = f"{solution.status}: {solution.stats.get('unproved', solution.because)}"
                continue
            exact += solution.proof.width == 0
            rows.append({"n": n, **cost(solution, plain, whole)})
            if len(solution.proof.text) < SHORT:
                opinions.append((solution.proof.problem, solution.proof.text))
    by_size = {str(n): costs([row for row in rows if row["n"] == n]) for n in sizes}
    second = {"proofs": len(opinions), "differ": second_opinion(opinions)}
    return {
        "instances": len(sizes) * seeds, "proved": len(rows), "exact": exact, "without": without, "cost": costs(rows), "by size": by_size,
        "second checker": second,
    }  # fmt: skip


def fuzz(instances: int = 1000, seed: int = 0, *, wide: bool = False) -> Figures:
    """Small programs against enumeration, every proof also by the second checker; `wide`: quadratic leaders, multipliers in the leader."""
    results = list[proof_fuzz.Examined]()
    begun = time.perf_counter()
    for one in proof_fuzz.fuzz(range(instances), seed, wide=wide):
        results.append(one)
        if one.wrong or not one.proved:
            print(f"  instance({seed}, {one.index}, wide={wide}): {one.wrong or f'no proof, {one.because}'}", flush=True)
    cases = [(one.text, one.proved) for one in results if one.proved]
    differ = second_opinion(cases)
    return {**proof_fuzz.summary(results), "seed": seed, "second checker": {"proofs": len(cases), "differ": differ}, "seconds": time.perf_counter() - begun}


def proofs(count: int, seed: int = 1) -> Iterator[tuple[str, str, proof_enumeration.Optimum]]:
    """(problem, proof, optimum) of random small programs."""
    for index in range(count):
        one = proof_fuzz.examined(seed, index)
        truth = proof_enumeration.enumerated(json.loads(one.text))
        if one.proved and truth.status != "undecided":
            yield one.text, one.proved, truth


def mutants(instances: int = 200, seed: int = 1) -> Figures:
    """Corrupted proofs: what both checkers say, and whether what they accept is true."""
    table: dict[str, Counter[str]] = {}
    wrong, cases, verdicts, total = list[str](), list[tuple[str, str]](), list[str](), 0
    for number, (text, proof, truth) in enumerate(proofs(instances, seed)):
        for kind, problem, broken in proof_mutants.mutants(text, proof, np.random.default_rng([seed, number])):
            row = table.setdefault(kind, Counter())
            said, _ = proof_checker_mutants.verdict(check, problem, broken)
            cases.append((problem, broken))
            verdicts.append(said)
            total += 1
            if said == "REJECTED":
                row["rejected"] += 1
                continue
            now = truth if problem == text else proof_enumeration.enumerated(json.loads(problem))
            if now.status == "undecided":
                row["undecided"] += 1
            elif proof_mutants.claims_truth(check.check(problem, broken), now):
                row["still true"] += 1
            else:
                row["FALSE"] += 1
                wrong.append(f"{kind} of instance {number}: {said}, but {now}")
    differ = proof_second.disagreements(cases, verdicts) if proof_second.available() else ["there is no Perl"]
    by_kind = {kind: dict(row) for kind, row in sorted(table.items())}
    return {"mutants": total, "kinds": len(table), "by kind": by_kind, "wrong": wrong, "second checker": {"cases": len(cases), "differ": differ}}


def checker() -> Figures:
    """Mutants of the checker's conditions against the corpus."""
    cases = proof_corpus.corpus()
    wrong = [case.name for case in cases if proof_checker_mutants.verdict(check, case.problem, case.proof) != (case.verdict, case.because)]
    killed, other, survive = 0, list[str](), list[str]()
    for mutant in proof_checker_mutants.mutants():
        case, noticed = proof_checker_mutants.killed(mutant, cases)
        if case is not None:
            killed += 1
        elif noticed is not None:
            other.append(mutant.change)
        else:
            survive.append(f"line {mutant.line}: {mutant.change}")
    others = list(proof_checker_mutants.mutants(everything=True))
    alike = [f"line {m.line}: {m.change}" for m in others if proof_checker_mutants.killed(m, cases) == (None, None)]
    elsewhere = {"mutants": len(others), "killed": len(others) - len(alike), "alike": alike}
    return {
        "cases": len(cases), "wrong": wrong, "mutants": killed + len(other) + len(survive), "killed": killed, "redundant": other, "survive": survive,
        "elsewhere": elsewhere,
    }  # fmt: skip


def second() -> Figures:
    """The second checker on the corpus."""
    cases = proof_corpus.corpus()
    if not proof_second.available():
        return {"cases": len(cases), "differ": ["there is no Perl"]}
    pairs = [(case.problem, case.proof) for case in cases]
    return {"cases": len(cases), "differ": proof_second.disagreements(pairs, [case.verdict for case in cases])}


def liar(instances: int = 40, seed: int = 2) -> Figures:
    """A lying LP solver."""
    table: dict[str, Counter[str]] = {lie: Counter() for lie in proof_liar.LIES}
    wrong = list[str]()
    for index in range(instances):
        text = instance(seed, index)
        truth = proof_enumeration.enumerated(json.loads(text))
        if truth.status == "undecided":
            continue
        for number, lie in enumerate(proof_liar.LIES):
            outcome, detail = proof_liar.under_lies(text, truth, lie, np.random.default_rng([seed, index, number]))
            table[lie][outcome] += 1
            if outcome in ("FALSE", "wrong word", "error"):
                wrong.append(f"{outcome}: {lie}, instance({seed}, {index}): {detail}")
    return {"runs": sum(sum(row.values()) for row in table.values()), "by lie": {lie: dict(row) for lie, row in table.items()}, "wrong": wrong}


def faults(instants: int = 100, seed: int = 3) -> Figures:
    """Signals, full disk, little memory, no time."""
    found: dict[str, Counter[str]] = {}
    (text, _, truth), *_ = [one for one in proofs(12, seed) if one[2].status == "optimal"]
    solution = so.solve(proof_faults.program_of(text), so.Exact(proof=True))
    with tempfile.TemporaryDirectory() as name:
        folder, rng = Path(name), np.random.default_rng(seed)
        for which, share in ((signal.SIGKILL, 1.0), (signal.SIGINT, 0.5), (signal.SIGTERM, 0.2)):
            found[f"{which.name} at random instants"] = proof_faults.signalled(text, truth, folder, which, max(int(instants * share), 1), rng)
        found["address space limited, in steps"] = proof_faults.limited_memory(text, truth, folder, min(instants, 20))
        found["file size limited, as on a full disk"] = proof_faults.full_disk(text, truth, folder, solution.proof)
        found["time limits from 0 to 1 s"] = proof_faults.no_time(text, truth, folder)
    bad = ("HALF", "FALSE", "an exception", "SIGSEGV", "SIGABRT")
    wrong = [f"{fault}: {what}" for fault, table in found.items() for what in table if any(word in what for word in bad)]
    return {"by fault": {fault: dict(table) for fault, table in found.items()}, "wrong": wrong}


def flipped(count: int = 20, seed: int = 4) -> Figures:
    """One bit of every byte of small proofs and their problems."""
    table, wrong, used = Counter[str](), list[str](), 0
    for number, (text, proof, truth) in enumerate(proofs(3 * count, seed)):
        if used == count:
            break
        used += 1
        for what in proof_faults.flipped_bytes(text, proof, truth, np.random.default_rng([seed, number])):
            table[what] += 1
            if what == "FALSE":
                wrong.append(f"instance({seed}, {number})")
    return {"proofs": used, "outcomes": dict(table), "wrong": wrong}


def same(count: int = 5, seed: int = 5) -> Figures:
    """The same proof, byte for byte, in processes whose hashes are salted differently."""
    code = (
        "import hashlib, json, pathlib, stackopt as so\n"
        "from stackopt.bilevel.json_file import from_record\n"
        "from stackopt.verification.proof_instances import instance\n"
        f"for k in range({count}):\n"
        f"    solution = so.solve(from_record(json.loads(instance({seed}, k)), pathlib.Path('x')), so.Exact(proof=True))\n"
        "    print(hashlib.sha256((solution.proof.text if solution.proof else '').encode()).hexdigest())\n"
    )
    salted = ({**os.environ, "PYTHONHASHSEED": salt} for salt in "012")
    runs = [subprocess.run([sys.executable, "-c", code], env=one, capture_output=True, text=True, check=True).stdout for one in salted]
    return {"proofs": count, "runs": len(runs), "wrong": [] if len(set(runs)) == 1 else ["the bytes differ"]}


def environment() -> Figures:
    """What was measured, where."""
    packages = {name: version(name) for name in ("stackopt", "highspy", "numpy", "scipy")}
    perl = subprocess.run(["perl", "-e", "print $^V"], capture_output=True, text=True, check=False).stdout if proof_second.available() else "none"
    lines = len(Path(check.__file__).read_text().splitlines())
    return {"date": date.today().isoformat(), "python": platform.python_version(), "perl": perl, **packages, "checker lines": lines}


def faulty(figures: Figures) -> list[str]:
    """Everything in the figures that should not be."""
    found = list[str]()
    for part, values in figures.items():
        for key in ("wrong", "disagreements", "survive", "differ"):
            found += [f"{part}: {one}" for one in values.get(key, [])]
        found += [f"{part}, second checker: {one}" for one in values.get("second checker", {}).get("differ", [])]
    return found


def main() -> int:
    """Run the parts, keep the figures, write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts: dict[str, Callable[[argparse.Namespace], Figures]] = {
        "library": lambda a: library(), "random": lambda a: random_programs(), "fuzz": lambda a: fuzz(a.fuzz),
        "wide": lambda a: fuzz(a.wide, wide=True), "mutants": lambda a: mutants(a.mutants),
        "checker": lambda a: checker(), "second": lambda a: second(), "liar": lambda a: liar(a.liar), "faults": lambda a: faults(a.instants),
        "bytes": lambda a: flipped(a.bytes), "same": lambda a: same(),
    }  # fmt: skip
    parser.add_argument("--parts", nargs="*", choices=list(parts), default=None, metavar="PART", help="all, or what a size was given for")
    for name, default, unit in (("fuzz", 1000, "instances"), ("wide", 200, "instances"),
                                ("mutants", 200, "instances whose proofs are corrupted"), ("liar", 40, "instances"),
                                ("instants", 100, "of SIGKILL"), ("bytes", 20, "proofs")):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=None, metavar="N", help=f"{unit}; {default} unless told")
        parser.set_defaults(**{f"default_{name}": default})
    parser.add_argument("--write", action="store_true", help="keep the figures and write the page")
    chosen = parser.parse_args()
    sizes = {name: getattr(chosen, name) for name in ("fuzz", "wide", "mutants", "liar", "instants", "bytes")}
    wanted = [{"instants": "faults"}.get(name, name) for name, size in sizes.items() if size is not None] if chosen.parts is None else chosen.parts
    for name, size in sizes.items():
        setattr(chosen, name, getattr(chosen, f"default_{name}") if size is None else size)
    fresh: Figures = {}
    for name in wanted or parts:
        begun = time.perf_counter()
        fresh[name] = parts[name](chosen)
        print(f"{name}: {json.dumps(fresh[name], indent=1)}\n{name} took {time.perf_counter() - begun:.0f} s", flush=True)
        if chosen.write:
            kept = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
            kept |= {name: fresh[name], "environment": environment()}
            FIGURES.write_text(json.dumps(kept, indent=1) + "\n")
            PAGE.write_text(page(kept))
    found = faulty(fresh)
    print(*(found or ["nothing false was accepted, nothing disagreed"]), sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
