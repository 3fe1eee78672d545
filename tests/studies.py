"""A small study with households of its own, for tests: four types from three tables."""

from towns import LOAD, SUN

TYPES = """type,group,kind,share,income [$/year],load,pv
poor,Q1,C,0.5,20000,flat,
middle,Q3,PV,0.15,75000,house,roof
rich,Q5,C,0.25,250000,villa,
richest,Q5,PVB,0.1,250000,villa,large
"""
TOML = """name = "town"
[population]
types = "types.csv"
load = "load.csv"
pv = "pv.csv"
[response]
temperature = 0.02
[revenue]
required = 3.0
[objective]
points = 0
starts = 1
"""


def hours(columns, days=1):
    """A table of hours as CSV; every day differs but averages to what is given."""
    lines = ["hour," + ",".join(f"{name} [kWh]" for name in columns)]
    for t in range(24 * days):
        factor = 1.0 if days == 1 else 0.5 + (t // 24) / (days - 1)
        lines.append(f"{t}," + ",".join(f"{factor * values[t % 24]:.12g}" for values in columns.values()))
    return "\n".join(lines) + "\n"


def write(folder, toml=TOML, types=TYPES, days=1):
    """The path of the study file, its tables beside it."""
    (folder / "types.csv").write_text(types)
    (folder / "load.csv").write_text(hours({"flat": 0.8 * LOAD, "house": LOAD, "villa": 1.5 * LOAD}, days))
    (folder / "pv.csv").write_text(hours({"roof": SUN, "large": 1.5 * SUN}))
    path = folder / "study.toml"
    path.write_text(toml)
    return path


