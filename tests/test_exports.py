"""Public names are listed, importable, documented; nothing else is public."""

import ast
import inspect
from pathlib import Path

import stackopt as so


def test_all_is_importable():
    for name in so.__all__:
        assert getattr(so, name) is not None


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(so.__file__).read_text())
    block = next(n for n in tree.body if isinstance(n, ast.If))
    declared = {alias.asname or alias.name for node in block.body for alias in node.names}
    assert declared == set(so.__all__) - {"__version__"}


def test_home_is_where_it_is_defined():
    for name, module in so._HOME.items():
        value = getattr(so, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__module__ == f"stackopt.{module}", name


def test_public_objects_are_documented():
    for name in so.__all__:
        value = getattr(so, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            doc = inspect.getdoc(value) or ""
            assert len(doc) > 20, name
            parameters = [p for p in inspect.signature(value).parameters.values() if p.name not in ("self", "args", "kwds")]
            if inspect.isfunction(value) and len(parameters) > 1:
                assert "Parameters" in doc, f"{name} needs a Parameters section"


def test_no_public_name_is_also_a_submodule():
    """Importing the submodule would bind it in place of the public object."""
    submodules = {p.stem for p in Path(so.__file__).parent.glob("*.py")} | {p.name for p in Path(so.__file__).parent.iterdir() if p.is_dir()}
    themselves = {name for name, module in so._HOME.items() if name == module}  # `stackopt.catalog` is meant to be the submodule
    assert not submodules & set(so.__all__) - themselves
