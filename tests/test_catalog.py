"""The catalogue: found by being there, from the checkout and from a wheel; broken files are named."""

import importlib.util
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from stackopt import StackelbergGame, catalog
from stackopt.errors import InvalidGame, InvalidMethod, UnknownModel
from stackopt.games.file import load_game
from stackopt.games.recorded import read_game

ROOT = Path(__file__).parent.parent

GOOD = '''"""A title.

Source: here.
"""
from stackopt import StackelbergGame, stay

KNOWN = {"strong": 1.0, "tolerance": 1e-9, "reference": "by hand"}


def build(*, size: int = 1, weight: float = 1.0, label: str = "x", flag: bool = False, menu: tuple[float, ...] = (1.0,)) -> StackelbergGame:
    """The game."""
    return StackelbergGame([[[weight]]], [[[weight]]], stay, discount=0.0, name=label)
'''


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """An installation whose models are what the test writes."""
    package = tmp_path / "stackopt"
    (package / "models").mkdir(parents=True)
    (package / "models" / "good.py").write_text(GOOD)
    monkeypatch.setattr(catalog, "_PACKAGE", package)
    return package


def test_every_file_is_a_model_with_title_source_and_known_answers():
    entries = catalog.models()
    assert sorted(entries) == sorted(p.stem for p in (ROOT / "models").glob("*.py"))
    for name, entry in entries.items():
        assert entry.title, name
        assert entry.source, name
        assert {"tolerance", "reference"} <= set(entry.known), name
        assert entry.kind in ("StackelbergGame", "BayesianGame", "SecurityGame", "BilevelProgram", "MeanFieldStackelbergGame"), name
        problem = catalog.build(name)
        assert type(problem).__name__ == entry.kind
        assert problem.name == name
        assert str(entry).startswith(f"Model {name}: ")
        assert "<table" in entry._repr_html_()


def test_a_model_file_is_found_by_being_there(shelf):
    assert catalog.names() == ["good"]
    entry = catalog.model("good")
    assert (entry.title, entry.source, entry.kind) == ("A title", "here.", "StackelbergGame")
    assert entry.parameters == {"size": 1, "weight": 1.0, "label": "x", "flag": False, "menu": (1.0,)}
    assert isinstance(catalog.build("good"), StackelbergGame)
    assert float(catalog.build("good", weight=3).leader_reward.max()) == 3.0


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(UnknownModel, match=r"\[model\]") as error:
        catalog.build("tarif")
    assert error.value.where == "did you mean 'tariff'?"
    with pytest.raises(UnknownModel) as error:
        catalog.model("zzzzzzzz")
    assert "tariff" in error.value.where


def test_unknown_parameters_suggest_the_nearest(shelf):
    with pytest.raises(InvalidMethod, match=r"\[model-parameter\]") as error:
        catalog.build("good", wieght=2)
    assert error.value.where == "did you mean 'weight'?"


@pytest.mark.parametrize(
    "parameters",
    [{"size": 1.5}, {"size": "one"}, {"size": True}, {"weight": float("nan")}, {"weight": "1"}, {"label": 3}, {"flag": 1}, {"menu": 1.0}, {"menu": ("a",)}],
    ids=str,
)
def test_values_have_the_kind_of_the_default(shelf, parameters):
    with pytest.raises(InvalidMethod, match=r"\[model-value\]"):
        catalog.build("good", **parameters)


def test_values_are_converted_where_nothing_is_lost(shelf):
    assert catalog.build("good", size=2.0, weight=2, menu=[1, 2]).shape == (1, 1, 1)


@pytest.mark.parametrize(
    ("text", "witness"),
    [
        ("def build(:", "SyntaxError"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        (GOOD.replace("KNOWN", "UNKNOWN"), "no KNOWN"),
        (GOOD.replace("def build", "def make"), "no build"),
        (GOOD.split('"""', 2)[2], "no docstring"),
        (GOOD.replace("size: int = 1", "size: int"), "'size' of build has no default"),
        (GOOD.replace(" -> StackelbergGame", ""), "no return annotation"),
    ],
)
def test_a_broken_model_file_is_named(shelf, text, witness):
    (shelf / "models" / "broken.py").write_text(text)
    with pytest.raises(UnknownModel, match=r"\[model-file\]") as error:
        catalog.models()
    assert "broken.py" in str(error.value)
    assert witness in error.value.where
    assert catalog.build("good").shape == (1, 1, 1), "the others still work by name"


def test_a_missing_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(catalog, "_PACKAGE", tmp_path / "stackopt")
    with pytest.raises(UnknownModel, match=r"\[model-file\]"):
        catalog.names()


@pytest.mark.parametrize(
    ("name", "parameters", "law"),
    [
        ("tariff", {"menu": ()}, "one or more different rates"),
        ("tariff", {"menu": (0.3, 0.3)}, "one or more different rates"),
        ("tariff", {"menu": (-0.3,)}, "one or more different rates"),
        ("tariff", {"month": 1}, "summer"),
        ("tariff", {"efficiency": 0.0}, "(0, 1]"),
        ("tariff", {"charge_levels": 1}, "from 2"),
        ("tariff", {"regimes": 3}, "1 or 2"),
        ("tariff", {"bill_weight": 1.0}, "(0, 1)"),
        ("tariff", {"discount_per_hour": 1.0}, "[0, 1)"),
        ("tariff", {"battery_kwh": 0.0}, "positive"),
        ("tariff", {"pv_kw": -1.0}, "non-negative"),
        ("tariff", {"stay_clear": 1.1}, "[0, 1]"),
        ("inspection", {"periods": 0}, "from 1"),
        ("inspection", {"inspections": 3}, "from 0 to 2"),
        ("inspection", {"fine": 0.0}, "positive"),
        ("inspection", {"caught_loss": 2.0}, "[0, 1]"),
        ("inspection", {"cost": -1.0}, "non-negative"),
    ],
    ids=str,
)
def test_parameters_outside_their_range_are_refused(name, parameters, law):
    with pytest.raises(InvalidMethod, match=r"\[model-value\]") as error:
        catalog.build(name, **parameters)
    assert law in str(error.value)


# --- from a wheel -----------------------------------------------------------------------------------------------------


def test_the_wheel_takes_models_and_data_along():
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert table == {"models": "stackopt/models", "data": "stackopt/data"}


@pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="needs hatchling to build a wheel")
def test_an_unpacked_wheel_outside_the_checkout_lists_and_builds_models(tmp_path):
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from stackopt import catalog
assert catalog.__file__.startswith(sys.argv[1]), catalog.__file__
assert str(catalog.folder("data")).startswith(sys.argv[1])
for name in catalog.names():
    catalog.build(name)
print(*catalog.names())
"""
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path / "site")], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == catalog.names()


# --- recorded games ---------------------------------------------------------------------------------------------------

EMPTY = """{"schema": "stackopt.game/1", "name": "x", "kind": "%s", "title": "", "source": "", "verification": "", "tolerance": 1,
"game": {}, "known": {}}"""


@pytest.mark.parametrize(
    ("text", "witness"),
    [
        ("{", "Expecting"),
        ("[]", "got 'list'"),
        ('{"schema": "other/1"}', "other/1"),
        ('{"schema": "stackopt.game/1", "name": "x"}', "'kind' is missing"),
        (EMPTY % "unheard", "unknown kind"),
        (EMPTY % "matrix", "leader_reward"),
        (EMPTY % "mean_field", "horizon"),
    ],
)
def test_a_broken_game_file_is_named(tmp_path, text, witness):
    path = tmp_path / "game.json"
    path.write_text(text)
    with pytest.raises(InvalidGame, match=r"\[recorded-game\]") as error:
        read_game(path)
    assert witness in error.value.where
    assert "game.json" in str(error.value)


def test_a_missing_game_file_is_named(tmp_path):
    with pytest.raises(InvalidGame, match=r"\[recorded-game\]"):
        read_game(tmp_path / "nothing.json")


def test_a_recorded_game_is_a_game_file():
    """What `stackopt solve FILE` reads, whatever the type of the game."""
    folder = ROOT / "data" / "games"
    for name in ("dobss_intro", "bayes_dobss", "security_zero_sum", "sis_subsidy"):
        assert load_game(folder / f"{name}.json").fingerprint() == catalog.build(name).fingerprint()


def test_data_folders_describe_every_file():
    for folder in ("energy", "games"):
        readme = (ROOT / "data" / folder / "README.md").read_text()
        if folder == "energy":
            missing = [p.name for p in (ROOT / "data" / folder).glob("*.csv") if f"`{p.name}`" not in readme]
            assert not missing
    for path in (ROOT / "data" / "games").glob("*.json"):
        recorded = read_game(path)
        assert recorded.name == path.stem
        assert recorded.source
        assert recorded.tolerance <= 1e-6
        assert recorded.problem is not None
