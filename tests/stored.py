"""Stored studies bent for tests: tariffs that do not hold, tables that are gone or have other figures."""

import copy


def broken(data, name):
    """The study with one tariff that did not converge: figures gone, as `exhibits` leaves them."""
    left = copy.deepcopy(data)
    for kind, stored in left["tables"].items():
        names = [c["name"] for c in stored["columns"]]
        if kind in ("summary", "convergence", "frontier"):
            for row in stored["rows"]:
                if row[0] == name:
                    row[1:] = ["LIMIT", *[None] * (len(row) - 3), "prices did not settle"]
        elif names[0] == "tariff":
            stored["rows"] = [row for row in stored["rows"] if row[0] != name]
    return left


def broken_all(data):
    """The study without a tariff that holds."""
    for name in [row[0] for row in data["tables"]["summary"]["rows"]]:
        data = broken(data, name)
    return data


def with_column(data, table, column, change):
    """The study with the values of one column replaced: ``change(row)``, of the row as name to value."""
    left = copy.deepcopy(data)
    stored = left["tables"][table]
    names = [c["name"] for c in stored["columns"]]
    for row in stored["rows"]:
        row[names.index(column)] = change(dict(zip(names, row, strict=True)))
    return left
