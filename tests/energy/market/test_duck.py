"""A day of the duck curve on PJM-5: what storage and ramps are worth, and prices as derivatives."""

from dataclasses import replace

import numpy as np
import pytest
from duck import duck

from stackopt.energy.market.dispatch import dispatch


def test_storage_and_ramps_are_worth_what_they_save():
    market, load = duck()
    found = dispatch(market, load, cyclic=True)
    assert np.abs(np.diff(found.generation, axis=1, append=found.generation[:, :1])).max(1)[4] <= 60.0 + 1e-6
    assert found.state[0].max() <= 200.0 + 1e-6
    assert not found.burning.any()
    without = dispatch(replace(market, storages=()), load, cyclic=True)
    assert found.cost < without.cost
    assert np.abs(found.rent - found.paid).max() <= 1e-4
    charged, given = found.charge.sum(), found.discharge.sum()
    assert given == pytest.approx(0.85 * charged, rel=1e-6)
    step = np.zeros_like(load)
    step[3, 18] = 0.05
    quotient = (dispatch(market, load + step, cyclic=True).cost - dispatch(market, load - step, cyclic=True).cost) / 0.1
    low, high = found.range
    assert low[3, 18] - 1e-3 <= quotient <= high[3, 18] + 1e-3
