"""The product of settings as the cells of a sweep; settings are checked as those of a study file are."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from stackopt.energy.benchmarks_named import NAMES
from stackopt.energy.studies.keys import KEYS, keys_of
from stackopt.energy.studies.study import Study, _File, _groups, _together
from stackopt.energy.studies.sweep import SweepCell
from stackopt.errors import InvalidStudy

_NAMES = [f"{key.section}.{key.name}" for key in KEYS]


def grid(study: Study, vary: Mapping[str, Sequence[Any]], tariffs: Sequence[str] = (), *, design: bool = False) -> list[SweepCell]:
    """A cell for every combination of values and every tariff.

    Parameters
    ----------
    study : Study
        Everything else is as there.
    vary : mapping of ``section.key`` to values
    tariffs : sequence of str
        Named, or the study's own.
    design : bool
        Whether rates are designed too, with the study's starts and seed.

    Raises
    ------
    InvalidStudy
        ``study-key`` for a setting that does not exist, with the closest one; ``setting-value`` for a value that it does not accept, or that has no
        part in this study; ``study-tariff`` for an unknown tariff.
    """
    for name in tariffs:
        known = [*NAMES, *study.own]
        if name not in known:
            raise InvalidStudy("study-tariff", where="tariffs of the sweep", name=name, close=_close(name, known))
    for place, values in vary.items():
        _accepted(place, values)
    if not tariffs and not design:
        help = "name them with --tariff, or ask for --design"
        raise InvalidStudy("setting-value", name="tariffs", law="a tariff's name, or a design asked for", got="neither", help=help)
    cells = []
    for values in itertools.product(*vary.values()):
        varied = dict(zip(vary, values, strict=True))
        changed = changed_study(study, varied)
        said = ", ".join(f"{place.partition('.')[2]} {value!r}" for place, value in varied.items())
        o = changed.settings["objective"]
        for asked in (*tariffs, *([None] if design else [])):
            label = f"{said}: {asked or 'designed'}" if said else asked or "designed"
            cells.append(SweepCell(label, changed, asked, starts=o["starts"], seed=o["seed"], varied=varied))
    return cells


def changed_study(study: Study, values: Mapping[str, Any]) -> Study:
    """A study with settings changed, checked as those of its file were; `values` by ``section.key``.

    Raises
    ------
    InvalidStudy
        As `grid`.
    """
    settings = {section: dict(keys) for section, keys in study.settings.items()}
    for place, value in values.items():
        _accepted(place, [value])
        section, _, key = place.partition(".")
        settings[section][key] = value
    if study.own and "tariff.periods" in values:
        raise InvalidStudy("setting-value", where="varied: tariff.periods", name="periods", law="as given where the study has tariffs of its own", got="varied")
    file = _File("sweep", "")
    _together(settings, file)
    changed = study.changed(**{place.replace(".", "__"): value for place, value in values.items()})
    _groups(settings, changed.households, file)
    changed.problem()
    return dataclasses.replace(changed, given=study.given | {tuple(place.split(".", 1)) for place in values})  # type: ignore[misc]  # two parts each


def _accepted(place: str, values: Sequence[Any]) -> None:
    """Raise unless a setting exists and takes all values."""
    section, _, name = place.partition(".")
    key = keys_of(section).get(name)
    if key is None:
        inside = [f"{section}.{n}" for n in keys_of(section)]
        close = difflib.get_close_matches(place, inside or _NAMES, n=1, cutoff=0.6) or [n for n in _NAMES if n.partition(".")[2] in (place, name)][:1]
        said = f"did you mean `{close[0]}`?" if close else "`stackopt tariff --example` prints every setting"
        raise InvalidStudy("study-key", where=f"varied: {place}", key=place, place="a study", close=said)
    for value in values:
        if not key.accepts(value):
            where = f"varied: {place}" + (f", unit {key.unit}" if key.unit else "")
            raise InvalidStudy("setting-value", where=where, name=name, law=key.law, got=repr(value))


def _close(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean `{close[0]}`?" if close else f"there are {', '.join(known)}"
