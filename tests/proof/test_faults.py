"""Signals, full disks, little memory and no time leave no half proof and no wrong word."""

import json
import os
import signal

import numpy as np
import pytest

import stackopt as so

if not hasattr(os, "fork"):
    pytest.skip("needs a system that forks", allow_module_level=True)

from stackopt.verification.proof_enumeration import enumerated
from stackopt.verification.proof_faults import apart, full_disk, left, limited_memory, no_time, program_of, signalled, solves_and_saves
from stackopt.verification.proof_instances import instance

TEXT = instance(0, 3)
TRUTH = enumerated(json.loads(TEXT))
BAD = ("HALF", "FALSE", "an exception", "SIGSEGV", "SIGABRT")


def good(table):
    return not [what for what in table if any(word in what for word in BAD)]


@pytest.mark.parametrize("which", [signal.SIGKILL, signal.SIGINT])
def test_signals(which, tmp_path):
    table = signalled(TEXT, TRUTH, tmp_path, which, 6, np.random.default_rng(0))
    assert good(table), table
    assert sum(table.values()) == 6


def test_full_disk_memory_and_time(tmp_path):
    proof = so.solve(program_of(TEXT), so.Exact(proof=True)).proof
    full = full_disk(TEXT, TRUTH, tmp_path, proof)
    assert set(full) == {"refused to write, no file"}
    assert good(limited_memory(TEXT, TRUTH, tmp_path, 4))
    assert good(no_time(TEXT, TRUTH, tmp_path, (0.0, 1e-3)))


def test_what_was_there_stays_when_the_disk_is_full(tmp_path):
    proof = so.solve(program_of(TEXT), so.Exact(proof=True)).proof
    path = tmp_path / f"full-{len(proof.text) - 1}"
    proof.save(path)
    full_disk(TEXT, TRUTH, tmp_path, proof)
    assert path.read_text() == proof.text
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "no leftovers"


def test_a_half_file_and_a_false_one_would_be_seen(tmp_path):
    path = tmp_path / "proof"
    assert left(TEXT, TRUTH, path) == "no file"
    assert apart(solves_and_saves(TEXT, path)) == "saved"
    assert left(TEXT, TRUTH, path) == "whole and true"
    assert left(TEXT, type(TRUTH)("optimal", TRUTH.value + 1, 0), path) == "FALSE"
    path.write_text(path.read_text()[:-30])
    assert left(TEXT, TRUTH, path) == "HALF"
