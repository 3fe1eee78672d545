"""Damaged files end in a typed error or in a program, never in a traceback of ours."""

import copy
import json

from hypothesis import given, settings
from hypothesis import strategies as st

import stackopt as so
from stackopt.errors import StackoptError

from .test_files_aux import BY_INDEX, BY_NAME, INTERDICTION, ITEMS, MPS
from .test_files_json import PROGRAM

WORDS = ["", "0", "-1", "1e30", "nan", "inf", "1e400", "1_0", "x", "y", "R1", "cost", "'MARKER'", "@", "@VARSBEGIN", "NAME", "RHS", "ROWS", "ENDATA",
         "RANGES", "BOUNDS", "UP", "BV", "FR", "N", "LC", "IC", "IB", "OS", "*", "\0", "\N{SUPERSCRIPT TWO}", "\N{LINE SEPARATOR}"]  # fmt: skip
VALUES = [None, "x", "", 1, -1, True, 1e308, 10**400, [], [1], ["x"], [None], {}, {"x": 1}, {"x": {}}, [["x", "x", 1]], "<="]


@st.composite
def damaged(draw, text):
    """Up to three lines with a word replaced, left out, repeated or exchanged."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 3))):
        at, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        what = draw(st.sampled_from(["word", "word", "out", "again", "exchange"]))
        if what == "word":
            words = lines[at].split(" ")
            words[draw(st.integers(0, len(words) - 1))] = draw(st.sampled_from(WORDS))
            lines[at] = " ".join(words)
        elif what == "out":
            lines = lines[:at] + lines[at + 1 :] or [""]
        elif what == "again":
            lines.insert(at, lines[other])
        else:
            lines[at], lines[other] = lines[other], lines[at]
    return "\n".join(lines)


def read(folder, mps, aux):
    (folder / "a.mps").write_text(mps, encoding="utf-8")
    (folder / "a.aux").write_text(aux, encoding="utf-8")
    try:
        program = so.read(folder / "a.mps")
    except StackoptError:
        return
    assert so.read(so.write(program, folder / "b.json")[0]).fingerprint() == program.fingerprint()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data(), pair=st.sampled_from([(MPS, BY_INDEX), (MPS, BY_NAME), (ITEMS, INTERDICTION)]), first=st.booleans())
def test_damaged_mps_and_aux(tmp_path_factory, data, pair, first):
    mps, aux = pair
    folder = tmp_path_factory.mktemp("damaged")
    read(folder, data.draw(damaged(mps)) if first else mps, aux if first else data.draw(damaged(aux)))


def places(value):
    """Every place in a JSON value, as its container and key."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data(), value=st.sampled_from(VALUES))
def test_damaged_json(tmp_path_factory, data, value):
    record = copy.deepcopy(PROGRAM)
    every = list(places(record))
    container, key = every[data.draw(st.integers(0, len(every) - 1))]
    container[key] = value
    path = tmp_path_factory.mktemp("damaged") / "a.json"
    path.write_text(json.dumps(record))
    try:
        program = so.read(path)
    except StackoptError:
        return
    assert so.read(so.write(program, path)[0]).fingerprint() == program.fingerprint()
