"""The catalogue: named games that ship with the package, found by being there.

A file ``models/NAME.py`` is a model when it has a docstring (first line: title), a function `build` with keyword parameters
and a dictionary `KNOWN` of known answers. Adding the file is all there is to do. In a checkout the folders `models` and
`data` lie beside the package, in an installed wheel inside it; this file is the one place that knows.
"""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from stackopt.bilevel.recorded import Case, read_case
from stackopt.display import Block, number
from stackopt.errors import InvalidMethod, UnknownModel
from stackopt.games.recorded import Recorded, read_game

#: The attribute of the package under which the files of models and data are found, in a wheel or in a checkout.
_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """Where `models` or `data` lies: inside the installed package, or beside it in a checkout.

    Parameters
    ----------
    name : str
        ``"models"`` or ``"data"``.

    Raises
    ------
    UnknownModel
        If the installation has no such folder.
    """
    for place in (_PACKAGE / name, _PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise UnknownModel("model-file", path=_PACKAGE / name, where="the folder does not exist", help="install stackopt again; its wheel holds the folder")


def data_file(*parts: str) -> Path:
    """The path of a data file that ships with the package, e.g. ``data_file("energy", "battery_and_pv.csv")``."""
    return folder("data").joinpath(*parts)


@dataclass(frozen=True)
class Model:
    """One entry of the catalogue.

    Attributes
    ----------
    name, title : str
        The file's name and the first line of its docstring.
    source : str
        Where the model comes from: the paragraph of the docstring that starts with ``Source:``.
    kind : str
        The class of the problem it builds.
    parameters : mapping of str to object
        Names and defaults of what `build` takes.
    known : mapping of str to object
        Known answers: of games ``strong`` and ``weak`` commitment values where known, of bilevel programs ``value``, of mean-field
        games ``equilibrium_value`` and ``leader_value``;
        ``tolerance`` (absolute), ``reference`` (how they were obtained).
    assumptions : tuple of (item, value, unit, source, status)
        Figures that are not from a source that was read, and those that are; empty for textbook games.
    text : str
        The whole docstring: the algebra.
    unit : str
        Of the players' values; empty for games without one.
    """

    name: str
    title: str
    source: str
    kind: str
    parameters: Mapping[str, Any]
    known: Mapping[str, Any]
    assumptions: tuple[tuple[str, str, str, str, str], ...] = ()
    text: str = ""
    unit: str = ""

    def block(self) -> Block:
        """The printed form: title, parameters, known answers, then every figure with its source and status."""
        rows = [("kind", self.kind), ("source", self.source)]
        rows += [("parameters" if i == 0 else "", f"{key} = {value!r}") for i, (key, value) in enumerate(self.parameters.items())]
        rows += [("known" if i == 0 else "", f"{key}: {_shown(value)}") for i, (key, value) in enumerate(self.known.items())]
        for i, (item, value, unit, source, status) in enumerate(self.assumptions):
            figure = " ".join(part for part in (value, unit) if part)
            rows.append(("figures" if i == 0 else "", " ".join(part for part in (f"[{status}] {item}" + (":" if figure else ""), figure, source) if part)))
        return Block(f"Model {self.name}: {self.title}", tuple(rows))

    def __str__(self) -> str:
        return self.block().text()

    def _repr_html_(self) -> str:
        return self.block().html()


def _shown(value: Any) -> str:
    return number(value, 10) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def recorded(name: str) -> Recorded:
    """The recorded game ``data/games/NAME.json`` that ships with the package."""
    return read_game(data_file("games", f"{name}.json"))


def case(name: str) -> Case:
    """The recorded bilevel program ``data/bilevel/NAME.json`` that ships with the package.

    Raises
    ------
    UnknownModel
        If there is none of that name.

    Examples
    --------
    >>> from stackopt import catalog
    >>> toll = catalog.case("bjm_jump_03_dempe_ch3_2")
    >>> toll.kind, round(toll.value, 6)
    ('LP-LP', 6.133333)
    """
    known = cases()
    if name not in known:
        close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
        raise UnknownModel("case", name=name, where=f"did you mean {close[0]!r}?" if close else f"there are {len(known)}, such as {known[0]!r}")
    return read_case(data_file("bilevel", f"{name}.json"))


def cases() -> list[str]:
    """The names of all recorded bilevel programs, sorted; no file is read."""
    return sorted(path.stem for path in data_file("bilevel").glob("*.json"))


def names() -> list[str]:
    """The names of all models, sorted; no model file is run."""
    return sorted(path.stem for path in folder("models").glob("*.py") if not path.stem.startswith("_"))


def models() -> dict[str, Model]:
    """All models by name.

    Raises
    ------
    UnknownModel
        If a file in the folder cannot be loaded or is not a model; the error names it.
    """
    return {name: model(name) for name in names()}


def model(name: str) -> Model:
    """The entry `name`; raises UnknownModel with the nearest name."""
    module = _load(name)
    text = inspect.cleandoc(module.__doc__ or "")
    paragraphs = [" ".join(p.split()) for p in text.split("\n\n")]
    source = next((p.removeprefix("Source:").strip() for p in paragraphs if p.startswith("Source:")), "")
    return Model(
        name=name,
        title=paragraphs[0].rstrip("."),
        source=source,
        kind=str(inspect.get_annotations(module.build, eval_str=True)["return"].__name__),
        parameters=_parameters(module),
        known=dict(module.KNOWN),
        assumptions=tuple(getattr(module, "ASSUMPTIONS", ())),
        text=text,
        unit=getattr(module, "UNIT", ""),
    )


def build(name: str, **parameters: Any) -> Any:
    """Build the model `name` with some of its parameters changed.

    Parameters
    ----------
    name : str
        One of `names()`.
    **parameters : object
        Keyword parameters of the model's `build`. A value must be of the kind of the default: a number for a number
        (a whole one for a whole one), a sequence for a sequence.

    Returns
    -------
    Problem
        A `StackelbergGame`, `BayesianGame`, `SecurityGame`, `MeanFieldStackelbergGame` or `BilevelProgram`.

    Raises
    ------
    UnknownModel
        If there is no such model or its file is broken.
    InvalidMethod
        If there is no such parameter, or its value is of another kind or outside its range.

    Examples
    --------
    >>> from stackopt import catalog
    >>> catalog.build("commitment_2x2").shape
    (1, 2, 2)
    """
    module = _load(name)
    defaults = _parameters(module)
    for key, value in parameters.items():
        if key not in defaults:
            close = difflib.get_close_matches(key, defaults, n=1)
            where = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(defaults) or 'none'}"
            raise InvalidMethod("model-parameter", where=where, name=key, model=name)
        parameters[key] = _converted(name, key, value, defaults[key])
    return module.build(**parameters)


def module(name: str) -> ModuleType:
    """The model file itself, for what it offers besides `build`, e.g. ``module("battery").population(types=1000)``.

    Raises
    ------
    UnknownModel
        With the nearest name.
    """
    return _load(name)


def require(model: str, name: str, value: Any, holds: bool, law: str) -> None:
    """For model files: raise InvalidMethod[model-value] unless the parameter's value `holds` the law."""
    if not holds:
        raise InvalidMethod("model-value", name=name, model=model, law=law, got=repr(value))


def _parameters(module: ModuleType) -> dict[str, Any]:
    return {key: p.default for key, p in inspect.signature(module.build).parameters.items()}


def _converted(model: str, name: str, value: Any, default: Any) -> Any:
    """`value` in the type of the parameter's default, or an error that says what is wanted."""

    def wanted(law: str) -> InvalidMethod:
        return InvalidMethod("model-value", name=name, model=model, law=law, got=repr(value))

    if default is None or value is None:
        return value
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise wanted("true or false")
        return value
    if isinstance(default, int | float):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise wanted("a finite number")
        if isinstance(default, int):
            if value != int(value):
                raise wanted("a whole number")
            return int(value)
        return float(value)
    if isinstance(default, str):
        if not isinstance(value, str):
            raise wanted("a text")
        return value
    if isinstance(default, tuple):
        if isinstance(value, str) or not hasattr(value, "__iter__"):
            raise wanted("a sequence")
        return tuple(_converted(model, name, entry, default[0]) if default else entry for entry in value)
    return value


def _load(name: str) -> ModuleType:
    """Run one model file and hold it to what a model is."""
    known = names()
    if name not in known:
        close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
        raise UnknownModel("model", name=name, where=f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}")
    path = folder("models") / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"stackopt_models.{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks up the names of its module there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[spec.name]
        raise UnknownModel("model-file", path=path, where=f"{type(error).__name__}: {error}") from error
    build_: Callable[..., Any] | None = getattr(module, "build", None)
    missing = [what for what, there in (("docstring", module.__doc__), ("build", callable(build_)), ("KNOWN", hasattr(module, "KNOWN"))) if not there]
    if missing:
        raise UnknownModel("model-file", path=path, where=f"it has no {' and no '.join(missing)}")
    open_ended = [key for key, p in inspect.signature(module.build).parameters.items() if p.default is inspect.Parameter.empty]
    if open_ended:
        raise UnknownModel("model-file", path=path, where=f"parameter {open_ended[0]!r} of build has no default")
    if "return" not in module.build.__annotations__:
        raise UnknownModel("model-file", path=path, where="build has no return annotation, which says what kind of problem it is")
    return module
