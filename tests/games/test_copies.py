"""Problems, methods, answers and errors travel between processes unchanged."""

import copy
import pickle

import numpy as np
import pytest

import stackopt as so


def arrays(value):
    return {name: entry for name, entry in vars(value).items() if isinstance(entry, np.ndarray)}


@pytest.mark.parametrize("name", ["tariff", "inspection", "bayes_dobss", "security_zero_sum"])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda game: pickle.loads(pickle.dumps(game))], ids=["deepcopy", "pickle"])
def test_a_copied_game_is_the_same_value(name, copied):
    game = so.catalog.build(name)
    again = copied(game)
    assert again.fingerprint() == game.fingerprint()
    assert arrays(again).keys() == arrays(game).keys()
    assert [array.flags.writeable for array in arrays(again).values()] == [False] * len(arrays(game))


def test_an_answer_and_its_method_come_back_whole():
    game = so.catalog.build("commitment_2x2")
    for method in (so.Exact(), so.Enumeration(), so.SoftmaxPolicyIteration(0.1), so.HypergradientAscent(0.1), so.NaiveAscent(0.1)):
        assert pickle.loads(pickle.dumps(method)) == method
    solution = so.solve(game, so.SoftmaxPolicyIteration(0.1))
    again = pickle.loads(pickle.dumps(solution))
    assert str(again) == str(solution)
    assert again._repr_html_() == solution._repr_html_()


@pytest.mark.parametrize(
    "fails", [lambda: so.catalog.build("x"), lambda: so.Exact(concept="x"), lambda: so.solve(so.catalog.build("inspection"), so.Enumeration())]
)
def test_errors_come_back_with_their_text(fails):
    with pytest.raises(so.StackoptError) as caught:
        fails()
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.code) == (type(caught.value), str(caught.value), caught.value.code)
