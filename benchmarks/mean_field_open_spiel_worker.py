"""Runs inside an environment with OpenSpiel and nothing of ours: solves its own mean-field games with its own algorithms.

``python mean_field_open_spiel_worker.py JOB.json``: one line of JSON per game and setting. Standard library, NumPy and OpenSpiel only.
Times are CPU seconds of one thread. The library's loops do not evaluate exploitability; it is evaluated here between iterations, at
iterations a few per cent apart, and what that takes is not counted.
"""

import json
import re
import sys
import time

import numpy as np
import pyspiel
from open_spiel.python import policy as policies
from open_spiel.python.mfg.algorithms import boltzmann_policy_iteration, fictitious_play, mirror_descent, nash_conv
from open_spiel.python.mfg.games import predator_prey  # noqa: F401  (registers it)

GAMES = {"crowd_modelling": "mfg_crowd_modelling", "crowd_modelling_2d": "mfg_crowd_modelling_2d", "predator_prey": "python_mfg_predator_prey"}
#: The library's algorithms with their defaults (first of each), and other settings of their own parameters.
SETTINGS = {
    "OMD": mirror_descent.MirrorDescent,
    "OMD lr 0.1": lambda game: mirror_descent.MirrorDescent(game, lr=0.1),
    "OMD lr 1": lambda game: mirror_descent.MirrorDescent(game, lr=1.0),
    "FP": fictitious_play.FictitiousPlay,
    "FP lr 0.1": lambda game: fictitious_play.FictitiousPlay(game, lr=0.1),
    "Boltzmann lr 1": lambda game: boltzmann_policy_iteration.BoltzmannPolicyIteration(game, lr=1.0),
    "Boltzmann lr 10": lambda game: boltzmann_policy_iteration.BoltzmannPolicyIteration(game, lr=10.0),
}


class Tabular(policies.Policy):
    """A policy from an array [K, T, S, B]; places are numbered x * size + y."""

    def __init__(self, game, array):
        super().__init__(game, list(range(game.num_players())))
        self.array, self.size = array, game.get_parameters()["size"]

    def action_probabilities(self, state, player_id=None):
        """Probabilities by action."""
        numbers = [int(n) for n in re.findall(r"\d+", str(state))]
        if "pop" in str(state):
            k, t, x, y = numbers
            place = x * self.size + y
        else:
            *where, t = numbers
            k, place = 0, where[0] if len(where) == 1 else where[0] * self.size + where[1]
        return {a: float(self.array[k, t, place, a]) for a in state.legal_actions()}


def run(game, make, levels, limit):
    """The best relative NashConv, and when each level was first reached."""
    uniform = nash_conv.NashConv(game, policies.UniformRandomPolicy(game)).nash_conv()
    algorithm, spent, iterations, due, trace, best, ended = make(game), 0.0, 0, 1, [(0.0, 1.0)], 1.0, "limit"
    while spent < limit:
        begun = time.thread_time()
        algorithm.iteration()
        spent += time.thread_time() - begun
        iterations += 1
        if iterations < due:
            continue
        due = max(iterations + 1, int(1.05 * iterations))
        relative = nash_conv.NashConv(game, algorithm.get_policy()).nash_conv() / uniform
        if relative < best:
            best = relative
            trace.append((spent, relative))
        if best <= min(levels):
            ended = "target"
            break
    return {"best": best, "trace": trace, "evaluations": iterations, "ended": ended}


def main():
    """Print a line per game, with its checks, and per setting."""
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    for task in job["tasks"]:
        game = pyspiel.load_game(GAMES[task["environment"]])
        weights = np.random.default_rng(job["seed"]).random((3, *task["shape"]))
        arrays = weights / weights.sum(-1, keepdims=True)
        K = game.num_players()
        checks = [float(nash_conv.NashConv(game, Tabular(game, array)).nash_conv()) / K for array in arrays]
        print(json.dumps({"name": task["name"], "checks": checks}), flush=True)
        for name, make in SETTINGS.items():
            print(json.dumps({"name": task["name"], "setting": name} | run(game, make, job["levels"], job["limit"])), flush=True)


if __name__ == "__main__":
    main()
