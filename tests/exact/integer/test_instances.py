"""Published instances of MibS (coin-or/MibS, data/interdiction and data/notInterdiction), in a directory named by STACKOPT_MIBS_INSTANCES.

They are not part of this package. Values: index.csv there. Nodes: upper limits, twice what was needed.
"""

import os
from pathlib import Path

import pytest

import stackopt as so
from stackopt.exact.integer import integer_followers
from stackopt.solution import Status

DIRECTORY = Path(os.environ.get("STACKOPT_MIBS_INSTANCES", ""))

pytestmark = pytest.mark.skipif(not os.environ.get("STACKOPT_MIBS_INSTANCES"), reason="STACKOPT_MIBS_INSTANCES names no directory of MPS and AUX files")

#: Value, search, nodes at most.
KNOWN = {
    "2AP05-1": (-36, "covering branch-and-cut", 10),
    "2AP05-2": (-46, "covering branch-and-cut", 34),
    "2AP05-3": (-46, "covering branch-and-cut", 18),
    "2AP05-4": (-25, "covering branch-and-cut", 2),
    "2AP05-5": (-38, "covering branch-and-cut", 6),
    "F5010W01.KNP": (115, "interdiction branch-and-cut", 64),
    "K5010W01.KNP": (1401, "interdiction branch-and-cut", 142),
    "K5010W02.KNP": (1060, "interdiction branch-and-cut", 206),
    "K5010W03.KNP": (526, "interdiction branch-and-cut", 12),
    "K5010W04.KNP": (1533, "interdiction branch-and-cut", 122),
    "K5010W05.KNP": (2114, "interdiction branch-and-cut", 124),
    "K5020W01.KNP": (2379, "interdiction branch-and-cut", 1104),
    "K5020W03.KNP": (1550, "interdiction branch-and-cut", 226),
    "K5020W05.KNP": (3212, "interdiction branch-and-cut", 7170),
    "K5020W07.KNP": (1432, "interdiction branch-and-cut", 364),
    "K5020W08.KNP": (3117, "interdiction branch-and-cut", 5422),
    "K5030W01.KNP": (2956, "interdiction branch-and-cut", 1696),
    "int0sum_i0_10": (-170, "direction branching", 20),
    "int0sum_i0_60": (-141, "high-point relaxation", 1),
    "int0sum_i0_160": (-132, "high-point relaxation", 1),
    "int0sum_i0_260": (-82, "high-point relaxation", 1),
    "int0sum_i0_310": (-98, "high-point relaxation", 1),
    "knapsack": (2, "direction branching", 320),
    "linderoth": (-2, "direction branching", 22),
    "milp_4_20_10_0110": (-375, "direction branching", 18),
    "moore90": (-22, "direction branching", 16),
}


@pytest.mark.parametrize("name", KNOWN)
def test_value_search_and_nodes(name):
    value, search, most = KNOWN[name]
    program = so.read(DIRECTORY / f"{name}.mps")
    found = integer_followers(program, time_limit=120.0)
    assert found.status is Status.OPTIMAL
    assert (found.point.claim, found.bound) == pytest.approx((value, value))
    assert found.reference == search
    assert found.stats["nodes"] <= most
    assert all(check.passed for check in program.certify(found.point).checks)
