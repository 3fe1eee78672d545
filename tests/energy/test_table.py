"""Tables as CSV and Parquet: the same values, with units and with what they rest on."""

import csv
import io
import sys

import pytest

from stackopt.energy.exhibits.table import Table, decimals
from stackopt.errors import MissingPackage

TABLE = Table(
    "bills", "Bills", (("tariff", ""), ("bill", "$/month"), ("hour", "h"), ("value", ""), ("because", "")),
    (("flat", 12.5, 3, 0.25, ""), ("lmp", None, 4, "high", 'a "note", and more')), "Averages.",
)  # fmt: skip


def test_csv_has_units_in_the_heading_and_the_basis_in_every_row():
    rows = list(csv.reader(io.StringIO(TABLE.to_csv("2 recalled"))))
    assert rows[0] == ["tariff", "bill [$/month]", "hour [h]", "value", "because", "basis"]
    assert rows[1:] == [["flat", "12.5", "3", "0.25", "", "2 recalled"], ["lmp", "", "4", "high", 'a "note", and more', "2 recalled"]]


def test_parquet_has_the_same_values_units_and_basis():
    parquet = pytest.importorskip("pyarrow.parquet")
    found = parquet.read_table(io.BytesIO(TABLE.to_parquet("2 recalled")))
    assert found.column_names == ["tariff", "bill", "hour", "value", "because", "basis"]
    assert [found.schema.field(n).metadata[b"unit"].decode() for n in ("bill", "hour", "value")] == ["$/month", "h", ""]
    assert {k: found.schema.metadata[k.encode()].decode() for k in ("name", "title", "note", "basis")} == {
        "name": "bills", "title": "Bills", "note": "Averages.", "basis": "2 recalled",
    }  # fmt: skip
    assert found.to_pydict() == {
        "tariff": ["flat", "lmp"], "bill": [12.5, None], "hour": [3.0, 4.0], "value": ["0.25", "high"], "because": ["", 'a "note", and more'],
        "basis": ["2 recalled"] * 2,
    }  # fmt: skip
    assert TABLE.to_parquet("2 recalled") == TABLE.to_parquet("2 recalled")


def test_a_table_without_rows_keeps_its_columns():
    parquet = pytest.importorskip("pyarrow.parquet")
    empty = Table("none", "Nothing", TABLE.columns, ())
    found = parquet.read_table(io.BytesIO(empty.to_parquet()))
    assert found.column_names == [n for n, _ in TABLE.columns]
    assert found.num_rows == 0
    assert str(found.schema.field("bill").type) == "double"


def test_what_is_not_a_number_has_no_value():
    assert Table("t", "T", (("x", ""),), ((float("nan"),), (1.0,))).rows == ((None,), (1.0,))


def test_without_pyarrow_the_remedy_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackage, match=r"stackopt\[parquet\]"):
        TABLE.to_parquet()


@pytest.mark.parametrize(("level", "shown"), [(1510.2, "1510"), (100.0, "100"), (23.93, "23.9"), (-2.5, "-2.50"), (1e-9, "0.0000"), (0.0, "0")])
def test_small_systems_have_decimals(level, shown):
    assert f"{level:.{decimals(level)}f}" == shown
