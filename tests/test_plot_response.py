"""Response curves: what is drawn is what the followers answer, and where the leader's rows exclude it, it is said."""

import dataclasses

import numpy as np
import pytest

import stackopt as so
from stackopt import catalog
from stackopt.errors import InvalidProgram
from stackopt.plot import response_figure


@pytest.fixture(scope="module")
def storyboard():
    return so.solve(catalog.build("toll_storyboard"))


def lines(ax):
    found = {}
    for line in ax.get_lines():
        x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
        found[line.get_label()] = (x[np.isfinite(y)], y[np.isfinite(y)])
    return found


def response(toll):
    return min(3.5 * toll, (13 - toll) / 2, 8 - toll)


def test_the_storyboard_is_drawn(storyboard):
    figure = storyboard.plot()
    left, right = figure.axes
    drawn = lines(left)
    x, y = drawn["response"]
    assert y == pytest.approx([response(t) for t in x], abs=1e-7)
    assert x.min() == pytest.approx(8 / 15)
    assert x.max() == 8.0
    assert y.max() <= 5.0 + 1e-6, "the cap is a row of the leader"
    gone, too_much = drawn["excluded by a leader row"]
    assert too_much.max() == pytest.approx(5.6875), "the kink is drawn exactly"
    assert 10 / 7 - 0.05 < gone.min() < gone.max() < 3.05
    assert drawn["solution"] == (pytest.approx([8 / 15]), pytest.approx([28 / 15]))
    assert left.get_xlabel() == "toll"
    assert left.get_ylabel() == "flow"
    x, y = lines(right)["leader's value"]
    assert y == pytest.approx([3 * response(t) + t for t in x], abs=1e-6)


def test_the_band_is_what_the_follower_may_do(storyboard):
    (band,) = storyboard.plot().axes[0].collections
    corners = band.get_paths()[0].vertices
    for toll, flow in corners:
        assert (8 - toll) / 4 - 1e-6 <= flow <= response(toll) + 1e-6 or toll < 8 / 15 + 1e-6
    assert corners[:, 1].max() == pytest.approx(5.6875)


def test_integers_are_points():
    figure = so.solve(catalog.build("moore_bard")).plot()
    left, right = figure.axes
    x, y = lines(left)["response"]
    assert list(zip(x, y)) == [(1, 2), (2, 2), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1)]
    assert min(lines(right)["leader's value"][1]) == pytest.approx(-22)


def test_several_follower_variables_and_a_multiplier_in_the_objective():
    figure = so.solve(catalog.build("price_response")).plot()
    (left,) = figure.axes  # the leader's value needs the price, which a response alone does not give
    drawn = lines(left)
    x, y = drawn["y1"]
    assert y == pytest.approx(np.minimum(x, 200.0), abs=1e-6)
    assert len(drawn["solution"][0]) == 3


def test_equal_curves_are_one_curve():
    drawn = lines(so.solve(catalog.build("braess_toll")).plot().axes[0])
    assert set(drawn) == {"flow[s->a], flow[b->t]", "flow[s->b], flow[a->t]", "flow[a->b]", "solution"}
    x, y = drawn["flow[a->b]"]
    assert y == pytest.approx(np.maximum(2 - 2 * x / 13, 0.0), abs=1e-5)


def test_one_of_several_leader_variables_is_named():
    program = so.BilevelProgram.from_matrices(
        leader_cost=([1.0, 1.0], [-4.0]), leader_bounds=(0.0, 3.0), leader_names=["price", "rebate"],
        follower_cost=[0.0], follower_cross=[[1.0], [-1.0]], follower_bounds=(0.0, 2.0), name="two",
    )  # fmt: skip
    solution = so.solve(program)
    with pytest.raises(InvalidProgram, match=r"\[plot\].*\n.*decides 2: price, rebate") as error:
        solution.plot()
    assert "solution.plot(variable)" in error.value.help
    (left, _) = solution.plot("rebate").axes
    assert left.get_xlabel() == "rebate"
    with pytest.raises(InvalidProgram, match=r"\[plot\]"):
        solution.plot("y[0]")


def test_infinite_bounds_are_cut_to_what_the_rows_allow():
    solution = so.solve(catalog.build("moore_bard", integer=False))
    x, _ = lines(solution.plot().axes[0])["response"]
    assert x.max() == pytest.approx(8.0)


def test_followers_of_each_other_have_no_response_of_their_own():
    from scipy import sparse

    from stackopt.bilevel.program import BilevelProgram, Level, Objective, Rows

    def rows():
        return Rows((), sparse.csr_array((0, 3)), np.zeros(0), np.zeros(0))

    def square(i, other):
        return sparse.csr_array(([1.0, 0.5], ([i, min(1, 2)], [i, 2])), shape=(3, 3)) if other else sparse.csr_array(([1.0], ([i], [i])), shape=(3, 3))

    program = BilevelProgram(
        names=("x", "a", "b"), owner=np.array([-1, 0, 1]), lower=np.zeros(3), upper=np.full(3, 4.0), integer=np.zeros(3, bool),
        leader=Level("leader", Objective("max", np.array([0.0, 1.0, 1.0])), rows()),
        followers=(Level("first", Objective("min", np.array([0.0, -4.0, 0.0]), square(1, True)), rows()),
                   Level("second", Objective("min", np.array([0.0, 0.0, -4.0]), square(2, False)), rows())),
        name="duopoly",
    )  # fmt: skip
    solution = so.solve(program)
    with pytest.raises(InvalidProgram, match=r"\[plot\].*\n.*follower `first` uses `b` of another"):
        solution.plot()


def test_without_a_candidate_there_is_nothing_to_draw(storyboard):
    empty = dataclasses.replace(storyboard, candidate=None, because="why")
    with pytest.raises(InvalidProgram, match=r"\[plot\].*\n.*why"):
        response_figure(empty)
