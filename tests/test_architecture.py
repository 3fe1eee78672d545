"""The import table of docs/architecture.md, held: who may import whom, and what `import stackopt` may load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "stackopt"

#: Layer of each top-level part of the package. A part may import its own layer's files and those below.
LAYERS = {
    "codes": 0, "errors": 0, "display": 0, "certificate": 0, "solution": 0,
    "bounds": 1,
    "programs": 2, "games": 2,
    "backends": 3, "bilevel": 3,
    "reformulations": 4, "proof": 4,
    "exact": 5, "learning": 5,
    "solving": 6,
    "comparison": 7, "verification": 7, "catalog": 7, "networks": 7,
    "energy": 8, "plot": 8, "plot_response": 8, "plot_population": 8,
    "cli_terminal": 8,
    "cli": 8, "cli_bilevel": 8, "cli_proof": 8, "cli_population": 8, "cli_tariff": 8, "cli_tariff_end": 8, "cli_tariff_learn": 8, "cli_tariff_sweep": 8,
    "doctor": 8, "testing": 8, "__main__": 9, "__init__": 9,
}  # fmt: skip
#: Same layer, but apart: they meet only in `comparison`.
STRANGERS = {("exact", "learning"), ("learning", "exact"), ("programs", "games"), ("games", "programs"), ("bilevel", "games")}
#: Late imports of what stands above: `solve(problem)` without a method uses Exact, `solution.plot()` draws.
UPWARDS = {("solving", "exact"), ("solution", "plot")}
#: `learning` stands at layer 5 but sees only layer 2: a learner knows nothing of programs and solvers.
ONLY = {
    "learning": {"learning", "games", "bounds", "codes", "errors", "display", "certificate", "solution"},
    "backends": {"backends", "programs", "codes", "errors", "display", "certificate", "solution"},
}
#: Imported inside the function that needs them, never at the top of a file.
LATE = {"highspy", "pandas", "matplotlib", "jinja2", "typer", "rich", "pyomo", "cvxpy", "networkx", "pyarrow", "scipy", "numba", "pyscipopt", "clarabel"}
#: The exceptions: the CLI is loaded only to be run, the progress bar only when there is a terminal, compiled loops only when they are asked for.
MAY_IMPORT_EARLY = {"cli.py", "cli_terminal.py", "cli_population.py", "cli_tariff.py", "cli_tariff_end.py", "cli_tariff_learn.py", "cli_tariff_sweep.py",
                    "__main__.py", "chunked_numba.py", "compiling.py"}  # fmt: skip

FILES = sorted(PACKAGE.rglob("*.py"))


def part(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported_modules(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found += [f"{node.module}.{alias.name}" if node.module == "stackopt" else str(node.module) for alias in node.names]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_follow_the_layers(path):
    here = part(path)
    assert here in LAYERS, f"{here} is not in the table of layers"
    for module in imported_modules(ast.parse(path.read_text())):
        if not module.startswith("stackopt."):
            continue
        there = module.split(".")[1]
        if there not in LAYERS or here in ("__init__", "__main__"):
            continue
        if (here, there) in UPWARDS:
            continue
        assert LAYERS[there] <= LAYERS[here], f"{here} (layer {LAYERS[here]}) imports {there} (layer {LAYERS[there]})"
        assert (here, there) not in STRANGERS, f"{here} and {there} never see each other"
        assert there in ONLY.get(here, LAYERS), f"{here} may not import {there}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_packages_are_imported_late(path):
    if path.name in MAY_IMPORT_EARLY:
        return
    tree = ast.parse(path.read_text())
    typing_only = [n for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) for n in node.body]
    at_top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom) and node not in typing_only]
    early = [module for node in at_top for module in imported_modules(node)]
    assert not {m.split(".")[0] for m in early} & LATE


def test_import_loads_nothing_heavy():
    code = "import sys, stackopt; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & (LATE | {"numpy"})


def test_no_module_state():
    """No global random generator and no default solver: nothing in the package calls numpy.random.seed or .random.*()."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "random":
                assert node.attr in ("default_rng", "Generator", "SeedSequence"), f"{path.name}: numpy.random.{node.attr}"


def test_files_hold_one_idea():
    long = {str(p.relative_to(PACKAGE)): n for p in FILES if (n := len(p.read_text().splitlines())) > 450}
    assert not long, f"a file that passes 450 lines usually holds two ideas: {long}"
