"""Progress is drawn only when somebody watches, late, seldom, and never on standard output."""

import io
import sys

from stackopt import Progress
from stackopt.comparison import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_wanted_on_a_terminal_or_in_a_notebook(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not progress.wanted()
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert progress.wanted()
    monkeypatch.setattr(sys, "stderr", None)  # pythonw
    assert not progress.wanted()
    monkeypatch.setitem(sys.modules, "ipykernel", object())
    assert progress.wanted()


def test_short_work_draws_nothing(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress.Bar("cells") as bar:
        for done in range(50):
            bar(Progress("cells", done, 50))
    assert terminal.getvalue() == ""


def test_long_work_draws_count_stage_and_residual(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "PATIENCE", 0.01)
    with progress.Bar("cells") as bar:
        bar(Progress("cells 2 cached  toll: softmax tau=0.02", 3, 6))
        bar(Progress("ascent", 17, None, 1.1e-4))
        bar._patience.join(10)
    assert "3/6" in terminal.getvalue()
    assert "2 cached" in terminal.getvalue()
    assert "residual 1.1e-04" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_a_step_without_a_residual_shows_its_number(monkeypatch):
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "PATIENCE", 0.01)
    with progress.Bar("cells") as bar:
        bar(Progress("search", 17))
        bar._patience.join(10)
    assert "step 17" in terminal.getvalue()
