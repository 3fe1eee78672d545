"""Mutants of the checker itself: a condition is deleted, negated or weakened; the corpus of proofs must notice each.

A checker that has lost a condition accepts something that the corpus says is no proof, or the other way round: the mutant is *killed*.
A survivor is a condition that no test needs; it gets a case in the corpus.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackopt.proof import check

#: What an operator is mutated to, outside of conditions.
SWAPPED: dict[type[ast.AST], type[ast.AST]] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult}
#: A comparison with and without its boundary.
BOUNDARY: dict[type[ast.AST], type[ast.AST]] = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
OPPOSITE: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Gt: ast.Lt, ast.Lt: ast.Gt,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """An entry of the corpus: what a checker must say of a proof.

    Attributes
    ----------
    name, problem, proof : str
    verdict : str
        The checker's sentence, or ``REJECTED``.
    because : str
        The reason that check.py gives; another checker may give another.
    """

    name: str
    problem: str
    proof: str
    verdict: str
    because: str = ""


@dataclass(frozen=True)
class Mutant:
    """A changed checker: where, how, and its module."""

    line: int
    change: str
    says: Callable[[str, str], tuple[str, str]]


def verdict(module: Any, problem: str, proof: str) -> tuple[str, str]:
    """What a checker says: its sentence, or ``REJECTED`` and the reason."""
    try:
        return str(module.statement(module.check(problem, proof))), ""
    except RecursionError:
        raise
    except Exception as error:
        return "REJECTED", str(error) if type(error).__name__ == "Rejected" else type(error).__name__


def mutants(path: str | Path = check.__file__, *, everything: bool = False, first: int = 0, every: int = 1) -> Iterator[Mutant]:
    """Mutants of the conditions in calls of ``need``; with `everything`, of every other comparison, operator and constant instead.

    Parameters
    ----------
    path : path
        The checker's source.
    everything : bool
    first, every : int
        A sample: the mutants of numbers first, first + every, ...
    """
    tree = ast.parse(Path(path).read_text())
    tree.body = [part for part in tree.body if not isinstance(part, ast.If)]  # what runs only as a command
    for number, (line, change, impose) in enumerate((_elsewhere_in if everything else _conditions_in)(tree)):
        if number < first or (number - first) % every:
            continue
        with impose():
            code = compile(ast.fix_missing_locations(tree), "mutated", "exec")
        module = types.ModuleType("mutated")
        sys.modules["mutated"] = module
        try:
            exec(code, module.__dict__)
        finally:
            del sys.modules["mutated"]
        yield Mutant(line, change, functools.partial(verdict, module))


def killed(mutant: Mutant, cases: Iterable[Case]) -> tuple[Case | None, Case | None]:
    """The first case that a mutant decides wrongly; and the first that it rejects for another reason, searched for if there is none."""
    other = None
    for case in cases:
        said, because = mutant.says(case.problem, case.proof)
        if said != case.verdict:
            return case, other
        if other is None and because != case.because:
            other = case
    return None, other


Change = Callable[[], contextlib.AbstractContextManager[None]]


def _conditions_in(tree: ast.Module) -> Iterator[tuple[int, str, Change]]:
    """(line, what changes, a context in which it is changed in place)."""
    for node in [node for node in ast.walk(tree) if _is_need(node)]:
        assert isinstance(node, ast.Call)
        before = node.args[0]
        for change, condition in _weaker(before, top=True):
            yield node.lineno, f"need {ast.unparse(before)}: {change}", functools.partial(_put, node.args, 0, condition)


@contextlib.contextmanager
def _put(place: list[ast.expr], at: int, instead: ast.expr) -> Iterator[None]:
    before = place[at]
    place[at] = instead
    try:
        yield
    finally:
        place[at] = before


def _elsewhere_in(tree: ast.Module) -> Iterator[tuple[int, str, Change]]:
    inside = {id(part) for node in ast.walk(tree) if _is_need(node) for part in ast.walk(node)}
    for node in [node for node in ast.walk(tree) if id(node) not in inside]:
        for change, alter in _elsewhere(node):
            yield getattr(node, "lineno", 0), f"{ast.unparse(node)}: {change}", functools.partial(_altered, node, alter)


@contextlib.contextmanager
def _altered(node: ast.AST, alter: Callable[[Any], None]) -> Iterator[None]:
    before = dict(node.__dict__)
    function = dict(node.func.__dict__) if isinstance(node, ast.Call) else {}
    try:
        alter(node)
        yield
    finally:
        node.__dict__.update(before)
        if isinstance(node, ast.Call):
            node.func.__dict__.update(function)


def _is_need(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "need"


def _weaker(condition: ast.expr, *, top: bool = False) -> Iterator[tuple[str, ast.expr]]:
    """(what changed, the condition instead)."""
    if top:
        yield "deleted", ast.Constant(True)
        yield "negated", ast.UnaryOp(ast.Not(), condition)
    if isinstance(condition, ast.BoolOp):
        for at, value in enumerate(condition.values):
            others = condition.values[:at] + condition.values[at + 1 :]
            yield f"without {ast.unparse(value)}", others[0] if len(others) == 1 else ast.BoolOp(condition.op, others)
            for change, instead in _weaker(value):
                yield change, ast.BoolOp(condition.op, [*condition.values[:at], instead, *condition.values[at + 1 :]])
    elif isinstance(condition, ast.IfExp):
        for change, instead in _weaker(condition.body, top=True):
            yield f"{ast.unparse(condition.body)} {change}", ast.IfExp(condition.test, instead, condition.orelse)
        for change, instead in _weaker(condition.orelse, top=True):
            yield f"{ast.unparse(condition.orelse)} {change}", ast.IfExp(condition.test, condition.body, instead)
    elif isinstance(condition, ast.Compare):
        sides = [condition.left, *condition.comparators]
        if len(condition.ops) > 1 and all(isinstance(op, ast.Eq) for op in condition.ops):
            for at in range(len(condition.ops)):
                parts = sides[:at] + sides[at + 1 :]
                yield f"without {ast.unparse(sides[at])}", ast.Compare(parts[0], condition.ops[1:], parts[1:])
        elif len(condition.ops) > 1:
            for at in range(len(condition.ops)):
                links = [ast.Compare(sides[k], [op], [sides[k + 1]]) for k, op in enumerate(condition.ops) if k != at]
                change = f"without {ast.unparse(ast.Compare(sides[at], [condition.ops[at]], [sides[at + 1]]))}"
                yield change, links[0] if len(links) == 1 else ast.BoolOp(ast.And(), list[ast.expr](links))
        for at, op in enumerate(condition.ops):
            if type(op) in BOUNDARY:
                ops = [*condition.ops[:at], BOUNDARY[type(op)](), *condition.ops[at + 1 :]]
                yield f"boundary of {ast.unparse(condition)}", ast.Compare(condition.left, ops, condition.comparators)  # type: ignore[arg-type]


def _elsewhere(node: ast.AST) -> Iterator[tuple[str, Callable[[Any], None]]]:
    """Changes outside of conditions: (what, how to change a copy of the node in place)."""
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPPED and not isinstance(node.left, ast.JoinedStr):
        yield "other operator", lambda n: setattr(n, "op", SWAPPED[type(n.op)]())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "without the minus", lambda n: setattr(n, "op", ast.UAdd())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "without the not", lambda n: setattr(n, "operand", ast.UnaryOp(ast.Not(), n.operand))
    if isinstance(node, ast.Compare):
        if type(node.ops[0]) in BOUNDARY:
            yield "boundary", lambda n: setattr(n, "ops", [BOUNDARY[type(n.ops[0])](), *n.ops[1:]])
        if type(node.ops[0]) in OPPOSITE:
            yield "opposite", lambda n: setattr(n, "ops", [OPPOSITE[type(n.ops[0])](), *n.ops[1:]])
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("min", "max"):
        yield "min for max", lambda n: setattr(n.func, "id", "max" if n.func.id == "min" else "min")
    if isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool) and abs(node.value) <= 2:
        yield "plus one", lambda n: setattr(n, "value", n.value + 1)
    if isinstance(node, ast.BoolOp):
        yield "and for or", lambda n: setattr(n, "op", ast.And() if isinstance(n.op, ast.Or) else ast.Or())
