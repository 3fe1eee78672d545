"""Faults around a proof: the process is killed or interrupted, the disk is full, memory or time runs out, bytes change.

Whatever happens, a proof's file is whole or not there, and no word is said that the checker does not bear out.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stackopt.bilevel.json_file import from_record
from stackopt.errors import InvalidOutput
from stackopt.exact.exact import Exact
from stackopt.proof import check
from stackopt.proof.proof import Proof
from stackopt.solving import solve
from stackopt.verification.proof_enumeration import Optimum
from stackopt.verification.proof_mutants import claims_truth

#: What a forked process reports by its exit code.
SAID = {0: "saved", 3: "no proof, said so", 4: "refused to write", 5: "out of memory", 6: "interrupted"}


def program_of(text: str) -> Any:
    """The program of a JSON text."""
    return from_record(json.loads(text), Path("instance"))


def apart(work: Callable[[], int], ended: Callable[[int], None] = lambda pid: None) -> str:
    """How `work` ends in a forked process to which `ended` does something: what `SAID` says, or the signal."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 9
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background inherits that it is ignored
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            code = work()
        except KeyboardInterrupt:
            code = 6
        except MemoryError:
            code = 5
        except InvalidOutput:
            code = 4
        finally:
            os._exit(code)
    ended(pid)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return f"ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return SAID.get(os.WEXITSTATUS(status), "an exception")


def solves_and_saves(text: str, path: Path, *, time_limit: float = 20.0, again: float = 0.0) -> Callable[[], int]:
    """Work for `apart`: solve, prove, save; and save again and again for so many seconds, to be interrupted while writing."""

    def work() -> int:
        solution = solve(program_of(text), Exact(proof=True, time_limit=time_limit))
        if solution.proof is None:
            return 3 if solution.status != "PROVED" else 9
        solution.proof.save(path)
        begun = time.perf_counter()
        while time.perf_counter() < begun + again:
            solution.proof.save(path)
        return 0

    return work


def left(text: str, truth: Optimum, path: Path) -> str:
    """What a file holds: ``no file``, ``whole and true``, ``HALF`` or ``FALSE``."""
    if not path.exists():
        return "no file"
    try:
        found = check.check(text, path.read_text(encoding="utf-8"))
    except Exception:
        return "HALF"
    return "whole and true" if claims_truth(found, truth) else "FALSE"


def signalled(text: str, truth: Optimum, folder: Path, which: signal.Signals, instants: int, rng: np.random.Generator) -> Counter[str]:
    """A signal at random instants of solving, proving and saving; half of them while the file is written over and over."""
    table = Counter[str]()
    begun = time.perf_counter()
    apart(solves_and_saves(text, folder / "measured"))
    whole = time.perf_counter() - begun
    for k in range(instants):
        path = folder / f"{which.name}-{k}"
        again = 10.0 * (k % 2)
        pause = float(rng.random()) * whole * (3.0 if again else 1.1)

        def ended(pid: int, pause: float = pause) -> None:
            time.sleep(pause)
            os.kill(pid, which)

        how = apart(solves_and_saves(text, path, again=again), ended)
        table[f"{how}, {left(text, truth, path)}"] += 1
        for part in folder.glob(f".{path.name}*"):
            part.unlink()
    return table


def limited_memory(text: str, truth: Optimum, folder: Path, steps: int) -> Counter[str]:
    """Address space limited to a little more than what is in use, in steps from nothing to 64 MB."""
    import resource  # not on every system

    table = Counter[str]()
    for k in range(steps):
        path = folder / f"memory-{k}"
        extra = int(64e6 * k / max(steps - 1, 1))

        def work(extra: int = extra, path: Path = path) -> int:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + extra, used + extra))
            hoard = list[bytes]()
            for size in (1 << 20, 1 << 16, 1 << 12) if extra == 0 else ():  # what the process had free is taken as well
                with contextlib.suppress(MemoryError):
                    while True:
                        hoard.append(bytes(size))
            return solves_and_saves(text, path)()

        table[f"{apart(work)}, {left(text, truth, path)}"] += 1
    return table


def full_disk(text: str, truth: Optimum, folder: Path, proof: Proof) -> Counter[str]:
    """Files limited to fewer bytes than the proof has; and a device that is always full."""
    import resource

    table = Counter[str]()
    size = len(proof.text.encode())
    for limit in sorted({0, 1, size // 2, size - 1}):
        path = folder / f"full-{limit}"

        def work(limit: int = limit, path: Path = path) -> int:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            proof.save(path)
            return 0

        table[f"{apart(work)}, {left(text, truth, path)}"] += 1
    return table


def no_time(text: str, truth: Optimum, folder: Path, limits: tuple[float, ...] = (0.0, 1e-4, 1e-3, 1e-2, 0.1, 1.0)) -> Counter[str]:
    """Time limits from nothing on."""
    table = Counter[str]()
    for limit in limits:
        path = folder / f"time-{limit}"
        table[f"{apart(solves_and_saves(text, path, time_limit=limit))}, {left(text, truth, path)}"] += 1
    return table


def flipped_bytes(text: str, proof: str, truth: Optimum, rng: np.random.Generator) -> Iterator[str]:
    """One bit of every byte of the proof, and then of the problem, turned: ``rejected``, ``same claim``, ``true claim`` or ``FALSE``."""
    original = check.statement(check.check(text, proof))
    for which, data in (("proof", proof.encode()), ("problem", text.encode())):
        for at in range(len(data)):
            changed = bytearray(data)
            changed[at] ^= 1 << int(rng.integers(8))
            try:
                other = bytes(changed).decode("utf-8")
                found = check.check(text, other) if which == "proof" else check.check(other, proof)
                said = check.statement(found)
            except RecursionError:
                raise
            except Exception:
                yield "rejected"
                continue
            yield "same claim" if said == original else "true claim" if which == "proof" and claims_truth(found, truth) else "FALSE"
