"""The command line on streams that are closed, narrow, or know few characters."""

import json
import os
import subprocess
import sys

import pytest

GAME = {"name": "Zürich τ", "leader_reward": [[[2, 4], [1, 3]]], "follower_reward": [[[1, 0], [0, 1]]], "leader_actions": ["öffnen", "zu"]}


def ran(*words, cwd, **environment):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run([sys.executable, "-m", "stackopt", *words], cwd=cwd, env=environment, capture_output=True, timeout=120, check=False)


LATIN, ASCII, NARROW = {"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}, {"TERM": "dumb", "COLUMNS": "40"}


@pytest.mark.parametrize("environment", [LATIN, ASCII, NARROW], ids=["latin-1", "ascii", "narrow"])
def test_special_characters_survive_or_are_escaped(tmp_path, environment):
    (tmp_path / "g.json").write_text(json.dumps(GAME))
    result = ran("solve", "g.json", "--method", "softmax", cwd=tmp_path, **environment)
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"\x1b" not in result.stdout
    assert result.stdout.startswith(b'Solution of "Z')


def test_a_reader_that_leaves_early_causes_no_traceback(tmp_path):
    command = [sys.executable, "-m", "stackopt", "models"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
