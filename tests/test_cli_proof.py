"""Proofs on the command line: written, checked, rejected, absent."""

import pytest
from typer.testing import CliRunner

from stackopt.cli import app


def run(*words):
    return CliRunner().invoke(app, [str(w) for w in words])


def test_a_proof_is_written_and_checked(tmp_path):
    proof, problem = tmp_path / "proof.txt", tmp_path / "proof.problem.json"
    solved = run("solve", "bjm_moshirvaziri1996", "--proof", proof)
    assert solved.exit_code == 0
    assert "PROVED" in solved.stdout
    assert str(problem) in solved.stderr
    found = run("check", problem, proof)
    assert (found.exit_code, found.stdout) == (0, "VERIFIED: optimum = 129607/8416 exactly (5 nodes)\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["proof.problem.json", "proof.txt"]


def test_a_wrong_proof_is_rejected_with_the_place(tmp_path):
    proof, problem = tmp_path / "proof.txt", tmp_path / "proof.problem.json"
    run("solve", "bjm_moshirvaziri1996", "--proof", proof)
    whole = proof.read_text()
    proof.write_text(whole.replace("upper 129607/8416", "upper 15"))
    found = run("check", problem, proof)
    assert found.exit_code == 1
    assert found.stdout.startswith("REJECTED: point")
    proof.write_text(whole[:-5])
    assert run("check", problem, proof).exit_code == 1
    proof.write_text("nothing of the kind")
    assert run("check", problem, proof).exit_code == 1


def test_files_that_are_not_there(tmp_path):
    found = run("check", tmp_path / "no.json", tmp_path / "no.txt")
    assert found.exit_code == 2
    assert "bilevel-file" in found.stderr


def test_infeasible_programs_and_games_have_proofs(tmp_path):
    solved = run("solve", "bjm_jointc1_part1_infeasible", "--proof", tmp_path / "none.txt")
    assert solved.exit_code == 3
    assert run("check", tmp_path / "none.problem.json", tmp_path / "none.txt").stdout == "VERIFIED: the problem has no feasible point (3 nodes)\n"
    run("solve", "commitment_2x2", "--proof", tmp_path / "game.txt")
    found = run("check", tmp_path / "game.problem.json", tmp_path / "game.txt")
    assert (found.exit_code, "= 7/2 exactly" in found.stdout) == (0, True)


def test_an_integer_follower_is_proved(tmp_path):
    assert run("solve", "mibs_generalExample", "--proof", tmp_path / "proof.txt").exit_code == 0
    assert run("check", tmp_path / "proof.problem.json", tmp_path / "proof.txt").stdout == "VERIFIED: optimum = -53 exactly (1 node)\n"


def test_where_there_is_none(tmp_path):
    pytest.importorskip("pyscipopt")
    solved = run("solve", "basblib_mb_2007_03", "--proof", tmp_path / "proof.txt")  # its follower has a quadratic row
    assert solved.exit_code == 0
    assert "no proof" in solved.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("method", ["big-m", "enumeration"])
def test_methods_that_give_none_are_told(method, tmp_path):
    found = run("solve", "bjm_jump_01", "--method", method, "--proof", tmp_path / "proof.txt")
    assert found.exit_code == 2
    assert "--proof" in found.stderr


def test_a_proof_that_cannot_be_written(tmp_path):
    found = run("solve", "bjm_jump_01", "--proof", tmp_path / "no such folder" / "proof.txt")
    assert found.exit_code == 2
    assert "output" in found.stderr
