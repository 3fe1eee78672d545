"""Write the pages that are made from the code: `python docs/generate.py`. A test holds them equal to the code."""

from pathlib import Path

from stackopt.errors import CODES

HEADER = """# Error index

Made from `stackopt.errors.CODES` by `python docs/generate.py`. Every error prints the law that was broken, the first
witness, the remedy, and the name of its section here. Braces stand for figures of the case at hand.
"""


def errors() -> str:
    """The error index: one section per code."""
    sections = [f"## {code}\n\n**{entry.law}**\n\n{entry.explanation}\n\n*Remedy:* {entry.help}.\n" for code, entry in sorted(CODES.items())]
    return "\n".join([HEADER, *sections])


if __name__ == "__main__":
    (Path(__file__).parent / "errors.md").write_text(errors())
