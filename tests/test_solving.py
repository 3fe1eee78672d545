"""`solve`: what it refuses at the door, what it passes on, where it logs."""

import io
import logging

import numpy as np
import pytest

import stackopt as so


def game():
    return so.StackelbergGame(leader_reward=[[[2, 4], [1, 3]]], follower_reward=[[[1, 0], [0, 1]]], transition=so.stay, discount=0.0, name="commit-2x2")


@pytest.mark.parametrize("seed", [-1, 1.5, "0", None, True])
def test_a_seed_is_an_integer_of_at_least_0(seed):
    for use in (lambda: so.solve(game(), so.SoftmaxPolicyIteration(0.1), seed=seed), lambda: so.compare([game()], {"exact": so.Exact()}, seeds=(0, seed))):
        with pytest.raises(so.InvalidMethod, match=r"`seed` must be an integer of at least 0"):
            use()


def test_a_seed_of_numpy_is_a_seed():
    assert so.solve(game(), seed=np.int64(3)).provenance["seed"] == 3


def test_report_receives_progress():
    received = []
    so.solve(game(), so.SoftmaxPolicyIteration(0.1), report=received.append)
    assert received
    assert all(isinstance(p, so.Progress) for p in received)


def test_logs_to_its_own_logger_and_nowhere_else(capfd):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger, before = logging.getLogger("stackopt"), logging.getLogger("stackopt").level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    others = set(logging.root.manager.loggerDict)
    try:
        so.solve(game())
        so.compare([game()], {"softmax": so.SoftmaxPolicyIteration(0.1)})
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
    assert "commit-2x2 by exact strong: PROVED" in stream.getvalue()
    assert "cell 1 of 1" in stream.getvalue()
    assert not [name for name in set(logging.root.manager.loggerDict) - others if name.startswith("stackopt")]
    assert not logging.root.handlers or all("stackopt" not in type(h).__module__ for h in logging.root.handlers)
    assert capfd.readouterr() == ("", "")
