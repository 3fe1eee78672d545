"""The constructor of a game: every way in, every law with its witness, and how it prints."""

import dataclasses

import numpy as np
import pytest
from scipy import sparse

import stackopt as so
from stackopt.codes import CODES
from stackopt.errors import InvalidGame

S, A, B = 2, 2, 3


def arrays(**change):
    rng = np.random.default_rng(0)
    given = {
        "leader_reward": rng.normal(size=(S, A, B)),
        "follower_reward": rng.normal(size=(S, A, B)),
        "transition": rng.dirichlet(np.ones(S), (S, A, B)),
        "discount": 0.9,
    }
    return given | change


def patched(name, index, value):
    array = arrays()[name].copy()
    array[index] = value
    return {name: array}


# --- the ways in ------------------------------------------------------------------------------------------------------


def test_arrays_are_copied_and_frozen():
    given = arrays()
    game = so.StackelbergGame(**given)
    given["leader_reward"][:] = 99.0
    assert game.leader_reward.max() < 99.0
    assert game.shape == (S, A, B)
    assert game.batch == ()
    for array in (game.leader_reward, game.follower_reward, game.transition, game.initial, game.observations):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        game.name = "other"


def test_defaults():
    game = so.StackelbergGame(**arrays())
    assert np.array_equal(game.initial, [0.5, 0.5])
    assert (game.leader_discount, game.follower_discount, game.discount) == (0.9, 0.9, 0.9)
    assert game.leader_sees_state
    assert not game.sparse


def test_separate_discounts():
    game = so.StackelbergGame(**arrays(follower_discount=0.0))
    assert (game.leader_discount, game.follower_discount, game.discount) == (0.9, 0.0, None)
    both = so.StackelbergGame(**arrays(discount=None, leader_discount=0.5, follower_discount=0.5))
    assert both.discount == 0.5


def test_rows_off_by_rounding_are_normalised():
    given = arrays()
    given["transition"] = given["transition"] * (1 + 1e-10)
    assert np.abs(so.StackelbergGame(**given).transition.sum(-1) - 1).max() < 1e-15


def test_a_callable_transition_and_batch_axes():
    game = so.StackelbergGame(np.zeros((5, S, A, B)), np.zeros((5, S, A, B)), so.stay, discount=0.5)
    assert game.batch == (5,)
    assert game.transition.shape == (5, S, A, B, S)
    assert game[3].batch == ()
    assert game[1:3].batch == (2,)
    assert game[3].name == "game[3]"
    again = so.StackelbergGame.stack([game[i] for i in range(5)])
    assert again.fingerprint() == game.fingerprint()


def test_functions_give_the_same_game_as_arrays():
    given = arrays()
    game = so.StackelbergGame(**given)
    labels = ["s0", "s1"], ["a0", "a1"], ["b0", "b1", "b2"]
    at = lambda s, a, b: (int(s[1]), int(a[1]), int(b[1]))  # noqa: E731
    for keep_sparse in (False, True):
        built = so.StackelbergGame.from_functions(
            states=labels[0], leader_actions=labels[1], follower_actions=labels[2],
            transition=lambda s, a, b: [(f"s{t}", given["transition"][(*at(s, a, b), t)]) for t in range(S)],
            leader_reward=lambda s, a, b: given["leader_reward"][at(s, a, b)],
            follower_reward=lambda s, a, b: given["follower_reward"][at(s, a, b)],
            discount=0.9, sparse=keep_sparse,
        )  # fmt: skip
        assert built.sparse is keep_sparse
        kernel = built.transition.toarray().reshape(S, A, B, S) if keep_sparse else built.transition
        assert np.allclose(kernel, game.transition, atol=1e-15)
        assert np.array_equal(built.leader_reward, game.leader_reward)
        assert built.states == ("s0", "s1")


def test_equal_targets_add_up_and_observations_and_initial_come_from_functions():
    game = so.StackelbergGame.from_functions(
        states=[0, 1, 2], leader_actions=["a"], follower_actions=["b"],
        transition=lambda s, a, b: [(0, 0.25), (0, 0.25), (1, 0.5)],
        leader_reward=lambda s, a, b: float(s), follower_reward=lambda s, a, b: 0.0,
        leader_observes=lambda s: "low" if s < 2 else "high", initial=lambda s: float(s == 2), discount=0.5,
    )  # fmt: skip
    assert np.array_equal(game.transition[0, 0, 0], [0.5, 0.5, 0.0])
    assert game.observations.tolist() == [0, 0, 1]
    assert game.initial.tolist() == [0.0, 0.0, 1.0]
    assert not game.leader_sees_state


def test_large_games_from_functions_are_sparse_by_default():
    n = 1500
    game = so.StackelbergGame.from_functions(
        states=range(n), leader_actions=["a"], follower_actions=["b"], transition=lambda s, a, b: [((s + 1) % n, 1.0)],
        leader_reward=lambda s, a, b: 0.0, follower_reward=lambda s, a, b: 0.0, discount=0.5,
    )  # fmt: skip
    assert game.sparse
    assert game.transition.nnz == n


def test_a_sparse_matrix_is_the_same_game():
    given = arrays()
    dense = so.StackelbergGame(**given)
    given["transition"] = sparse.csr_matrix(given["transition"].reshape(S * A * B, S))
    game = so.StackelbergGame(**given)
    assert game.sparse
    profile = so.Profile(np.full((S, A), 0.5), np.full((S, B), 1 / 3))
    assert game.certify(profile).values["own_follower"] == pytest.approx(dense.certify(profile).values["own_follower"], abs=1e-12)
    assert bool(game.leader_moves_state()) == bool(dense.leader_moves_state()) is True


def test_whether_the_leader_moves_the_state():
    free = arrays()["transition"].copy()
    free[:, 1] = free[:, 0]
    still = so.StackelbergGame(**arrays(transition=free))
    assert still.leader_moves_state() == ""
    assert so.StackelbergGame(**arrays(transition=sparse.csr_matrix(free.reshape(-1, S)))).leader_moves_state() == ""
    free[1, 1, 2] = free[1, 0, 2][::-1]
    moved = so.StackelbergGame(**arrays(transition=free))
    assert "(s, b) = (1, 2)" in moved.leader_moves_state()
    passive = so.StackelbergGame(np.zeros((S, 1, B)), np.zeros((S, 1, B)), so.stay, discount=0.5)
    assert passive.leader_moves_state() == ""


# --- the laws ---------------------------------------------------------------------------------------------------------

BAD = [
    (patched("leader_reward", (1, 0, 2), np.nan), "finite", "(s, a, b) = (1, 0, 2) is nan"),
    (patched("follower_reward", (0, 1, 1), np.inf), "finite", "(s, a, b) = (0, 1, 1) is inf"),
    (patched("transition", (0, 0, 0, 1), np.nan), "finite", "(s, a, b, t) = (0, 0, 0, 1) is nan"),
    ({"leader_reward": np.zeros((A, B))}, "axes", ""),
    ({"leader_reward": [["x"]]}, "axes", ""),
    ({"follower_reward": np.zeros((S, B, A))}, "axes", ""),
    ({"transition": np.zeros((S, A, B, S + 1))}, "axes", ""),
    ({"transition": sparse.csr_matrix(np.ones((5, S)))}, "axes", ""),
    ({"leader_reward": np.zeros((S, 0, B)), "follower_reward": np.zeros((S, 0, B))}, "action-set", "(2, 0, 3)"),
    (patched("transition", (1, 0, 0), [0.5, 0.4]), "transition-mass", "(s, a, b) = (1, 0, 0) sums to 0.9"),
    ({"transition": arrays()["transition"] * 0.9}, "transition-mass", "11 more rows differ"),
    (patched("transition", (0, 1, 2), [1.5, -0.5]), "transition-sign", "(s, a, b, t) = (0, 1, 2, 1) is -0.5"),
    ({"discount": 1.0}, "discount", "leader_discount = 1"),
    ({"discount": -0.1}, "discount", "leader_discount = -0.1"),
    ({"discount": float("nan")}, "discount", "nan"),
    ({"discount": "high"}, "discount", "'high'"),
    ({"discount": None}, "discount", "none was given"),
    ({"follower_discount": 1.0}, "discount", "follower_discount = 1"),
    ({"initial": [0.5, 0.6]}, "initial", "sum to 1.1"),
    ({"initial": [1.5, -0.5]}, "initial", "(s) = (1) is -0.5"),
    ({"initial": [np.nan, 1.0]}, "finite", "(s) = (0) is nan"),
    ({"initial": [1.0]}, "axes", ""),
    ({"leader_observes": [0]}, "observation", "1 given"),
    ({"states": ["one"]}, "labels", ""),
    ({"leader_actions": ["same", "same"]}, "labels", ""),
    ({"follower_actions": ["a", "b"]}, "labels", ""),
]


@pytest.mark.parametrize(("change", "code", "witness"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_every_law_names_its_first_witness(change, code, witness):
    with pytest.raises(InvalidGame) as error:
        so.StackelbergGame(**arrays(**change))
    assert error.value.code == code
    assert witness in error.value.where
    assert error.value.help


@pytest.mark.parametrize("value", [-0.5, np.nan])
def test_sparse_entries_are_named(value):
    kernel = sparse.csr_matrix(arrays()["transition"].reshape(S * A * B, S)).copy()
    kernel.data[2 * 4 + 1] = value  # row 4 is (s, a, b) = (0, 1, 1)
    with pytest.raises(InvalidGame) as error:
        so.StackelbergGame(**arrays(transition=kernel))
    assert error.value.code == ("finite" if np.isnan(value) else "transition-sign")
    assert "(s, a, b, t) = (0, 1, 1, 1)" in error.value.where


def test_sparse_rows_must_sum_to_one():
    kernel = sparse.csr_matrix(arrays()["transition"].reshape(S * A * B, S) * 0.5)
    with pytest.raises(InvalidGame, match=r"\[transition-mass\]"):
        so.StackelbergGame(**arrays(transition=kernel))


def test_sparse_excludes_batch():
    kernel = sparse.csr_matrix(arrays()["transition"].reshape(S * A * B, S))
    with pytest.raises(InvalidGame, match=r"\[batch\]"):
        so.StackelbergGame(np.zeros((4, S, A, B)), np.zeros((4, S, A, B)), kernel, discount=0.5)


def test_batch_errors():
    game = so.StackelbergGame(**arrays())
    with pytest.raises(InvalidGame, match=r"\[batch\]"):
        game[0]
    with pytest.raises(InvalidGame, match=r"\[batch\].*game 1 differs"):
        so.StackelbergGame.stack([game, so.StackelbergGame(**arrays(discount=0.5))])


FUNCTIONS = {
    "states": [0, 1], "leader_actions": ["a"], "follower_actions": ["b"], "transition": lambda s, a, b: [(s, 1.0)],
    "leader_reward": lambda s, a, b: 0.0, "follower_reward": lambda s, a, b: 0.0, "discount": 0.5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "code", "witness"),
    [
        ({"transition": lambda s, a, b: [("elsewhere", 1.0)]}, "unknown-state", "(s, a, b) = (0, a, b) leads to 'elsewhere'"),
        ({"transition": lambda s, a, b: [(s, 0.9)]}, "transition-mass", "sums to 0.9"),
        ({"states": []}, "action-set", "0 states"),
        ({"leader_actions": []}, "action-set", "0 leader actions"),
        ({"states": [0, 0]}, "labels", ""),
        ({"leader_reward": lambda s, a, b: float("nan")}, "finite", "(s, a, b) = (0, 0, 0) is nan"),
        ({"initial": lambda s: 1.0}, "initial", "sum to 2"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_laws_of_games_from_functions(change, code, witness):
    with pytest.raises(InvalidGame) as error:
        so.StackelbergGame.from_functions(**FUNCTIONS | change)
    assert error.value.code == code
    assert witness in error.value.where


def test_every_code_of_a_game_is_raised_here():
    raised = {code for _, code, _ in BAD} | {"batch", "unknown-state"}
    laws = "axes action-set finite transition-mass transition-sign discount initial labels observation batch unknown-state"
    assert raised == set(laws.split()) <= set(CODES)


# --- printing ---------------------------------------------------------------------------------------------------------


def test_a_matrix_game_prints_its_payoffs():
    text = repr(so.StackelbergGame([[[2, 4], [1, 3]]], [[[1, 0], [0, 1]]], so.stay, discount=0.0, leader_actions=["T", "B"], name="commit-2x2"))
    assert text.splitlines()[0] == 'StackelbergGame "commit-2x2": 1 state, 2 leader actions, 2 follower actions'
    assert "T:  (2, 1)  (4, 0)" in text


def test_what_is_printed_is_true():
    free = arrays()["transition"].copy()
    free[:, 1] = free[:, 0]
    assert "the leader moves the state" in repr(so.StackelbergGame(**arrays()))
    assert "independent of the leader" in repr(so.StackelbergGame(**arrays(transition=free)))
    assert "1 observation of the 2 states" in repr(so.StackelbergGame(**arrays(leader_observes=["same", "same"])))
    assert "sparse" in repr(so.StackelbergGame(**arrays(transition=sparse.csr_matrix(free.reshape(-1, S)))))


def test_the_notebook_form_is_small_escaped_and_without_scripts():
    html = so.StackelbergGame(**arrays(name="<b>&"))._repr_html_()
    assert len(html) < 3000
    assert "<script" not in html
    assert "&lt;b&gt;&amp;" in html


def test_the_fingerprint_is_of_the_data_not_of_the_names():
    game = so.StackelbergGame(**arrays())
    assert game.fingerprint() == so.StackelbergGame(**arrays(name="x", states=["p", "q"])).fingerprint()
    for change in (
        {"discount": 0.8},
        {"follower_discount": 0.8},
        {"initial": [1.0, 0.0]},
        {"leader_observes": [0, 0]},
        patched("leader_reward", (0, 0, 0), 7.0),
        patched("follower_reward", (0, 0, 0), 7.0),
        patched("transition", (0, 0, 0), [1.0, 0.0]),
    ):
        assert so.StackelbergGame(**arrays(**change)).fingerprint() != game.fingerprint(), change


@pytest.mark.parametrize("row", [[np.nan, 1.0], [0.7, 0.7], [1.5, -0.5]])
def test_what_is_not_a_policy_is_said_to_be_none_and_nothing_more(row):
    game = so.catalog.build("commitment_2x2")
    candidate = so.Profile(np.array([row]), np.array([[0.0, 1.0]]), claim=9.0)
    certificate = game.certify(candidate)
    assert not certificate.certified
    assert [c.name for c in certificate.failures] == ["leader policy is a policy"]
    assert certificate.values == {}
    assert game.summarize(candidate, certificate) == [("leader value", "not computed: the candidate is not a policy pair")]


def test_observations_are_called_by_what_their_states_share():
    game = so.StackelbergGame(
        np.zeros((4, 1, 1)), np.zeros((4, 1, 1)), so.stay, discount=0.5,
        states=["day, empty", "day, full", "night, empty", "night, full"], leader_observes=["d", "d", "n", "n"],
    )  # fmt: skip
    assert game.observation_names() == ("day, *", "night, *")
    assert so.StackelbergGame(np.zeros((2, 1, 1)), np.zeros((2, 1, 1)), so.stay, discount=0.5).observation_names() == ("state 0", "state 1")
    mixed = so.StackelbergGame(np.zeros((3, 1, 1)), np.zeros((3, 1, 1)), so.stay, discount=0.5, leader_observes=[0, 0, 1])
    assert mixed.observation_names() == ("state 0 and 1 more", "state 2")


def test_games_of_a_batch_have_sizes_of_their_own():
    """Rewards of 1e9 in one game neither make ties nor excuse losses and claims in another whose rewards are 1."""
    small = so.StackelbergGame([[[0.0, 1.0]]], [[[1.0, 1.0 - 1e-6]]], so.stay, discount=0.0)
    large = so.StackelbergGame([[[0.0, 1e9]]], [[[1e9, 0.0]]], so.stay, discount=0.0)
    batch, x = so.StackelbergGame.stack([small, large]), np.ones((2, 1, 1))
    best = np.array([[[1.0, 0.0]], [[1.0, 0.0]]])
    certificate = batch.certify(so.Profile(x, best, claim=np.zeros(2)))
    assert certificate.certified, certificate
    assert certificate.value.tolist() == [0.0, 0.0]
    assert [c.name for c in batch.certify(so.Profile(x, best, claim=np.array([0.1, 0.0]))).failures] == ["value restated"]
    other = so.StackelbergGame.stack([so.StackelbergGame([[[0.0, 1.0]]], [[[1.0, 0.9]]], so.stay, discount=0.0), large])
    wrong = other.certify(so.Profile(x, np.array([[[0.0, 1.0]], [[1.0, 0.0]]])))
    assert [(c.name, round(c.residual, 9)) for c in wrong.failures] == [("follower optimal", 0.1)]
