"""Studies from the catalogue: methods that fit the problem, refused ladders reduced to one row that says why."""

import os
from pathlib import Path

import pytest

from stackopt import compare
from stackopt.catalog import build
from stackopt.comparison.suites import FIXED_POINT_LADDER, GAME_KINDS, KINDS, LADDER, PROGRAM_KINDS, default_suite, exact_for, ladder, methods_for, suite
from stackopt.errors import InvalidMethod, UnknownModel
from tests.comparison.toys import game


def test_the_built_in_study():
    study = default_suite()
    assert list(study.problems) == ["tariff", "inspection"]
    refused = [label for label, method in study.methods["tariff"].items() if method.refuses(study.problems["tariff"])]
    assert refused == ["fixed point tau=0.5"]
    assert not any(method.refuses(study.problems["inspection"]) for method in study.methods["inspection"].values())
    assert sum(label.startswith("softmax") for label in study.methods["tariff"]) == len(LADDER)
    assert sum(label.startswith("fixed") for label in study.methods["inspection"]) == len(FIXED_POINT_LADDER)
    for about in study.about.values():
        assert about["title"]
        assert about["source"]
        assert about["known"]


def test_a_leader_that_moves_the_state_gets_a_net_where_the_search_would_end_as_an_interval():
    assert exact_for(build("inspection"), "strong").leader == "auto"
    assert exact_for(build("inspection"), "weak").leader == "net"
    assert exact_for(build("inspection"), "weak").grid == 32
    assert exact_for(game(), "weak").leader == "auto"


def test_ladders_follow_the_scale_of_the_rewards():
    assert ladder(build("tariff")) == LADDER
    assert ladder(game()) == LADDER
    from dataclasses import replace

    g = game()
    large = replace(g, follower_reward=g.follower_reward * 1000, discount=0.0)
    assert ladder(large) == tuple(1000 * t for t in LADDER)


def test_temperatures_and_kinds_can_be_chosen():
    assert list(methods_for(game(), (0.3,), ("softmax", "exact"))) == ["softmax tau=0.3", "exact strong"]
    assert set(GAME_KINDS) | set(PROGRAM_KINDS) | {"indicator", "scip"} == set(KINDS)
    assert [label.split()[0] for label in methods_for(game(), (0.3,))] == ["exact", "exact", "softmax", "boltzmann", "fixed"]
    with pytest.raises(InvalidMethod, match=r"\[setting\].*'magic'"):
        methods_for(game(), None, ("magic",))
    with pytest.raises(InvalidMethod, match=r"\[temperature\]"):
        methods_for(game(), (-1.0,), ("softmax",))


def test_parameters_go_to_the_models_that_have_them():
    study = suite(["tariff", "inspection"], {"bill_weight": 0.3}, (0.1,), ("softmax",))
    assert study.about["tariff"]["parameters"] == {"bill_weight": 0.3}
    assert study.about["tariff"]["known"] == {}  # known answers are of the defaults
    assert study.about["inspection"]["parameters"] == {}
    assert study.problems["tariff"].fingerprint() != build("tariff").fingerprint()


def test_unknown_names_are_named():
    with pytest.raises(InvalidMethod, match="did you mean 'bill_weight'"):
        suite(["tariff"], {"bill_weigth": 0.3})
    with pytest.raises(UnknownModel, match="did you mean 'tariff'"):
        suite(["tarif"])


@pytest.mark.parametrize("name", ["bayes_dobss", "security_zero_sum"])
def test_games_of_other_kinds_are_compared_too(name):
    study = suite([name])
    comparison = compare(study.problems, study.methods, about=study.about)
    found = {r["method"]: r for r in comparison.rows()}
    assert found["exact strong"]["error"] == 0.0
    assert found["exact strong"]["value"] == pytest.approx(study.about[name]["known"]["strong"], abs=1e-6)
    assert found["softmax tau=0.5"]["status"] == "REFUSED"  # learners play Markov games only
    assert comparison.good


def written(path):
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"leader_reward": [[[2, 4], [1, 3]]], "follower_reward": [[[1, 0], [0, 1]]]}')
    return str(path)


def test_files_of_the_same_stem_keep_apart(tmp_path):
    files = [written(tmp_path / "a" / "g.json"), written(tmp_path / "b" / "g.json"), written(tmp_path / "commitment_2x2.json"), written(tmp_path / "h.json")]
    study = suite([*files, "commitment_2x2"], kinds=("exact",))
    assert set(study.problems) == {*files[:3], "h", "commitment_2x2"}


def test_parameters_of_game_files_are_refused_not_ignored(tmp_path):
    with pytest.raises(InvalidMethod, match="a game file has no parameters"):
        suite([written(tmp_path / "g.json")], {"bill_weight": 0.8})


def test_a_file_name_that_is_no_text_is_printed_with_a_replacement(tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.json")
    try:
        written(Path(name))
    except OSError:
        pytest.skip("this file system takes only text")
    assert list(suite([name], kinds=("exact",)).problems) == ["\N{REPLACEMENT CHARACTER}"]
