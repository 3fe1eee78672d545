"""Write the pages that are made from the code: `python docs/generate.py`. A test holds them equal to the code."""

from pathlib import Path

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
        value = model.known.get("strong", model.known.get("value"))
        known = "-" if value is None else f"{value:.6g}"
        source = " ".join(str(model.source).split()).replace("|", "/")
        rows.append(f"| `{model.name}` | {model.title} | {model.kind} | {known} | {source} |")
    return MODELS + "\n".join(rows) + "\n"


if __name__ == "__main__":
    (Path(__file__).parent / "errors.md").write_text(errors())
    (Path(__file__).parent / "models.md").write_text(models())
