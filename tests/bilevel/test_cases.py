"""The recorded cases: solved to their known values, reported infeasible, or refused; never silently wrong."""

import functools
import importlib.util
from pathlib import Path

import numpy as np
import pytest

import stackopt as so
from stackopt import catalog
from stackopt.bilevel.recorded import read_case
from stackopt.cli_bilevel import METHODS
from stackopt.errors import InvalidProgram, Refused, UnknownModel

ROOT = Path(__file__).parents[2]
CASES = catalog.cases()
SCIP = importlib.util.find_spec("pyscipopt") is not None


def benchmark():
    """benchmarks/bilevel_cases.py: what counts as correct, and the page that counts."""
    spec = importlib.util.spec_from_file_location("bilevel_cases", ROOT / "benchmarks" / "bilevel_cases.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BENCHMARK = benchmark()


@functools.cache
def case(name):
    return catalog.case(name)


@functools.cache
def outcome(name, method):
    return BENCHMARK.outcome(case(name), method)


def test_there_are_94_and_each_has_a_source_and_an_answer():
    assert len(CASES) == 94
    for name in CASES:
        found = case(name)
        assert found.name == found.program.name == name
        assert found.source
        assert found.status in ("optimal", "best-known", "infeasible")
        assert (found.value is None) == (found.published is None) == (found.status == "infeasible")
        if found.published is not None:  # published values are rounded, some to two decimals
            allowed = found.record["known"].get("tolerance", 5e-3) + 2e-3 * abs(found.published)
            assert abs(found.value - found.published) <= allowed
        assert found.tolerance == 1e-6 or found.record["verification"]["tolerance_because"]


def test_the_recorded_solution_is_certified():
    """The recorded point is optimal for its follower and has the recorded value, by this package's own examination."""
    failed = {}
    for name in CASES:
        found = case(name)
        values = found.record["verification"].get("solution")
        if values is None or (not SCIP and found.program.kind(0) not in ("LP", "QP", "MILP")):
            continue
        point = so.Point(*symbols(found.program, values))
        certificate = found.program.certify(point)
        if not certificate.certified or not found.agrees(float(certificate.value)):
            failed[name] = (float(certificate.value), found.value, [(check.name, check.residual) for check in certificate.failures])
    assert not failed


def symbols(program, values):
    every = np.array([values[name] for name in program.symbols], float)
    return every[: program.size], every[program.size :]


@pytest.mark.parametrize("name", CASES)
def test_exact(name):
    """Every case that the installation can solve is solved to its known value, and infeasible ones are proved so."""
    ended, found = outcome(name, "exact")
    if ended == "refused":
        assert not SCIP, "with SCIP installed nothing is refused"
        assert found.code == "needs-scip"
        return
    assert ended == "correct", f"{found}\nknown {case(name).value}, published {case(name).published}"


def test_without_scip_what_is_not_convex_is_refused(monkeypatch):
    """Everything with linear or convex quadratic followers and a convex leader, and every integer follower, needs no optional package."""
    monkeypatch.setattr("stackopt.exact.bilevel._scip_available", lambda: False)
    refused = {}
    for name in CASES:
        refusal = so.Exact().refuses(case(name).program)
        if refusal is not None:
            assert refusal.code == "needs-scip"
            refused[name] = refusal.error().law.partition("SCIP (")[2]
    assert refused["bolib_AnEtal2009"] == "follower `follower` is a nonconvex QP; the leader's objective is not convex)"
    assert refused["pao_barguel"] == "row `f1_1` of `follower` multiplies its variables by others')"
    assert refused["bjm_conejo2016_dual"] == "the leader's objective is not convex)"
    assert refused["basblib_d_1992_01"] == "follower `follower` is quadratically constrained)"
    assert len(refused) == 14
    with pytest.raises(Refused, match=r"\[needs-scip\]"):
        so.solve(case("bolib_AnEtal2009").program)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "exact"])
@pytest.mark.parametrize("name", CASES)
def test_no_method_is_silently_wrong(name, method):
    ended, found = outcome(name, method)
    assert ended != "wrong", f"{found}\nknown {case(name).value}, published {case(name).published}"


@pytest.mark.skipif(not SCIP, reason="the page counts what SCIP solves")
def test_the_page_says_how_the_cases_end():
    ends = {(name, method): outcome(name, method)[0] for name in CASES for method in METHODS}
    ends = {key: "correct" if end == "open" else end for key, end in ends.items()}  # a slow machine may leave one open; no page says so
    expected = BENCHMARK.page(ends, {name: case(name).kind for name in CASES})
    assert (ROOT / "docs" / "bilevel-cases.md").read_text() == expected, "run: python benchmarks/bilevel_cases.py"


def test_an_unknown_case_is_answered_with_the_nearest():
    with pytest.raises(UnknownModel, match=r"\[case\]") as raised:
        catalog.case("bolib_TollSettingP5")
    assert raised.value.where == "did you mean 'bolib_TollSettingP4'?"


def test_a_recorded_case_without_its_answer_is_an_error(tmp_path):
    path = tmp_path / "mine.json"
    so.write(case("bjm_jump_01").program, path)
    with pytest.raises(InvalidProgram, match="bilevel-json") as raised:
        read_case(path)
    assert raised.value.where == "the recorded case has no 'title'"


def test_cases_name_no_machine():
    folder = catalog.data_file("bilevel")
    for path in folder.iterdir():
        text = path.read_text()
        assert "seconds" not in text.split('"source"')[0].split('"notes"')[0] or path.suffix == ".md"
        for trace in ("/work", "/tmp", "/home", "/root"):
            assert trace not in text
