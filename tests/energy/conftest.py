"""A stored design of a small town, shared by the tests of its report and figures."""

import json

import pytest
from studies import TOML, write

from stackopt.energy.studies.run import design_study
from stackopt.energy.studies.study import read_study


@pytest.fixture(scope="session")
def town(tmp_path_factory):
    """A study with a tariff whose name is an attack."""
    evil = '[benchmarks."<script>alert(1)</script>"]\nbuy = { off = 0.3, midday = 0.2, peak = 0.5, night = 0.3 }\nfixed = 10\n'
    return read_study(write(tmp_path_factory.mktemp("town"), TOML + evil)).changed(benchmarks__names=["flat_nb", "lmp", "<script>alert(1)</script>"])


@pytest.fixture(scope="session")
def stored_town(town):
    """Its design with the frontier, as data.json has it."""
    return json.loads(json.dumps(design_study(town.changed(objective__points=3)).to_json()))
