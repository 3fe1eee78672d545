"""Codes of transition kernels of mean-field games, of memory that would not fit, and of checkpoints."""

from __future__ import annotations

from stackopt.codes.code import ErrorCode

CODES: dict[str, ErrorCode] = {
    "kernel-axes": ErrorCode(
        "`{array}` must be {axes}; got {got}",
        "K types, T stages, S states, B actions; leading axes may be left out or have length 1 where nothing differs",
        "A kernel says where each action leads from each state. Its sizes are taken from its own arrays, so two arrays "
        "that disagree would describe two different state spaces.",
    ),
    "kernel-rows": ErrorCode(
        "every row of `{array}` must be a distribution",
        "rows are finite, non-negative and sum to 1 up to 1e-9",
        "Rows that lose mass describe a population that shrinks; then neither the mean field nor the value is that of the game.",
    ),
    "kernel-move": ErrorCode(
        "`move` must hold whole numbers from 0 to {last}, the index of the own part that an action leads to",
        "let an action that is impossible at a boundary stay where it is",
        "A negative index would silently be counted from the end.",
    ),
    "memory": ErrorCode(
        "{what} would need {need}; {available} are available",
        "use fewer types at a time, a `Factored` or `Sparse` kernel, or the chunked response `PeriodicResponse`",
        "The estimate is made before anything is allocated: an operating system that runs out of memory ends the process "
        "without an error that could be caught.",
    ),
    "checkpoint": ErrorCode(
        "the checkpoint {path} {why}",
        "give another path, or delete the file to begin again",
        "A run that goes on from a checkpoint must end with the numbers of a run that was never interrupted; so a file that "
        "does not hold the whole state of this very problem is refused instead of repaired.",
    ),
}
