"""Every public name says what it is, and the examples in docstrings print what they say."""

import doctest
import inspect

import pytest

import stackopt as so

NAMES = [name for name in so.__all__ if name != "__version__"]
FRONT_ENDS = ["BilevelProgram", "from_pyomo", "from_cvxpy", "dual"]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples(thing, name):
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [test for test in finder.find(thing, name, globs={}) if test.examples]


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_has_a_docstring_whose_examples_run(name):
    thing = getattr(so, name)
    first = (inspect.getdoc(thing) or "").splitlines()[:1]
    assert first
    assert not first[0].startswith(f"{name}(")  # what a dataclass says of itself when nobody did
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    for test in examples(thing, name):
        said = []
        runner.run(test, out=said.append, clear_globs=True)
        assert not said, "".join(said)


@pytest.mark.parametrize("name", ["StackelbergGame", "BayesianGame", "Exact", "SoftmaxPolicyIteration", "solve", "compare", "catalog", *FRONT_ENDS])
def test_what_a_user_begins_with_has_an_example(name):
    assert examples(getattr(so, name), name)
