"""Draw the pictures of networks.md and tariff-findings.md: `python docs/pictures.py`. Look at them; no test does."""

from pathlib import Path

import networkx as nx

import stackopt as so
from stackopt import catalog, networks
from stackopt.energy.findings import figures as findings_figures
from stackopt.energy.findings import finding as findings

HERE = Path(__file__).parent / "_static"


def pictures() -> dict[str, object]:
    """Figures by file name."""
    falls = networks.sioux_falls()
    braess = so.solve(catalog.build("braess_toll"))
    cities = nx.DiGraph([("s", "a"), ("s", "b"), ("a", "b"), ("a", "t"), ("b", "t")])
    places = {"s": (0.0, 0.0), "a": (1.0, 0.5), "b": (1.0, -0.5), "t": (2.0, 0.0)}
    return {
        "network_tolls": networks.draw(falls, so.solve(catalog.build("network_toll"))),
        "network_braess": networks.draw(cities, braess, places),
        "response_braess": braess.plot(),
        "network_shortest_path": networks.draw(falls, so.solve(catalog.build("shortest_path_interdiction"))),
        "network_maximum_flow": networks.draw(falls, so.solve(catalog.build("maximum_flow_interdiction"))),
        **{f"finding_{name}": figure for name, figure in findings_figures.figures(findings.stored()).items()},
    }


if __name__ == "__main__":
    for name, figure in pictures().items():
        figure.savefig(HERE / f"{name}.png", dpi=90, metadata={"Software": None})
