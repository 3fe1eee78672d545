"""The second checker, in Perl, says what the first says: on the corpus, on library cases, and on what its own reader must refuse."""

import subprocess

import pytest

import stackopt as so
from stackopt.proof import check
from stackopt.verification import proof_corpus, proof_second
from stackopt.verification.proof_checker_mutants import verdict

pytestmark = pytest.mark.skipif(not proof_second.available(), reason="no Perl")


def test_it_agrees_on_the_corpus():
    cases = proof_corpus.corpus()
    assert len(cases) > 100
    assert proof_second.disagreements([(case.problem, case.proof) for case in cases], [case.verdict for case in cases]) == []


def test_it_names_every_recorded_case_by_the_same_hash_or_refuses_it_too():
    cases, verdicts = [], []
    for name in so.catalog.cases():
        text = so.catalog.data_file("bilevel", f"{name}.json").read_text(encoding="utf-8")
        try:
            digest = check.lower(check.load(text)).digest()
        except Exception:
            digest = "none"
        cases.append((text, f"stackopt-proof 1\nproblem {digest}\nstatus unheard-of\n"))
        verdicts.append("refused" if digest == "none" else "read")
    said = proof_second.opinions(cases)
    assert verdicts.count("read") >= 70
    assert all(("status unheard-of" in one) == (verdict == "read") for one, verdict in zip(said, verdicts))


@pytest.mark.parametrize(
    "name", ["bjm_jump_06_bard_5_1_1", "bjm_jointc1_part1_infeasible", "basblib_aw_1990_01", "basblib_sa_1981_01", "bolib_SinhaMaloDeb2014TP8", "bjm_htp_9_3_8"]
)
def test_it_verifies_proofs_of_recorded_cases(name):
    solution = so.solve(so.catalog.case(name).program, so.Exact(proof=True))
    text = so.catalog.data_file("bilevel", f"{name}.json").read_text(encoding="utf-8")
    said, why = verdict(check, text, solution.proof.text)
    assert said.startswith("VERIFIED"), why
    assert proof_second.disagreements([(text, solution.proof.text)], [said]) == []


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"variables": 1}', '{"a": 1, "a": 2}', '{"variables": [], "leader": {}, "followers": []} x', '"\\ud800"', "01", "{'a': 1}", "\ufeff{}"],
)
def test_both_refuse_what_is_no_problem(text):
    assert verdict(check, text, "stackopt-proof 1\n")[0] == "REJECTED"
    assert proof_second.opinions([(text, "stackopt-proof 1\n")])[0].startswith("REJECTED")


def test_it_is_a_command_with_exit_codes(tmp_path):
    case = next(case for case in proof_corpus.corpus() if case.name == "the base")
    (tmp_path / "problem.json").write_text(case.problem)
    (tmp_path / "proof.txt").write_text(case.proof)
    (tmp_path / "half.txt").write_text(case.proof[:-20])

    def run(*words):
        return subprocess.run(["perl", str(proof_second.CHECKER), *words], capture_output=True, text=True, cwd=tmp_path, check=False)

    good, bad, none = run("problem.json", "proof.txt"), run("problem.json", "half.txt"), run()
    assert (good.returncode, good.stdout.strip()) == (0, case.verdict)
    assert bad.returncode == 1
    assert bad.stdout.startswith("REJECTED")
    assert none.returncode == 2
