"""What is installed, what it is for, and whether the package works here."""

from __future__ import annotations

import importlib.util
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import stackopt
from stackopt.display import Block

#: Package -> (what it is for, how to get it). Required ones first.
REQUIRED = {
    "numpy": "arrays", "scipy": "sparse matrices", "highspy": "linear and mixed-integer programs (HiGHS)", "pyomo": "from_pyomo",
    "cvxpy": "from_cvxpy; Clarabel", "networkx": "networks", "typer": "this command line",
}
OPTIONAL = {
    "pyscipopt": ("nonconvex bilevel programs, SOS1 sets (SCIP)", "stackopt[scip]"),
    "numba": ("large populations, compiled", "stackopt[fast]"),
    "matplotlib": ("figures and the report", "stackopt[report]"),
    "jinja2": ("the report", "stackopt[report]"),
    "pandas": ("Comparison.frame()", "stackopt[report]"),
    "pyarrow": ("results.parquet and tables of tariff studies", "stackopt[parquet]"),
    "quantecon": ("the speed comparison in benchmarks/", "stackopt[peers]"),
}


@dataclass(frozen=True)
class Finding:
    """One line of the examination.

    Attributes
    ----------
    name, text : str
    good : bool or None
        None for something optional that is absent.
    """

    name: str
    text: str
    good: bool | None = True


def installed(package: str) -> str | None:
    """The version of an installed package, or None."""
    try:
        return version(package) if importlib.util.find_spec(package) else None
    except PackageNotFoundError:
        return "unknown version"


def examine() -> list[Finding]:
    """Versions, packages, catalogue, and a game solved exactly and by learning whose answer is known."""
    found = [Finding("stackopt", f"{stackopt.__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}")]
    for package, use in REQUIRED.items():
        there = installed(package)
        found.append(Finding(package, f"{there or 'MISSING: pip install ' + package}  ({use})", there is not None))
    for package, (use, extra) in OPTIONAL.items():
        there = installed(package)
        found.append(Finding(package, f"{there}  ({use})" if there else f'not installed: pip install "{extra}"  ({use})', True if there else None))
    return [*found, *(_tried(name, test) for name, test in (("models", _models), ("bilevel", _bilevel), ("exact", _exact), ("softmax", _softmax)))]


def _tried(name: str, test: object) -> Finding:
    try:
        return test()  # type: ignore[operator,no-any-return]
    except Exception as error:  # an examination reports, whatever happens
        return Finding(name, f"FAILS: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}", False)


def _models() -> Finding:
    from stackopt.catalog import names

    found = names()
    return Finding("models", f"{len(found)} in the catalogue", bool(found))


def small_game() -> stackopt.StackelbergGame:
    """The 2 x 2 game whose best commitment, half and half, is worth 3.5; in equilibrium without commitment it is 2."""
    return stackopt.StackelbergGame(
        leader_reward=[[[2, 4], [1, 3]]], follower_reward=[[[1, 0], [0, 1]]], transition=stackopt.stay, discount=0.0,
        leader_actions=("up", "down"), follower_actions=("left", "right"), name="commit-2x2",
    )


def _bilevel() -> Finding:
    solution = stackopt.solve(stackopt.catalog.build("toll_storyboard"))
    good = solution.certified and abs(float(solution.value) - 92 / 15) <= 1e-6
    return Finding("bilevel", f"self-test {solution.status}: value {float(solution.value):.6f}, known 6.133333", good)


def _exact() -> Finding:
    from stackopt.exact.exact import Exact

    solution = stackopt.solve(small_game(), Exact())
    good = solution.certified and abs(float(solution.value) - 3.5) <= 1e-6
    return Finding("exact", f"self-test {solution.status}: value {float(solution.value):.6f}, known 3.5", good)


def _softmax() -> Finding:
    from stackopt.learning.softmax_policy_iteration import SoftmaxPolicyIteration

    solution = stackopt.solve(small_game(), SoftmaxPolicyIteration(temperature=0.05))
    value = float(solution.value)
    return Finding("softmax", f"self-test {solution.status}: value {value:.6f}, at most 3.5", solution.certified and 3.3 <= value <= 3.5 + 1e-9)


def block(findings: list[Finding]) -> Block:
    """The printed form; the first line is the verdict."""
    bad = [f.name for f in findings if f.good is False]
    missing = sum(f.good is None for f in findings)
    title = f"stackopt does not work here: {', '.join(bad)}" if bad else "stackopt works here"
    title += f"; {missing} optional package{'' if missing == 1 else 's'} not installed" if missing and not bad else ""
    marks = {True: "ok", None: "-", False: "FAILS"}
    width = max(len(f.name) for f in findings)
    return Block(title, tuple((marks[f.good], f"{f.name:<{width}}  {f.text}") for f in findings), good=not bad)
