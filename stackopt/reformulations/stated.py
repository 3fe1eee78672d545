"""What every restatement as one program offers: files for other solvers, and models to edit in Pyomo or CVXPY."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stackopt.errors import InvalidOutput
from stackopt.programs.quadratic import QuadraticProgram


class Stated:
    """Holds a `target` program and hands it out."""

    target: QuadraticProgram

    def write(self, path: str | Path) -> Path:
        """Write `target` to a file that solvers read, LP or MPS by its ending.

        Raises
        ------
        InvalidOutput
            If the ending is neither, or the file cannot be written.
        """
        path = Path(path)
        if path.suffix not in (".lp", ".mps"):
            raise InvalidOutput("output", path=path, where=f"its ending is {path.suffix!r}", help="the name ends in .lp or .mps")
        text = self.target.lp() if path.suffix == ".lp" else self.target.mps()
        beside = path.with_name(f".{path.name}.writing")
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise InvalidOutput("output", path=path, where=str(error.strerror or error)) from None
        return path

    def pyomo(self) -> Any:
        """`target` as a Pyomo model; see `stackopt.backends.pyomo_solver.pyomo_model`."""
        from stackopt.backends.pyomo_solver import pyomo_model

        return pyomo_model(self.target)

    def cvxpy(self) -> Any:
        """`target` as a CVXPY problem, where CVXPY can state it; see `stackopt.backends.cvxpy_model.cvxpy_problem`."""
        from stackopt.backends.cvxpy_model import cvxpy_problem

        return cvxpy_problem(self.target)
