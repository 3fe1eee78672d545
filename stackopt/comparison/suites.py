"""Studies ready to compare: problems from the catalogue, and for each the methods that make sense on it.

The built-in study has two games. In ``tariff`` the leader does not move the state, so the exact optimum over all randomised
policies is known; the leader sees only part of the state, so fixed points are refused there. In ``inspection`` the leader
moves the state: the exact side is a net of mixed policies and a bracket (theory D4), and fixed points are defined.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stackopt.bilevel.files import read
from stackopt.bilevel.json_file import holds_bilevel
from stackopt.bilevel.program import BilevelProgram
from stackopt.errors import InvalidMethod
from stackopt.exact.enumeration import Enumeration
from stackopt.exact.exact import Exact
from stackopt.exact.reformulated import BigM, Indicator, Scip, Sos1, StrongDuality
from stackopt.exact.searched import randomised_refusal
from stackopt.games.file import load_game
from stackopt.games.stackelberg import StackelbergGame
from stackopt.learning.softmax_policy_iteration import SoftmaxPolicyIteration

#: What `stackopt compare` solves when no model is named.
DEFAULT_MODELS = ("tariff", "inspection")
#: Temperatures of the ladder, in units of the power of ten below the range of the follower's rewards.
LADDER = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
#: Below a tenth of that unit the alternation behind a fixed point cycles on the built-in game at any damping tried.
FIXED_POINT_LADDER = (0.5, 0.2, 0.1, 0.05)
#: The finest net is taken that has at most this many (state, mixed leader action, follower action) triples.
NET_CHOICES = 500
#: What `--method` takes.
KINDS = {
    "exact": "exact strong commitment; of a bilevel program, its optimum",
    "weak": "exact weak commitment: ties go against the leader",
    "softmax": "commitment to a max-ent follower, by hypergradient ascent",
    "boltzmann": "commitment to a Boltzmann follower",
    "fixed-point": "softmax policy iteration: each side answers the other's fixed policy",
    "big-m": "bilevel programs: optimality conditions, with proved bounds on multipliers",
    "strong-duality": "bilevel programs: equal values of the follower's primal and dual",
    "sos1": "bilevel programs: optimality conditions with SOS1 sets, by SCIP",
    "indicator": "bilevel programs: optimality conditions with implications, by SCIP",
    "scip": "bilevel programs: global search by SCIP",
    "enumeration": "everything tried, on tiny problems",
}
#: What is compared when no kind is named.
GAME_KINDS = ("exact", "weak", "softmax", "boltzmann", "fixed-point")
PROGRAM_KINDS = ("exact", "strong-duality", "big-m", "sos1", "enumeration")


REFORMULATED: Mapping[str, Any] = {"big-m": BigM, "strong-duality": StrongDuality, "sos1": Sos1, "indicator": Indicator, "scip": Scip}


@dataclass(frozen=True)
class Suite:
    """What to hand to `compare`: ``compare(suite.problems, suite.methods, about=suite.about)``.

    Attributes
    ----------
    problems : mapping of name to Problem
    methods : mapping of problem name to mapping of label to Method
    about : mapping of problem name to title, source, model, parameters, known answers and unit
    """

    problems: Mapping[str, Any]
    methods: Mapping[str, Mapping[str, Any]]
    about: Mapping[str, Mapping[str, Any]]


def default_suite() -> Suite:
    """The built-in study: exact and approximate answers on the tariff and the inspection game."""
    return suite(DEFAULT_MODELS)


def suite(
    models: Iterable[str],
    parameters: Mapping[str, Any] | None = None,
    temperatures: Sequence[float] | None = None,
    kinds: Iterable[str] | None = None,
    time_limit: float = 60.0,
) -> Suite:
    """Models of the catalogue, each with the methods of `kinds` over a ladder of temperatures.

    Parameters
    ----------
    models : iterable of str
        Names of models or recorded bilevel programs, game files (.npz, .json) or bilevel programs (.mps with .aux, .json).
    parameters : mapping, optional
        Changed parameters; each goes to the models that have one of that name.
    temperatures : sequence of float, optional
        In the units of the follower's reward; by default a ladder that fits the problem.
    kinds : iterable of str, optional
        Keys of `KINDS`; by default `GAME_KINDS` for games and `PROGRAM_KINDS` for bilevel programs.
    time_limit : float
        Seconds for each exact method.

    Raises
    ------
    UnknownModel, InvalidMethod, InvalidGame
        If a file is not a game, or a name, a parameter, a kind or a temperature is unknown or out of range.
    """
    from stackopt import catalog

    given, names = dict(parameters or {}), list(dict.fromkeys(models))
    cases = {name: catalog.case(name) for name in names if not is_file(name) and name not in catalog.names() and name in catalog.cases()}
    entries = {name: catalog.model(name) for name in names if not is_file(name) and name not in cases}
    files = _files([name for name in names if is_file(name)], [*entries, *cases])
    orphan = next((key for key in given if not any(key in entry.parameters for entry in entries.values())), None)
    if orphan is not None and not entries:
        what = "a game file" if files else "a recorded program"
        raise InvalidMethod("model-parameter", name=orphan, model=names[0], where=f"{what} has no parameters", help="change the file; models have some")
    if orphan is not None:
        catalog.build(next(iter(entries)), **{orphan: given[orphan]})  # raises, with the nearest name
    problems: dict[str, Any] = {name: _loaded(path) for name, path in files.items()}
    about: dict[str, Any] = {name: {"title": name, "source": path, "file": path, "parameters": {}, "known": {}, "unit": ""} for name, path in files.items()}
    for name, entry in entries.items():
        own = {k: v for k, v in given.items() if k in entry.parameters}
        problems[name] = catalog.build(name, **own)
        about[name] = {"title": entry.title, "source": entry.source, "model": name, "parameters": own, "unit": entry.unit,
                       "known": dict(entry.known) if not own else {}, "assumptions": [list(a) for a in entry.assumptions]}
    for name, case in cases.items():
        problems[name] = case.program
        answer = {} if case.value is None else {"value": case.value, "tolerance": case.tolerance * max(1.0, abs(case.value)), "reference": case.source}
        about[name] = {"title": case.title, "source": case.source, "case": name, "parameters": {}, "known": answer, "unit": ""}
    methods = {name: methods_for(problem, temperatures, None if kinds is None else tuple(kinds), time_limit) for name, problem in problems.items()}
    return Suite(problems, methods, about)


def _files(paths: Sequence[str], taken: Iterable[str]) -> dict[str, str]:
    """Path of each game file by what it is called: its stem, or all of it where stems are not distinct."""
    stems = [*taken, *(Path(path).stem for path in paths)]
    called = [Path(path).stem if stems.count(Path(path).stem) == 1 else path for path in paths]
    return {os.fsencode(name).decode(errors="replace"): path for name, path in zip(called, paths, strict=True)}  # file names can be other than text


def is_file(name: str) -> bool:
    """Whether a name means a file rather than a model of the catalogue."""
    return name.lower().endswith((".npz", ".json", ".mps", ".mps.gz", ".aux")) or os.sep in name


def _loaded(path: str) -> Any:
    """The game or the bilevel program of a file; a JSON file says itself what it is."""
    if path.lower().endswith((".mps", ".mps.gz", ".aux")) or holds_bilevel(path):
        return read(path)
    return load_game(path)


def methods_for(
    problem: Any, temperatures: Sequence[float] | None = None, kinds: Sequence[str] | None = None, time_limit: float = 60.0
) -> dict[str, Any]:
    """Methods by label. Where a ladder is refused, one of its rungs is kept to show the reason."""
    program = isinstance(problem, BilevelProgram)
    kinds = (PROGRAM_KINDS if program else GAME_KINDS) if kinds is None else kinds
    unknown = next((kind for kind in kinds if kind not in KINDS), None)
    if unknown is not None:
        raise InvalidMethod("setting", name="method", law=f"one of {', '.join(KINDS)}", got=repr(unknown))
    found: dict[str, Any] = {}
    for kind in kinds:
        if kind == "enumeration":
            found["enumeration"] = Enumeration()
            continue
        if kind in REFORMULATED:
            method = REFORMULATED[kind](time_limit=time_limit)
            found[method.name] = method
            continue
        if program and kind in ("exact", "weak"):
            found[kind] = Exact(concept="weak" if kind == "weak" else "strong", time_limit=time_limit)  # weak is refused, with what to do instead
            continue
        if kind in ("exact", "weak"):
            method = exact_for(problem, "strong" if kind == "exact" else "weak", time_limit)
            found[f"exact {method.concept}" + (f" net/{method.grid}" if method.leader == "net" else "")] = method
            continue
        rungs = [_learner(kind, t) for t in temperatures or ladder(problem, kind)]
        refused = bool(rungs) and rungs[0].refuses(problem) is not None
        for method in rungs[:1] if refused else rungs:
            found[f"{kind.replace('-', ' ')} tau={method.temperature:g}"] = method
    return found


def exact_for(problem: Any, concept: Any, time_limit: float = 60.0) -> Any:
    """The exact method over randomised policies where there is one that closes its gap, else over a net of them."""
    method = Exact(concept=concept, time_limit=time_limit)
    refused = method.refuses(problem) is not None
    if isinstance(problem, StackelbergGame) and not problem.batch and (refused or concept == "weak") and randomised_refusal(problem, concept):
        S, A, B = problem.shape
        fits = [n for n in (32, 16, 8, 4, 2) if S * B * math.comb(n + A - 1, A - 1) <= NET_CHOICES]
        return Exact(concept=concept, leader="net", grid=max(fits, default=1), time_limit=time_limit)
    return method


def ladder(problem: Any, kind: str = "softmax") -> tuple[float, ...]:
    """Temperatures that fit the range of the follower's rewards."""
    rewards = getattr(problem, "follower_reward", None)
    unit = 1.0 if rewards is None or np.ptp(rewards) == 0 else 10.0 ** math.floor(math.log10(float(np.ptp(rewards))))
    return tuple(float(f"{unit * t:.3g}") for t in (FIXED_POINT_LADDER if kind == "fixed-point" else LADDER))


def _learner(kind: str, temperature: float) -> Any:
    if kind == "fixed-point":
        return SoftmaxPolicyIteration(temperature, concept="fixed_point", damping=0.95, iterations=2000)
    return SoftmaxPolicyIteration(temperature, response="boltzmann" if kind == "boltzmann" else "max-ent")
