import stackopt as so
from stackopt.comparison.bounds_table import bounds_text


def bound(**values):
    record = {"problem": "p", "method": "m", "reference": "B2.1", "of": "follower's loss", "sense": "upper", "value": 2.0, "verdict": "holds",
              "tightness": 0.5, "because": "", "remedy": ""}
    return record | values


def test_value_and_tightness_of_a_bound():
    printed = bounds_text([bound(), bound(value=4.0, tightness=0.25)])
    assert "  B2.1  follower's loss\n    held 2 of 2, value 2 to 4, tightness 0.38, 0.50" in printed


def test_a_violated_bound_is_not_counted_as_held():
    assert "held 1 of 2" in bounds_text([bound(), bound(verdict="violated", tightness=1.5)])


def test_not_applicable_gives_reason_and_remedy():
    failed = bound(reference="B4.2", verdict="not applicable", tightness=None, because="modulus < 1: no, it is 3.4", remedy="a higher temperature")
    printed = " ".join(bounds_text([failed]).split())
    assert "not applicable to 1 because modulus < 1: no, it is 3.4; remedy: a higher temperature" in printed
    assert "held" not in printed.split("B4.2")[1]


def test_bounds_of_another_kind_are_named_only():
    other = bound(reference="B11.3", verdict="not applicable", tightness=None, because="the candidate is meant as a fixed point: no")
    assert "about another kind of answer: B11.3" in bounds_text([bound(), other])


def test_tightness_is_for_errors_not_for_values():
    assert "tightness" not in bounds_text([bound(of="leader's value under the candidate's follower")]).split("\n", 1)[1]


def test_tags_sort_by_number_and_lines_fit():
    printed = bounds_text([bound(reference=r) for r in ("B11.3", "B2.1", "B2.1 a posteriori")], width=60)
    assert printed.index("B2.1  ") < printed.index("B2.1 a posteriori") < printed.index("B11.3")


def test_nothing_to_say():
    assert bounds_text([]) == ""


def test_a_comparison_prints_them():
    game = so.catalog.build("commitment_2x2")
    comparison = so.compare({"g": game}, {"tau": so.SoftmaxPolicyIteration(0.1)})
    assert "B2.1  follower's loss\n    held 1 of 1, value 0.0693, tightness 0.13, 0.13" in comparison.bounds_text()
