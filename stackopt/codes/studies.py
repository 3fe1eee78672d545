"""Codes of study files: settings, tables, named tariffs."""

from __future__ import annotations

from stackopt.codes.code import ErrorCode

CODES: dict[str, ErrorCode] = {
    "study-key": ErrorCode(
        "unknown key `{key}` in {place}",
        "{close}",
        "A key that is not understood would be ignored, and the study would run with the default instead of what was meant.",
    ),
    "study-file": ErrorCode(
        "a file of a study cannot be used: {law}",
        "`stackopt tariff --example` prints a documented study; docs/tariff-study.md shows the tables of one's own households",
        "Figures that are skipped, guessed or shifted by an hour give bills that look plausible. Headers carry names and units, rows are complete.",
    ),
    "study-tariff": ErrorCode(
        "no tariff is called {name!r}",
        "{close}",
        "Named benchmark tariffs have fixed definitions; those of one's own are tables [benchmarks.NAME] of the study file.",
    ),
    "study-tariff-limit": ErrorCode(
        "prices under tariff {name!r} did not settle",
        "a higher temperature, or a flatter supply",
        "Prices of a search that stopped early are not those of a market that clears, so nothing is computed from them.",
    ),
}
