"""The exact toy: enumeration of all tariffs, the recorded answers, and the mixed-integer program on a smaller menu."""

import dataclasses

import numpy as np
import pytest

import stackopt as so
from stackopt.energy.toy import built_in, enumerate_tariffs, evaluate, program

TOWN = built_in()


def test_all_162_tariffs():
    costs = enumerate_tariffs(TOWN)
    (rates, ratio), best = min(costs.items(), key=lambda item: item[1])
    assert len(costs) == 162
    assert sum(np.isfinite(v) for v in costs.values()) == 100  # the others cannot recover their costs
    assert best == pytest.approx(TOWN.known["objective"], abs=1e-7)
    assert [TOWN.figures["menu"].index(r) for r in rates] == TOWN.known["levels"]
    assert ratio == TOWN.known["sell_ratio"]
    assert min(v for (_, r), v in costs.items() if r == 1.0) == pytest.approx(TOWN.known["best_net_metering"], abs=1e-7)
    for name, known in TOWN.known["flat"].items():
        rate, ratio = (float(x) for x in name.split("/"))
        assert costs[(rate,) * 4, ratio] == (pytest.approx(known, abs=1e-7) if known is not None else np.inf)


def test_the_mixed_integer_program_finds_the_same():
    pytest.importorskip("pyscipopt")
    smaller = dataclasses.replace(TOWN, figures={**TOWN.figures, "menu": [0.08, 0.2], "sell_ratio_levels": [0.25]})
    solution = so.solve(program(smaller), so.StrongDuality())
    assert solution.certified
    assert solution.value == pytest.approx(min(enumerate_tariffs(smaller).values()), abs=1e-6)
    chosen = tuple(next(rate for rate in (0.08, 0.2) if solution[f"rate[{t},{rate:g},0.25]"] > 0.5) for t in range(4))
    assert evaluate(TOWN, chosen, 0.25) == pytest.approx(solution.value, abs=1e-6)
