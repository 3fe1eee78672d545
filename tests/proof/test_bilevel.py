"""Proofs of bilevel programs from the package's own search: recorded cases, every status, units, what is said when there is none."""

import json
from dataclasses import replace
from fractions import Fraction as Q
from types import SimpleNamespace

import numpy as np
import pytest

import stackopt as so
from stackopt import catalog
from stackopt.exact import exact, proved_bilevel
from stackopt.exact.bilevel import run_bilevel
from stackopt.proof import check
from stackopt.proof.lowering import lowered
from stackopt.proof.proof import problem_text
from stackopt.verification.bilevel_instances import in_units, instance, scaled

CASES = catalog.cases()
#: Recorded cases that are proved; the others have integer or quadratically constrained followers, or a leader that is not convex.
PROVED = 76


def accepted(proof):
    """What the checker says of the two texts, for itself."""
    found = check.check(proof.problem, proof.text)
    assert check.statement(found) == proof.statement
    return found


def test_every_recorded_case_that_the_checker_covers_is_proved_exactly():
    proved = 0
    for name in CASES:
        case = catalog.case(name)
        if isinstance(lowered(case.program), str):
            continue
        solution = so.solve(case.program, so.Exact(proof=True, time_limit=30))
        proved += 1
        accepted(solution.proof)
        if case.value is None:
            assert (solution.status, solution.proof.status) == (so.Status.INFEASIBLE, "infeasible")
            continue
        assert solution.status is so.Status.PROVED, name
        assert solution.proof.width == 0, name
        assert float(solution.proof.lower) == pytest.approx(solution.value, rel=1e-6, abs=1e-6)
    assert proved == PROVED


def test_the_solution_says_so():
    solution = so.solve(catalog.case("bjm_moshirvaziri1996").program)
    assert solution.status is so.Status.PROVED
    assert solution.proof.lower == solution.proof.upper == Q(129607, 8416)
    assert "proof         verified, optimum = 129607/8416 exactly (5 nodes)" in str(solution)
    assert solution.bound.reference == "proof"
    assert solution.proof.verified
    assert {"proof_seconds", "proof_nodes", "proof_bytes"} <= set(solution.stats)


def test_no_proof_where_none_is_asked_for():
    solution = so.solve(catalog.case("bjm_jump_01").program, so.Exact(proof=False))
    assert (solution.status, solution.proof) == (so.Status.OPTIMAL, None)
    assert "proof" not in str(solution)
    with pytest.raises(so.InvalidMethod, match="setting"):
        so.Exact(proof="yes")


def unbounded():
    """The leader is paid for y without limit, and y follows x."""
    return so.BilevelProgram.from_matrices(
        leader_cost=([1.0, 0.0], [-2.0]), leader_bounds=(0, [np.inf, 3.0]), leader_rows=([[1.0, 1.0]], [[-1.0]], [2.0]),
        follower_cost=[1.0], follower_bounds=(0, None), follower_rows=([[1.0, 0.0]], [[-1.0]], [0.0]), name="paid",
    )


def test_unbounded():
    solution = so.solve(unbounded())
    assert (solution.status, solution.proof.status, solution.proof.width) == (so.Status.UNBOUNDED, "unbounded", None)
    accepted(solution.proof)
    assert "half-line" in str(solution)


@pytest.mark.parametrize("family", ["linear", "quadratic followers", "two followers", "integer leader", "prices", "quadratic leader"])
def test_random_programs_have_the_value_of_enumeration(family):
    proved = 0
    for seed in range(6):
        program = instance(family, seed)
        found, other = so.solve(program, so.Exact(proof=True)), so.solve(program, so.Enumeration())
        if found.proof is None:
            continue
        proved += 1
        accepted(found.proof)
        if found.status is so.Status.PROVED:
            assert found.proof.width == 0
            assert float(found.proof.upper) == pytest.approx(other.value, rel=1e-6, abs=1e-6)
        else:
            assert found.status is other.status
    assert proved >= 4


def test_units_are_the_user_s():
    """The search works in other units; the proof speaks of the program as it was given."""
    program = instance("linear", 3)
    plain = so.solve(program)
    for leader, follower in ((1e-6, 1e7), (2.0**20, 2.0**-20)):
        scaled = in_units(program, leader, follower)
        solution = so.solve(scaled)
        assert solution.status is plain.status is so.Status.PROVED
        assert solution.proof.width == 0
        assert solution.proof.problem == problem_text(scaled)
        assert float(solution.proof.lower) == pytest.approx(leader * float(plain.proof.lower), rel=1e-12)


def test_with_too_little_time_an_interval_or_nothing_is_claimed(monkeypatch):
    """A share of no cells at all: never PROVED, and what is printed is what was verified."""
    monkeypatch.setattr(proved_bilevel, "CELLS", 0)
    monkeypatch.setattr(proved_bilevel, "PER_CELL", 0)
    seen = set()
    for name in ("basblib_aw_1990_01", "bjm_jump_06_bard_5_1_1", "bjm_jointc1_part1_infeasible", "bolib_Outrata1990Ex1d"):
        solution = so.solve(catalog.case(name).program)
        if solution.proof is None:
            assert solution.stats["unproved"] in str(solution)
            seen.add("nothing")
        else:
            accepted(solution.proof)
            assert solution.status is so.Status.OPTIMAL
            assert solution.proof.lower <= solution.value <= solution.proof.upper
            assert solution.proof.width > 0
            assert "<= optimum <=" in str(solution)
            seen.add("interval")
    assert seen == {"nothing", "interval"}


def test_a_proof_cut_short_proves_a_part_of_the_gap():
    """The best tree within so many cells, whatever is left open: never worse than the root, and exact in the end."""
    rng = np.random.default_rng(10001)

    def sparse(rows, columns):
        values = rng.integers(-10, 11, (rows, columns)).astype(float)
        values[rng.random((rows, columns)) > 0.3] = 0
        return values

    A, B, x = sparse(10, 10), sparse(10, 10), rng.uniform(0, 10, 20)
    b = np.round(A @ x[:10] + B @ x[10:] + rng.uniform(0, 20, 10))
    c, d, q = (rng.integers(-10, 11, 10).astype(float) for _ in range(3))
    program = so.BilevelProgram.from_matrices(
        leader_cost=(c, d), leader_bounds=(0, 10), follower_cost=q, follower_bounds=(0, 10), follower_rows=(A, B, b), name="random"
    )
    widths = []
    for cells in (1, 24, 80):
        run = run_bilevel(program, time_limit=30.0, seed=0, report=None)
        found = proved_bilevel.prove(program, run, run.trace, 30.0, cells)
        accepted(found.proof)
        widths.append(found.proof.width)
    assert widths[0] > widths[1] > widths[2] == 0


@pytest.mark.parametrize(
    "program", [catalog.case("basblib_aw_1990_01").program, catalog.case("bolib_DeSilva1978").program, instance("prices", 2)], ids=lambda p: p.name
)
def test_a_wrong_optimum_is_put_right(program, monkeypatch):
    """The search closes too early, at a point that is feasible and not best: the proof finds the better one, and the solution has it."""
    right = so.solve(program, so.Exact(proof=False))
    worse = None
    for x in np.linspace(-2.0, 12.0, 15):  # the leader's first variable held somewhere else
        held = np.where(np.arange(program.size) == np.flatnonzero(program.owner < 0)[0], x, np.nan)
        lower, upper = np.fmax(program.lower, held), np.fmin(program.upper, held)
        if (lower > upper).any():
            continue
        found = so.solve(replace(program, lower=lower, upper=upper), so.Exact(proof=False))
        if found.certified and abs(found.value - right.value) > 0.1:
            worse = found
    assert worse is not None
    run = exact.run_bilevel

    def early(problem, **settings):
        bound = so.Bound(worse.value, right.bound.of, "a search that stopped early", sense=right.bound.sense)
        return replace(run(problem, **settings), candidate=worse.candidate, bound=bound)

    monkeypatch.setattr(exact, "run_bilevel", early)
    solution = so.solve(program, so.Exact(proof=True))
    assert solution.status is so.Status.PROVED
    assert solution.certified
    assert solution.value == pytest.approx(right.value, rel=1e-7)
    assert so.solve(program, so.Exact(proof=False)).value == pytest.approx(worse.value)


def test_what_the_checker_rejects_is_no_proof(monkeypatch):
    """A tree with a leaf that proves nothing never reaches the solution."""
    from stackopt.proof.tree import Leaf

    def careless(f, best, *rest):
        return SimpleNamespace(best=best, out_of_time=False), Leaf("d", {}, bound=best.value)

    monkeypatch.setattr(proved_bilevel, "_searched", careless)
    solution = so.solve(catalog.case("basblib_aw_1990_01").program)
    assert (solution.status, solution.proof) == (so.Status.OPTIMAL, None)
    assert "does not accept" in solution.stats["unproved"]


def test_check_and_save(tmp_path):
    program = catalog.case("bjm_jump_06_bard_5_1_1").program
    solution = so.solve(program)
    path = solution.proof.save(tmp_path / "proof.txt")
    stated = solution.proof.save_problem(tmp_path / "problem.json")
    (written,) = so.write(program, tmp_path / "written.json")
    recorded = catalog.data_file("bilevel", "bjm_jump_06_bard_5_1_1.json")
    for problem in (program, stated, written, recorded):
        found = so.check(problem, path)
        assert (found.statement, found.lower, found.width, found.text) == (solution.proof.statement, -12, 0, solution.proof.text)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["problem.json", "proof.txt", "written.json"]
    other = catalog.case("bjm_jump_01").program
    with pytest.raises(so.InvalidProgram, match="another problem") as refused:
        so.check(other, solution.proof)
    assert refused.value.code == "proof-rejected"
    path.write_text("stackopt-proof 1\nnonsense")
    with pytest.raises(so.InvalidProgram, match="proof-rejected"):
        so.check(program, path)
    with pytest.raises(so.InvalidProgram, match="bilevel-file"):
        so.check(program, tmp_path / "none")
    with pytest.raises(so.InvalidOutput):
        solution.proof.save(tmp_path / "no such folder" / "proof.txt")


def test_what_is_not_covered_is_left_alone():
    against = instance("pessimistic", 0)
    whole = catalog.case("mibs_generalExample").program
    for program, asked in ((against, True), (whole, "auto")):
        solution = so.solve(program, so.Exact(proof=asked))
        assert solution.proof is None
        assert solution.status is not so.Status.PROVED


def test_the_same_proof_every_time():
    program = instance("two followers", 1)
    texts = {so.solve(program, so.Exact(proof=True)).proof.text for _ in range(3)}
    assert len(texts) == 1
    assert json.loads(so.solve(program).proof.problem)["variables"]


def test_rows_that_almost_meet_in_a_point():
    """Coefficients of a third are rounded: five rows through one vertex no longer are, and the optimum is a neighbour's, 1e-16 away."""
    program, rng = instance("larger", 1007), np.random.default_rng(7)
    rng.integers(-7, 8, 2)
    odd = scaled(program, rng, (1e-4, 1e-2, 1.0, 1e2, 1e4, -1e3, 0.1, 1 / 3))
    solution = so.solve(odd, so.Exact(proof=True))
    assert solution.status is so.Status.PROVED
    assert 0 < solution.proof.width < Q(1, 10**12)
    accepted(solution.proof)
