"""Game files: what is read, and how everything else is refused."""

import json
import zipfile

import numpy as np
import pytest

import stackopt as so
from stackopt.games.file import load_game

ONE = [[[1.0, 2.0], [3.0, 4.0]]]


def written(path, **data):
    path.write_text(json.dumps(data))
    return path


def refused(path, code="game-file"):
    with pytest.raises(so.InvalidGame) as caught:
        load_game(path)
    assert caught.value.code == code
    return str(caught.value)


def test_npz_and_json_give_the_same_game(tmp_path):
    rng = np.random.default_rng(0)
    reward, follower, moves = rng.random((2, 2, 3)), rng.random((2, 2, 3)), rng.dirichlet([1, 1], (2, 2, 3))
    np.savez(tmp_path / "g.npz", leader_reward=reward, follower_reward=follower, transition=moves, discount=0.9, states=["low", "high"])
    written(
        tmp_path / "g.json", leader_reward=reward.tolist(), follower_reward=follower.tolist(), transition=moves.tolist(), discount=0.9, states=["low", "high"]
    )
    games = [load_game(tmp_path / name) for name in ("g.npz", "g.json")]
    assert games[0].fingerprint() == games[1].fingerprint()
    assert games[0].states == ("low", "high")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "Expecting value"),
        (b"hello", "Expecting value"),
        (b"[1, 2]", "not an object"),
        (b'{"name": "\xff"}', "decode"),
        (b"[" * 100_000, "recursion"),
        (b'{"schema": "other"}', "unknown key 'schema'"),
    ],
)
def test_json_that_is_no_game(tmp_path, content, says):
    path = tmp_path / "g.json"
    path.write_bytes(content)
    assert says in refused(path)


def test_files_that_are_not_there(tmp_path):
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "folder.npz").mkdir()
    for name in ("absent.json", "absent.npz", "folder.json", "folder.npz"):
        assert "where:" in refused(tmp_path / name)


def test_npz_that_is_no_archive_of_arrays(tmp_path):
    good = tmp_path / "good.npz"
    np.savez(good, leader_reward=ONE, follower_reward=ONE)
    whole = good.read_bytes()
    np.save(tmp_path / "array.npy", np.zeros(3))
    flipped = bytearray(whole)
    flipped[200] ^= 0xFF
    for content in (b"", b"hello", whole[: len(whole) // 2], whole[:-30], bytes(flipped), (tmp_path / "array.npy").read_bytes()):
        path = tmp_path / "bad.npz"
        path.write_bytes(content)
        refused(path)
    with zipfile.ZipFile(tmp_path / "foreign.npz", "w") as archive:
        archive.writestr("hello.txt", "hello")
    assert "hello.txt in it is not an array" in refused(tmp_path / "foreign.npz")
    np.savez(tmp_path / "pickled.npz", leader_reward=np.array([{}], dtype=object), follower_reward=ONE)
    assert "Object arrays" in refused(tmp_path / "pickled.npz")


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"leader_reward": None}, "axes", "leader_reward"),
        ({"leader_reward": [[[1.0, None], [1.0, 2.0]]]}, "finite", "(0, 0, 1) is nan"),
        ({"leader_reward": [[[1.0, 1e308], [1.0, 2.0]]]}, "finite", "values overflow"),
        ({"leader_reward": [[[1, 10**400], [1, 2]]]}, "axes", "too large"),
        ({"leader_reward": [[[1.0, 2.0], [1.0]]]}, "axes", "leader_reward"),
        ({"leader_reward": [[[], []]], "follower_reward": [[[], []]]}, "action-set", "(1, 2, 0)"),
        ({"leader_reward": [[]], "follower_reward": [[]]}, "action-set", "(1, 0)"),
        ({"leader_reward": []}, "action-set", "(0,)"),
        ({"discount": "half"}, "discount", "half"),
        ({"discount": [0.5, 0.5]}, "discount", "[0.5, 0.5]"),
        ({"states": 5}, "labels", "got 5"),
        ({"leader_actions": ["up", "down\n"]}, "printable", r"'down\n'"),
        ({"follower_actions": ["\x1b[31mred", "b"]}, "printable", "follower_actions"),
        ({"name": "a\tb"}, "printable", "`name`"),
        ({"leader_observes": 5}, "observation", "5 is not a sequence"),
        ({"leader_observes": [[0]]}, "observation", "state 0 has [0]"),
        ({"leader_observes": [float("nan")]}, "observation", "state 0 has nan"),
    ],
)
def test_values_that_break_a_law(tmp_path, change, code, says):
    path = written(tmp_path / "g.json", **{"leader_reward": ONE, "follower_reward": ONE, **change})
    assert says in refused(path, code)
