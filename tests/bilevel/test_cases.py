"""The recorded cases: solved to their known values, reported infeasible, or refused; never silently wrong."""

import functools
import importlib.util

import pytest

import stackopt as so
from stackopt import catalog
from stackopt.bilevel.recorded import read_case
from stackopt.cli_bilevel import METHODS
from stackopt.errors import InvalidProgram, Refused, UnknownModel

CASES = catalog.cases()
SCIP = importlib.util.find_spec("pyscipopt") is not None
#: Seconds; every case takes a small part of it on one core.
LIMIT = 20.0


@functools.cache
def case(name):
    return catalog.case(name)


def outcome(found, method):
    """How a method ends on a case: correct, refused, open (a limit, or an answer it does not certify) or wrong."""
    try:
        solution = so.solve(found.program, method)
    except Refused:
        return "refused", None
    if found.status == "infeasible":
        return ("correct" if solution.status == "INFEASIBLE" else "wrong" if solution.certified else "open"), solution
    if solution.certified:
        return ("correct" if found.agrees(float(solution.value)) else "wrong"), solution
    return ("wrong" if solution.status in ("INFEASIBLE", "UNBOUNDED") else "open"), solution


def method_of(name):
    return getattr(so, METHODS[name])(time_limit=LIMIT)


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
        point = so.Point(*(symbols(found.program, values)))
        certificate = found.program.certify(point)
        if not found.agrees(float(certificate.value)):
            failed[name] = (float(certificate.value), found.value)
    assert not failed


def symbols(program, values):
    import numpy as np

    every = np.array([values[name] for name in program.symbols], float)
    return every[: program.size], every[program.size :]


@pytest.mark.parametrize("name", CASES)
def test_exact(name):
    """Every case that the installation can solve is solved to its known value, and infeasible ones are proved so."""
    found = case(name)
    kinds = {found.program.kind(k) for k in range(len(found.program.followers))}
    ended, solution = outcome(found, so.Exact(time_limit=LIMIT))
    if ended == "refused":
        assert not SCIP, "with SCIP installed nothing is refused"
        assert kinds - {"LP", "QP", "MILP"} or found.program.leader.objective.quadratic is not None or found.program.leader.rows.quadratic
        return
    assert ended == "correct", f"{solution}\nknown {found.value}, published {found.published}"


@pytest.mark.parametrize("method", [name for name in METHODS if name != "exact"])
@pytest.mark.parametrize("name", CASES)
def test_no_method_is_silently_wrong(name, method):
    ended, solution = outcome(case(name), method_of(method))
    assert ended != "wrong", f"{solution}\nknown {case(name).value}, published {case(name).published}"


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
