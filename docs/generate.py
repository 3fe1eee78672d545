"""Write the pages that are made from the code: `python docs/generate.py`. A test holds them equal to the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import stackopt.bounds
from stackopt import catalog
from stackopt.codes import CODES

HEADER = """# Error index

Made from `stackopt.codes` by `python docs/generate.py`. Every error prints the law that was broken, the first
witness, the remedy, and the name of its section here. Braces stand for figures of the case at hand.
"""


def errors() -> str:
    """The error index: one section per code."""
    sections = [f"## {code}\n\n**{entry.law}**\n\n{entry.explanation}\n\n*Remedy:* {entry.help}.\n" for code, entry in sorted(CODES.items())]
    return "\n".join([HEADER, *sections])


MODELS = """# Models

Made from the files in `models/` by `python docs/generate.py`. `stackopt models NAME` prints the algebra and every figure with its source;
the tests build each model, solve it, and compare with what is known.

| model | what | kind | known value (leader) | source |
| --- | --- | --- | --- | --- |
"""


def models() -> str:
    """One row per model of the catalogue."""
    rows = []
    for model in catalog.models().values():
        value = next((model.known[key] for key in ("strong", "value", "leader_value") if key in model.known), None)
        known = "-" if value is None else f"{value:.6g}"
        source = " ".join(str(model.source).split()).replace("|", "/")
        rows.append(f"| `{model.name}` | {model.title} | {model.kind} | {known} | {source} |")
    return MODELS + "\n".join(rows) + "\n"


BOUNDS = r"""# Bounds

Made from `stackopt/bounds` by `python docs/generate.py`, but for this introduction. What is proved about an approximate answer, when it
applies, and when it is loose. `game.examinations(candidate)` measures each quantity on one candidate and holds it against its bound;
`stackopt verify` does so on random games and prints how tight each was, `stackopt verify --plot FILE` draws predicted against measured.
On 10,000 games (seed 0, eleven minutes of one core) 465,796 of 495,902 checks applied and none was violated.
Tags refer to [theory](theory.md).

Three cautions that the package holds you to:

* **Regrets say nothing about commitment.** In the game of theory A.5 both regrets are zero at a fixed point whose value is 1.5 below the best commitment.
* **Contraction can be certified and worthless.** At the temperature from which q < 1 the guaranteed regret may exceed the trivial bound (B4.5). Both
  numbers are reported.
* **No rate in τ holds for every game** (B7.4): rates need the instance's own gaps.

```python
import stackopt as so

game = so.catalog.build("commitment_2x2")
learned = so.solve(game, so.SoftmaxPolicyIteration(0.1))
for e in game.examinations(learned.candidate):
    if e.bound.applies and e.bound.sense == "upper" and e.bound.reference in ("B1.1", "B2.1"):
        print(f"{e.bound.reference}  {e.bound.of}: measured {e.measured:.6f}, at most {e.bound.value:.6f}")
```

```text
B1.1  distance of the softmax to the best actions: measured 0.051317, at most 0.051317
B2.1  follower's loss: measured 0.009332, at most 0.069315
```
"""


def bounds() -> str:
    """One section per module of `stackopt.bounds`, one entry per function that proves something."""
    sections = [BOUNDS]
    for path in sorted(Path(stackopt.bounds.__path__[0]).glob("*.py")):
        entries = list(_proved(path))
        if entries:
            title = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n", maxsplit=1)[0]
            sections.append(f"## {_markdown(title.rstrip('.'))}\n\n" + "\n".join(entries))
    return "\n".join(sections)


def _proved(path: Path) -> Iterator[str]:
    """The entries of one module, in its order: statement, what it assumes, when it is loose."""
    tree = ast.parse(path.read_text())
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for name, node in functions.items():
        returned = ast.unparse(node.returns) if node.returns else ""
        paragraphs = (ast.get_docstring(node) or "").split("\n\n")
        tags = re.findall(r"\[([A-Z]\d+(?:\.\d+)?(?:, [A-Z]\d+(?:\.\d+)?)*)\]", paragraphs[0])
        if name.startswith("_") or not tags or not re.search(r"Bound|Local", returned):
            continue
        loose = [s for s in _sentences(ast.get_docstring(node) or "") if LOOSE.search(s)]
        statement = " ".join(s for s in _sentences(paragraphs[0]) if s not in loose)
        assumed = list(dict.fromkeys(_assumed(node, functions)))
        yield f"### {path.stem}.{name} [{tags[0]}]\n\n{_markdown(statement)}\n"
        yield f"* Assumes: {'; '.join(assumed) if assumed else 'nothing that could fail'}."
        yield "* " + " ".join(_markdown(s) for s in loose) + "\n" if loose else ""


def _sentences(text: str) -> list[str]:
    """The sentences of a docstring's prose, without the headings of its sections."""
    return re.split(r"(?<=\.)\s+", " ".join(re.sub(r"^\w+\n-+$", "", text, flags=re.M).split()))


LOOSE = re.compile(r"\b(Loose|loose|Sharp|sharp|attained|vacuous|Tight)\b")


def _assumed(node: ast.AST, functions: dict[str, ast.FunctionDef], given: dict[str, str] | None = None) -> Iterator[str]:
    """The hypotheses written in a function, and in those of its module that it calls; `given` are texts passed to it."""
    for call in (c for c in ast.walk(node) if isinstance(c, ast.Call)):
        called = call.func.id if isinstance(call.func, ast.Name) else call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if called == "Assumption":
            yield _worded(call.args[0], given or {})
        elif called == "same_discount":
            yield "both players discount alike"
        elif called in functions and functions[called] is not node:
            names = [a.arg for a in functions[called].args.args]
            texts = {name: _worded(arg, {}) for name, arg in zip(names, call.args) if isinstance(arg, ast.Constant)}
            yield from _assumed(functions[called], functions, texts)


def _worded(text: ast.expr, given: dict[str, str]) -> str:
    """A string as it stands; what is filled in by its text if that is known, else by its name."""
    if isinstance(text, ast.JoinedStr):
        return "".join(_worded(v.value if isinstance(v, ast.FormattedValue) else v, given) for v in text.values)
    if isinstance(text, ast.Constant):
        return str(text.value)
    name = ast.unparse(text)
    return given.get(name, f"`{name}`")


def _markdown(text: str) -> str:
    """Mathematics and names of a docstring as Markdown."""
    text = re.sub(r":math:`(.+?)`", lambda m: f"${m.group(1)}$", text)
    return text.replace("``", "`")


if __name__ == "__main__":
    (Path(__file__).parent / "bounds.md").write_text(bounds())
    (Path(__file__).parent / "errors.md").write_text(errors())
    (Path(__file__).parent / "models.md").write_text(models())
