"""`so.from_pyomo`: an ordinary Pyomo model whose followers are Blocks."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.bilevel.draft import Draft, Places
from stackopt.bilevel.from_pyomo_terms import Reader, silent
from stackopt.bilevel.multiplier_symbols import marked
from stackopt.display import number
from stackopt.errors import InvalidProgram, MissingPackage

if TYPE_CHECKING:
    from stackopt.bilevel.program import BilevelProgram, Sense, Ties

#: What a model may contain besides variables, objectives and constraints: none of it restricts a decision.
HARMLESS = {"Block", "Param", "Set", "RangeSet", "SetOf", "ContinuousSet", "Expression", "Suffix", "BuildAction", "BuildCheck", "ExternalFunction"}


def from_pyomo(model: Any, follower: Any, *, follower_decides: Any = (), ties: Ties = "optimistic") -> BilevelProgram:
    """The bilevel program of a Pyomo model whose follower is a Block.

    What is declared in the block (and in blocks inside it) is the follower's: its variables, one active Objective, its
    constraints. Everything else is the leader's. Objectives and constraints may use every variable of the model and must be
    polynomials of degree at most 2. Read with `pyomo.repn`: Params at their present values, Expressions expanded; a fixed variable
    is a constant; what is deactivated is ignored. Bounds and domains of a variable belong to whoever decides it.

    Parameters
    ----------
    model : pyomo ConcreteModel
        Stays as it is.
    follower : pyomo Block, or list of them
        An indexed Block is one follower per index. Several followers each take the others' decisions as given.
    follower_decides : list of pyomo Var; with several followers a list of such lists, optional
        Variables that are declared outside the block but decided by the follower.
    ties : str
        ``"optimistic"`` or ``"pessimistic"``.

    Returns
    -------
    BilevelProgram
        Variables and rows have their Pyomo names without the follower's block where that is unambiguous, full names otherwise. The
        leader's variables come first, each player's in the order of declaration. ``solution[m.toll]`` finds variables again, whole
        indexed ones as arrays in the order of their index set.

    Raises
    ------
    InvalidProgram
        If a block is not the model's, a player has not exactly one active Objective, a term is not polynomial of degree at most 2, a
        variable is not the model's, a value is missing, or a component cannot be read. The text names the component.
    MissingPackage
        If Pyomo is not installed.

    Examples
    --------
    >>> import pyomo.environ as pyo, stackopt as so
    >>> m = pyo.ConcreteModel(name="toll")
    >>> m.toll = pyo.Var(bounds=(0, 8))
    >>> m.follower = pyo.Block()
    >>> m.follower.flow = pyo.Var()
    >>> m.follower.cost = pyo.Objective(expr=-m.follower.flow)
    >>> m.follower.road = pyo.Constraint(expr=2 * m.follower.flow <= 7 * m.toll)
    >>> m.follower.room = pyo.Constraint(expr=m.follower.flow + m.toll <= 8)
    >>> m.cap = pyo.Constraint(expr=m.follower.flow <= 5)
    >>> m.cost = pyo.Objective(expr=3 * m.follower.flow + m.toll)
    >>> so.from_pyomo(m, follower=m.follower)
    BilevelProgram "toll": leader minimises, 1 follower minimises
      leader    min toll + 3 flow    decides toll in [0, 8], 1 row
      follower  min -flow    decides flow, 2 rows, LP
      concept   optimistic (ties go to the leader)
      size      2 variables, 3 rows
      from      Pyomo model "toll", block "follower"
    """
    pyo = _pyomo()
    _check_model(pyo, model)
    blocks = _blocks(pyo, model, follower)
    claimed = _claimed(pyo, follower_decides, blocks)
    draft = Draft([block.name for block in blocks])
    reader = Reader(draft, model, blocks, claimed)
    with silent():
        for var in _declared(pyo, model, claimed):
            if not var.fixed and marked(var) is None:
                reader.variable(var)
        for k, home in enumerate((model, *blocks), -1):
            mine = list(_of(pyo.Objective, home, blocks if k < 0 else ()))
            if len(mine) != 1:
                raise _objectives(pyo, draft, home, k, mine)
            sense: Sense = "min" if mine[0].sense == pyo.minimize else "max"
            draft.objective(k, sense, reader.polynomial(mine[0].expr, f"objective `{mine[0].name}`"))
            for row in _of(pyo.Constraint, home, blocks if k < 0 else ()):
                reader.row(row, k)
        reader.check_multipliers()
    name = model.name if model.name and model.name != "unknown" else "program"
    titles = ", ".join(f'"{block.name}"' for block in blocks) if len(blocks) < 4 else f"{len(blocks)} of them"
    source = f'Pyomo model "{name}", block{"s" * (len(blocks) > 1)} {titles}{_constants(reader)}'
    return draft.program(ties=ties, name=name, source=source, origin=lambda places: PyomoOrigin(model, reader, places))


class PyomoOrigin:
    """Finds a model's variables and constraints again, by their names; a pickled copy needs no model.

    Parameters
    ----------
    model : pyomo ConcreteModel
    reader : Reader
    places : Places
    """

    def __init__(self, model: Any, reader: Reader, places: Places) -> None:
        self._model: Any = model  # alive, so that a variable of another model with the same names is told apart
        self._fixed = {var.name: number(value) for var, value in reader.fixed.values()}
        self._symbol = {name: places.symbol[key] for key, name in reader.names.items() if key in places.symbol}
        self._row = {name: places.row[key] for key, name in reader.names.items() if key in places.row}
        self._dual = {reader.names[of]: place for of, place in places.multiplier.items()}

    def find(self, key: Any) -> Any:
        """Place of a Var among the symbols; an int array [size of the index set] for an indexed one; None if it is not here.

        Raises
        ------
        InvalidProgram
            If the variable was fixed when the model was read.
        """
        if not hasattr(key, "ctype") or not hasattr(key, "is_indexed"):
            return None
        if key.is_indexed():
            found = [self.find(key[index]) for index in key]
            return None if None in found or not found else np.array(found, np.int64)
        of = marked(key)
        if of is not None:
            return self._dual.get(of.name) if self._mine(of) else None
        if not self._mine(key):
            return None
        if key.name in self._fixed:
            where = f"it was fixed at {self._fixed[key.name]} when the model was read: a constant"
            raise InvalidProgram("unknown-variable", name=key.name, program=key.model().name, where=where, help=f"`value({key.name})`")
        return self._symbol.get(key.name)

    def row(self, key: Any) -> Any:
        """(follower, row) of a follower's Constraint, (follower, variable) of its Var, an object array [size of the index set] of such
        pairs for an indexed one; None for anything else."""
        if not hasattr(key, "ctype") or not self._mine(key):
            return None
        if not key.is_indexed():
            return self._row.get(key.name)
        found = np.empty(len(key), object)
        for place, index in enumerate(key):
            found[place] = self._row.get(key[index].name)
        return None if None in found.tolist() or not len(found) else found

    def _mine(self, key: Any) -> bool:
        return self._model is None or _within(key, self._model)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None}


def _pyomo() -> Any:
    try:
        return importlib.import_module("pyomo.environ")
    except ImportError:
        raise MissingPackage("package", feature="from_pyomo", package="pyomo") from None


def _check_model(pyo: Any, model: Any) -> None:
    if not isinstance(model, pyo.Block) or model.is_indexed():
        raise InvalidProgram("pyomo-model", where=f"got {type(model).__name__}")
    if not model.is_constructed():
        raise InvalidProgram("pyomo-model", where=f"`{model.name}` is abstract", help="model.create_instance(data) constructs it")
    odd = {kind.__name__ for kind in model.collect_ctypes(active=True, descend_into=True)} - HARMLESS - {"Var", "Objective", "Constraint"}
    for component in model.component_objects(active=True, descend_into=True):
        if component.ctype.__name__ in odd and len(component):
            where = f"`{component.name}` is a {component.ctype.__name__}"
            raise InvalidProgram("unread-component", where=where, help="transform it into constraints first, or deactivate it")


def _blocks(pyo: Any, model: Any, follower: Any) -> tuple[Any, ...]:
    """The followers' blocks, indexed ones one by one."""
    given = list(follower) if isinstance(follower, list | tuple) else [follower]
    found = []
    for block in given:
        if getattr(block, "ctype", None) is not pyo.Block:
            raise InvalidProgram("follower-block", where=f"got {type(block).__name__} {str(block)[:60]!r}")
        found += list(block.values()) if block.is_indexed() else [block]
    if not found:
        raise InvalidProgram("follower-block", where="got none")
    for block in found:
        if block is model:
            raise InvalidProgram("follower-block", where="the whole model was given: nothing is left for the leader")
        if not _within(block, model):
            raise InvalidProgram("follower-block", where=f"block `{block.name}` is not in model `{model.name}`")
        if not _active(block, model):
            raise InvalidProgram("follower-block", where=f"block `{block.name}` is deactivated", help=f"m.{block.name}.activate()")
        outer = [other for other in found if other is not block and _within(block, other)]
        if outer:
            raise InvalidProgram("follower-block", where=f"block `{block.name}` lies inside follower `{outer[0].name}`: that would be a third level")
    if len({id(block) for block in found}) < len(found):
        raise InvalidProgram("follower-block", where="a block is given twice")
    return tuple(found)


def _claimed(pyo: Any, follower_decides: Any, blocks: tuple[Any, ...]) -> dict[int, tuple[int, Any]]:
    """Variables that are given to a follower by hand: id to (follower, variable)."""
    lists = list(follower_decides) if isinstance(follower_decides, list | tuple) else [follower_decides]
    if len(blocks) == 1 and not any(isinstance(entry, list | tuple) for entry in lists):
        lists = [lists]
    if lists and len(lists) != len(blocks):
        where = f"`follower_decides` has {len(lists)} lists for {len(blocks)} followers"
        raise InvalidProgram("variable-owner", where=where, help="one list of variables per follower")
    claimed: dict[int, tuple[int, Any]] = {}
    for k, entries in enumerate(lists):
        for entry in entries:
            if getattr(entry, "ctype", None) is not pyo.Var:
                where = f"`follower_decides` has {type(entry).__name__} {str(entry)[:60]!r}"
                raise InvalidProgram("variable-owner", where=where, help="list variables of the model")
            for var in entry.values() if entry.is_indexed() else [entry]:
                other = claimed.get(id(var), (k, var))[0]
                home = next((j for j, block in enumerate(blocks) if _within(var, block)), k)
                if not other == home == k:
                    rival = blocks[home if home != k else other].name
                    raise InvalidProgram("variable-owner", where=f"`{var.name}` is claimed by follower `{blocks[k].name}` but is follower `{rival}`'s")
                claimed[id(var)] = (k, var)
    return claimed


def _declared(pyo: Any, model: Any, claimed: dict[int, tuple[int, Any]]) -> Iterator[Any]:
    """Every variable of the active model once, then those only listed by hand."""
    seen = set()
    for var in (*model.component_data_objects(pyo.Var, active=True, descend_into=True), *(var for _, var in claimed.values())):
        if id(var) not in seen:
            seen.add(id(var))
            yield var


def _of(kind: Any, home: Any, without: tuple[Any, ...]) -> Iterator[Any]:
    """Active objectives or constraints of a block, leaving out those of other players."""
    for data in home.component_data_objects(kind, active=True, descend_into=True):
        if not any(_within(data, block) for block in without):
            yield data


def _objectives(pyo: Any, draft: Draft, home: Any, k: int, mine: list[Any]) -> InvalidProgram:
    """The error for a player without an objective, or with several."""
    asleep = [o.name for o in home.component_data_objects(pyo.Objective, active=None, descend_into=True) if not o.active] if k >= 0 else []
    code, who, place = ("leader-objective", "the leader", "m") if k < 0 else ("follower-objective", f"block `{home.name}`", f"m.{home.name}")
    variables = draft.called(k)
    if mine:
        return InvalidProgram(code, where=f"{who} has {len(mine)}: {', '.join(o.name for o in mine)}", help=f"m.{mine[-1].name}.deactivate()")
    if asleep:
        return InvalidProgram(code, where=f"{who} has 0; `{asleep[0]}` is deactivated", help=f"m.{asleep[0]}.activate()")
    shown = ", ".join(variables[:5]) + (", ..." if len(variables) > 5 else "") or "none"
    example = f"{place}.{variables[0]}" if variables else f"{place}.x"
    return InvalidProgram(code, where=f"{who} has 0; its variables: {shown}", help=f"{place}.cost = pyo.Objective(expr={'-' * (k >= 0)}{example})")


def _constants(reader: Reader) -> str:
    """A note on the fixed variables that were met."""
    fixed = [f"{var.name} = {number(value)}" for var, value in reader.fixed.values()]
    if not fixed:
        return ""
    shown = ", ".join(fixed[:3]) + (f" and {len(fixed) - 3} more" if len(fixed) > 3 else "")
    return f"; fixed, so constant: {shown}"


def _within(component: Any, block: Any) -> bool:
    """Whether a component lies in a block, or is it."""
    while component is not None:
        if component is block:
            return True
        component = component.parent_block()
    return False


def _active(block: Any, model: Any) -> bool:
    while block is not None and block is not model:
        if not block.active:
            return False
        block = block.parent_block()
    return True

