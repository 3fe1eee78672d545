"""Every snippet of the README and the docs runs, and prints what the page says.

A page's ``python`` blocks run in order in one namespace. A ``text`` block right after one is what it prints; ``...`` stands for
anything (figures of time and work). A ``console`` block is run line by line: ``$ stackopt ...``.
"""

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks(page):
    return [(m.group(1), m.group(2)) for m in BLOCK.finditer(page.read_text())]


def assert_prints(expected, printed, page):
    checker = doctest.OutputChecker()
    example = doctest.Example("", expected)
    assert checker.check_output(expected, printed, FLAGS), f"{page.name}:\n" + checker.output_difference(example, printed, FLAGS)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_python_snippets(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    printed = None
    for kind, text in blocks(page):
        if kind == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(text, str(page), "exec"), namespace)
            printed = out.getvalue()
        elif kind == "text" and printed is not None:
            assert_prints(text, printed, page)
            printed = None
        else:
            printed = None


def console_lines():
    for page in PAGES:
        for kind, text in blocks(page):
            if kind == "console":
                for line in text.splitlines():
                    if line.startswith("$ stackopt "):
                        yield pytest.param(line[2:], id=f"{page.name}: {line[2:]}")


@pytest.mark.parametrize("line", list(console_lines()))
def test_console_lines(line, tmp_path):
    """The command exists and ends well; long ones are shortened by their own flags on the page."""
    words = shlex.split(line, comments=True)
    code = "import sys; from stackopt.cli import main; sys.argv[0] = 'stackopt'; main()"
    command = [sys.executable, "-c", code, *words[1:]]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, env={**os.environ, "COLUMNS": "100"}, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_pages_link_to_what_exists():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s,]+\.\w+)(?:#[^)]*)?\)", page.read_text()):
            if not re.match(r"[a-z]+:", target):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_nothing_local_in_the_docs():
    for page in PAGES:
        assert not re.search(r"/(work|home|root|tmp)/", page.read_text()), page.name


def test_generated_pages_are_current():
    namespace = {"__name__": "generate", "__file__": str(ROOT / "docs" / "generate.py")}
    exec((ROOT / "docs" / "generate.py").read_text(), namespace)
    for page in ("errors", "models", "bounds"):
        assert (ROOT / "docs" / f"{page}.md").read_text() == namespace[page](), "run: python docs/generate.py"


def test_every_bound_says_when_it_is_loose():
    page = (ROOT / "docs" / "bounds.md").read_text()
    entries = page.split("\n### ")[1:]
    assert len(entries) > 40
    for entry in entries:
        assert "* Assumes: " in entry, entry
        assert re.search(r"Loose|loose|Sharp|sharp|attained|vacuous|Tight", entry), entry
