"""The second checker, asked about many proofs at once: ``stackopt/proof/second_checker/check.pl``, in Perl."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stackopt.proof import check

#: Written from the description of the format, in another language and another arithmetic.
CHECKER = Path(check.__file__).parent / "second_checker" / "check.pl"


def available() -> bool:
    """Whether there is a Perl to run it."""
    return shutil.which("perl") is not None


def opinions(cases: Sequence[tuple[str, str]]) -> list[str]:
    """What the second checker says of (problem, proof) texts, one sentence each.

    Raises
    ------
    RuntimeError
        If it does not answer for each.
    """
    with tempfile.TemporaryDirectory() as name:
        lines, written = [], dict[str, Path]()
        for k, (problem, proof) in enumerate(cases):
            if problem not in written:
                written[problem] = Path(name) / f"{k}.json"
                written[problem].write_text(problem, encoding="utf-8", newline="\n")
            path = Path(name) / f"{k}.txt"
            path.write_text(proof, encoding="utf-8", newline="\n")
            lines.append(f"{written[problem]}\t{path}\n")
        run = subprocess.run(["perl", str(CHECKER), "--batch"], input="".join(lines), capture_output=True, text=True, check=False)
    said = run.stdout.splitlines()
    if len(said) != len(cases) or run.stderr:
        raise RuntimeError(f"the second checker answered {len(said)} of {len(cases)}: {run.stderr[:300]}")
    return said


def agrees(first: str, second: str) -> bool:
    """Whether two checkers say the same: both reject, or both verify the same claim; widths may be rounded differently."""
    if first.startswith("REJECTED") or second.startswith("REJECTED"):
        return first.startswith("REJECTED") and second.startswith("REJECTED")
    plain = (re.sub(r", width [^ ]+", "", one) for one in (first, second))
    return len(set(plain)) == 1


def disagreements(cases: Sequence[tuple[str, str]], verdicts: Sequence[str]) -> list[str]:
    """Where the second checker says something else than the verdicts of the first."""
    return [f"case {k}: {first} / {second}" for k, (first, second) in enumerate(zip(verdicts, opinions(cases))) if not agrees(first, second)]
