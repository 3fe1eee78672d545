"""Other libraries' mean-field games: their algorithms and our one default on the same work, ``python -m benchmarks.mean_field_peers``.

The ten environments of MFGLib 0.3.0 and three crowd games of OpenSpiel 2. MFGLib comes with PyTorch, so peers get an environment of
their own: a temporary one, made with pip by package name (``--python DIR`` uses one that exists). Every algorithm of theirs runs with its
default and with other settings, each for at most ``--limit`` CPU seconds of one thread; ours is ``MeanFieldEquilibrium()`` with nothing
set but the limit. Both sides' clocks count CPU seconds of their own loops, and neither counts imports or the making of the game. MFGLib's
loop and ours evaluate exploitability as they go, and that counts; OpenSpiel's does not. Relative: over the exploitability of uniform
policies.

Both sides' exploitabilities of three random policies are compared (``equal``: largest relative difference), and what we return is
evaluated once more by `benchmarks.mean_field_environments.exploitability` (``checked``). ``call`` is all of `solve`, the certificate and
the search for further equilibria included. Peers are slow, so their results are kept in ``--store``; ``--fresh`` measures them again.
``--variants`` adds other seeds, horizons and starts, which nobody was tuned on.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import stackopt as so
from benchmarks.mean_field_environments import Environment, as_game, exploitability
from benchmarks.mean_field_mfglib import MFGLIB, crowd_motion, random_linear, susceptible_infected
from benchmarks.mean_field_open_spiel import OPEN_SPIEL
from benchmarks.speed import table

PACKAGES = ("torch", "mfglib==0.3.0", "open_spiel>=2")
LEVELS = (1e-3, 1e-6)
#: Runs that reach the lowest level sooner (CPU seconds) are repeated this often, on both sides, and the fastest counts.
QUICK, REPEATS = 0.5, 3
SEED = 1
#: MFGLib's algorithms with nothing set.
DEFAULTS = ("OMD", "FP", "Prior", "MF-OMO")
#: Environments with other data than the default, and what MFGLib calls them.
VARIANTS: tuple[tuple[Environment, str, dict[str, Any]], ...] = (
    *((random_linear(seed), "random_linear", {"seed": seed}) for seed in range(1, 11)),
    *((crowd_motion(seed), "crowd_motion", {"seed": seed}) for seed in (1, 2)),
    *(
        (susceptible_infected(T, mu), "susceptible_infected", {"T": T, "mu0": [0.4 if mu == 0.6 else 1 - mu, mu]})
        for T, mu in ((30, 0.6), (100, 0.6), (200, 0.6), (50, 0.1), (50, 0.5), (50, 0.9), (200, 0.1))
    ),
)
Found = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """Games with one peer: (game, the peer's name for it, the peer's arguments), the file that runs it, and its settings (all if none)."""

    title: str
    worker: str
    games: tuple[tuple[Environment, str, dict[str, Any]], ...]
    settings: tuple[str, ...] = ()

    @property
    def restriction(self) -> dict[str, Any]:
        """For the worker."""
        return {"settings": self.settings} if self.settings else {}


# --- theirs ------------------------------------------------------------------------------------------------------------


def environment(folder: Path) -> Path:
    """The Python of a fresh environment with the peers in it."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True, capture_output=True, text=True)
    return python


def theirs(python: Path, worker: str, task: Mapping[str, Any], limit: float) -> Found:
    """``checks``, and by setting what the worker found."""
    job = {"levels": LEVELS, "limit": limit, "quick": QUICK, "repeats": REPEATS, "seed": SEED, "tasks": [task]}
    found: Found = {"checks": [], "settings": {}}
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        file = Path(folder) / "job.json"
        file.write_text(json.dumps(job), encoding="utf-8")
        command = [str(python), "-W", "ignore", str(Path(__file__).with_name(worker).resolve()), str(file)]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=os.environ | threads) as run:
            for line in run.stdout or ():
                said = json.loads(line)
                if "checks" in said:
                    found["checks"] = said["checks"]
                else:
                    found["settings"][said.pop("setting")] = said
    print(f"{task['name']}: {len(found['settings'])} settings of the peer", file=sys.stderr)
    return found


def reached(trace: Sequence[Sequence[float]], level: float) -> float:
    """CPU seconds until a relative exploitability of at most `level`; infinite if never."""
    return min((seconds for seconds, relative in trace if relative <= level), default=math.inf)


# --- ours --------------------------------------------------------------------------------------------------------------


def ours(environment: Environment, limit: float) -> Found:
    """The default's way to the lowest level, and what it returned, evaluated once more."""
    game = as_game(environment)
    found = solved(game, environment, limit)
    for _ in range(REPEATS - 1):
        if reached(found["trace"], min(LEVELS)) < QUICK:
            found = min(found, solved(game, environment, limit), key=lambda one: reached(one["trace"], min(LEVELS)))
    return found


def solved(game: so.MeanFieldStackelbergGame, environment: Environment, limit: float) -> Found:
    """One solve; its clock counts the CPU seconds of this thread."""
    from stackopt.learning.mean_field import search

    clock = search.time
    search.time = SimpleNamespace(monotonic=time.thread_time)  # type: ignore[assignment]
    begun = time.thread_time()
    try:
        solution = so.solve(game, so.MeanFieldEquilibrium(time_limit=limit))
    finally:
        search.time = clock
    call, history = time.thread_time() - begun, solution.history
    checked = exploitability(environment, solution.candidate.policy) / exploitability(environment, environment.uniform)
    return {
        "trace": list(zip(history["seconds"], history["relative"])),
        "best": solution.stats["relative"],
        "call": call,
        "checked": checked,
        "status": str(solution.status),
        "found_by": solution.stats["found_by"],
        "multiplicity": solution.stats["multiplicity"],
        "evaluations": solution.stats["evaluations"],
    }


def equality(environment: Environment, checks: Sequence[float]) -> float:
    """The largest relative difference between both sides' exploitability of the same random policies."""
    weights = np.random.default_rng(SEED).random((3, *environment.shape))
    policies = weights / weights.sum(-1, keepdims=True)
    return max(abs(exploitability(environment, policy) / value - 1.0) for policy, value in zip(policies, checks))


# --- tables ------------------------------------------------------------------------------------------------------------


def compare(environments: Sequence[Environment], peers: Mapping[str, Found], own: Mapping[str, Found], limit: float) -> list[dict[str, Any]]:
    """A row per environment: the best peer setting of each level, ours, and the ratio of their times (above 1: ours is faster)."""
    rows = []
    for environment in environments:
        peer_side, mine = peers.get(environment.name, {}), own.get(environment.name)
        settings = peer_side.get("settings", {})
        equal = f"{equality(environment, peer_side['checks']):.0e}" if peer_side.get("checks") else ""
        row = {"environment": environment.name, "S,B,T": f"{environment.states},{environment.actions},{environment.stages}", "equal": equal}
        for level in LEVELS:
            times = {setting: reached(found["trace"], level) for setting, found in settings.items()}
            best = min(times, key=times.__getitem__, default="")
            peer = times.get(best, math.inf)
            seconds = reached(mine["trace"], level) if mine else math.inf
            row[f"peer {level:.0e}"] = shown(peer, limit, [found["best"] for found in settings.values()])
            row[f"by {level:.0e}"] = best if peer <= limit else ""
            row[f"ours {level:.0e}"] = shown(seconds, limit, [mine["best"]] if mine else [])
            row[f"ratio {level:.0e}"] = f"{peer / seconds:.3g}" if max(seconds, peer) <= limit else ""
        row |= {"call": f"{mine['call']:.2f}", "checked": f"{mine['checked']:.1e}", "found by": mine["found_by"], "status": mine["status"]} if mine else {}
        rows.append(row)
    return rows


def shown(seconds: float, limit: float, reached_at_best: Sequence[float]) -> str:
    """Seconds, or the best relative exploitability of those who did not get there in time."""
    return f"{seconds:.4f}" if seconds <= limit else f"none, {min(reached_at_best):.1e}" if reached_at_best else ""


def counts(names: Sequence[str], peers: Mapping[str, Found], own: Mapping[str, Found], limit: float) -> list[dict[str, Any]]:
    """How many environments each setting solves to each level."""
    settings = dict.fromkeys(setting for name in names for setting in peers.get(name, {}).get("settings", {}))
    columns = {setting: [peers[name]["settings"].get(setting) for name in names if name in peers] for setting in settings}
    if own:
        columns = {"MeanFieldEquilibrium()": [own[name] for name in names]} | columns
    rows = []
    for setting, found in columns.items():
        solved_to = {f"to {level:.0e}": sum(one is not None and reached(one["trace"], level) <= limit for one in found) for level in LEVELS}
        rows.append({"setting": setting, "environments": len(found)} | solved_to)
    return sorted(rows, key=lambda row: (-row[f"to {LEVELS[0]:.0e}"], -row[f"to {LEVELS[1]:.0e}"]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mean_field_peers", description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=float, default=4.0, help="CPU seconds for each run")
    parser.add_argument("--python", metavar="DIR", help="an environment that has MFGLib, instead of a temporary one")
    parser.add_argument("--store", metavar="FILE", default="runs/mean_field_peers.json", help="where peers' results are kept")
    parser.add_argument("--fresh", action="store_true", help="measure peers again")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these environments")
    parser.add_argument("--variants", action="store_true", help="other seeds, horizons and starts as well")
    parser.add_argument("--sides", choices=("both", "ours", "peers"), default="both", help="whom to measure; stored results are shown all the same")
    parser.add_argument("--json", metavar="FILE", help="also write everything to this file")
    chosen = parser.parse_args(arguments)

    groups = chosen_groups(chosen.variants, chosen.only)
    store = Path(chosen.store)
    peers: dict[str, Found] = json.loads(store.read_text(encoding="utf-8")) if store.exists() and not chosen.fresh else {}
    if chosen.sides != "ours":
        store.parent.mkdir(parents=True, exist_ok=True)
        for name, found in measured(chosen.python, groups, peers, chosen.limit):
            peers[name] = found
            store.write_text(json.dumps(peers), encoding="utf-8")
    peers = {name: found for name, found in peers.items() if found["limit"] >= chosen.limit}
    own: dict[str, Found] = {}
    if chosen.sides != "peers":
        for game in (one[0] for group in groups for one in group.games):
            own[game.name] = ours(game, chosen.limit)
            print(f"{game.name}: {own[game.name]['best']:.1e}", file=sys.stderr)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"CPU seconds of one thread, at most {chosen.limit:g} for each run; {machine}, load average {load()} now")
    if peers:
        days, loads = sorted({found["when"] for found in peers.values()}), [found["load"] for found in peers.values() if "load" in found]
        print(f"peers measured from {days[0]} to {days[-1]}" + (f", load average {min(loads)} to {max(loads)}" if loads else ""))
    for group in groups:
        games = [one[0] for one in group.games]
        print(table(group.title, compare(games, peers, own, chosen.limit)))
        print(table(f"{group.title}: how many are solved", counts([game.name for game in games], peers, own, chosen.limit)))
    if chosen.json:
        Path(chosen.json).write_text(json.dumps({"peers": peers, "ours": own}, indent=1), encoding="utf-8")


def chosen_groups(variants: bool, only: Sequence[str] | None) -> list[Group]:
    """What to run."""
    groups = [
        Group("MFGLib's environments", "mean_field_peers_worker.py", tuple((make(), name, {}) for name, make in MFGLIB.items())),
        Group("OpenSpiel's crowd games", "mean_field_open_spiel_worker.py", tuple((make(), name, {}) for name, make in OPEN_SPIEL.items())),
    ]
    if variants:
        groups.append(Group("other seeds, horizons and starts (peers with their defaults)", "mean_field_peers_worker.py", VARIANTS, DEFAULTS))
    if only:
        groups = [Group(group.title, group.worker, tuple(one for one in group.games if one[0].name in only), group.settings) for group in groups]
    return [group for group in groups if group.games]


def measured(folder: str | None, groups: Sequence[Group], kept: Mapping[str, Found], limit: float) -> Iterator[tuple[str, Found]]:
    """What peers do, game by game, where nothing is kept; in an environment that exists or in a temporary one."""
    tasks = [
        (group.worker, {"name": game.name, "environment": name, "arguments": arguments, "shape": game.shape} | group.restriction)
        for group in groups
        for game, name, arguments in group.games
        if kept.get(game.name, {}).get("limit", 0.0) < limit
    ]
    with tempfile.TemporaryDirectory(prefix="peers-") as temporary:
        try:
            python = Path(folder) / "bin" / "python" if folder else environment(Path(temporary)) if tasks else Path()
        except subprocess.CalledProcessError as error:
            sys.exit(f"no environment with the peers could be made: {error.stderr.strip().splitlines()[-1:]}")
        for worker, task in tasks:
            found = theirs(python, worker, task, limit)
            yield task["name"], found | {"limit": limit, "machine": platform.machine(), "when": time.strftime("%Y-%m-%d"), "load": load()}


def load() -> float:
    """Processes that wait for the machine's cores, a minute's average; CPU seconds grow with it, by shared caches and memory."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else math.nan


if __name__ == "__main__":
    main()
