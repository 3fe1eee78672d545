"""Runs inside an environment with MFGLib and nothing of ours: solves its own environments with its own algorithms.

``python mean_field_peers_worker.py JOB.json``: one line of JSON per environment and setting. Standard library, NumPy, PyTorch and MFGLib
only. Times are CPU seconds of one thread. An algorithm's own loop runs, its exploitability evaluations included, until the job's limit or
the lowest of its levels of relative exploitability; what it evaluates on the way is read off by standing in for the evaluation.
"""

import json
import signal
import sys
import time

import mfglib.alg
import numpy as np
import torch
from mfglib.alg import abc as iterative
from mfglib.alg import mf_omo
from mfglib.env import Environment
from mfglib.scoring import exploitability_score


def adam(rate):
    """The library's own optimizer with another rate."""
    return {"name": "Adam", "config": {"lr": rate}}


#: The library's algorithms with their defaults (first of each), and other settings of their own parameters.
SETTINGS = {
    "OMD": mfglib.alg.OnlineMirrorDescent,
    "OMD alpha 0.01": lambda: mfglib.alg.OnlineMirrorDescent(0.01),
    "OMD alpha 0.1": lambda: mfglib.alg.OnlineMirrorDescent(0.1),
    "OMD alpha 2": lambda: mfglib.alg.OnlineMirrorDescent(2.0),
    "OMD alpha 10": lambda: mfglib.alg.OnlineMirrorDescent(10.0),
    "FP": mfglib.alg.FictitiousPlay,
    "FP alpha 0.1": lambda: mfglib.alg.FictitiousPlay(0.1),
    "FP alpha 1": lambda: mfglib.alg.FictitiousPlay(1.0),
    "Prior": mfglib.alg.PriorDescent,
    "Prior eta 0.1": lambda: mfglib.alg.PriorDescent(0.1),
    "Prior n_inner 5": lambda: mfglib.alg.PriorDescent(1.0, 5),
    "Prior n_inner 50": lambda: mfglib.alg.PriorDescent(1.0, 50),
    "MF-OMO": mfglib.alg.MFOMO,
    "MF-OMO lr 0.01": lambda: mfglib.alg.MFOMO(optimizer=adam(0.01)),
    "MF-OMO l1": lambda: mfglib.alg.MFOMO(loss="l1"),
    "MF-OMO free": lambda: mfglib.alg.MFOMO(parameterize=True),
    "MF-OMI": mfglib.alg.OccupationMeasureInclusion,
    "MF-OMI alpha 0.1": lambda: mfglib.alg.OccupationMeasureInclusion(0.1),
}


class Stop(Exception):
    """The time is up, or the target reached."""


class Record:
    """Stands in for the library's exploitability evaluation: evaluates, and notes what was better than all before."""

    def __init__(self, env, levels):
        self.levels, self.best, self.trace, self.evaluations = levels, float("inf"), [], 0
        self.uniform = exploitability_score(env, torch.ones(env.T + 1, *env.S, *env.A) / env.n_actions)
        self.begun = time.thread_time()

    def __call__(self, env, policy, *arguments, **options):
        """The exploitability of a policy."""
        value = exploitability_score(env, policy, *arguments, **options)
        now = time.thread_time() - self.begun
        self.evaluations += 1
        relative = value / self.uniform
        if relative < self.best:
            self.best = relative
            crossed = any(relative <= level < last for level in self.levels for _, last in self.trace[-1:])
            if not self.trace or crossed or relative <= 0.8 * self.trace[-1][1]:
                self.trace.append((now, relative))
        if relative <= min(self.levels):
            raise Stop
        return value


def ring(signum, frame):
    """The alarm of the CPU clock."""
    raise Stop


def run(env, algorithm, levels, limit):
    """The best relative exploitability, and when each level was first reached."""
    record = Record(env, levels)
    iterative.expl_score = mf_omo.exploitability_score = record
    signal.signal(signal.SIGPROF, ring)
    ended = "iterations"
    try:
        signal.setitimer(signal.ITIMER_PROF, limit)  # counts CPU time; while it runs, time.process_time() moves in steps of 4 ms
        algorithm.solve(env, max_iter=10**8, atol=None, rtol=None)
    except Stop:
        ended = "target" if record.best <= min(levels) else "limit"
    except Exception as error:
        ended = f"{type(error).__name__}: {error}".splitlines()[0][:100]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return {"best": record.best, "trace": record.trace, "evaluations": record.evaluations, "ended": ended}


def made(task):
    """The library's environment of a task."""
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in task["arguments"].items()}
    return getattr(Environment, task["environment"])(**arguments)


def main():
    """Print a line per environment, with its checks, and per setting."""
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    levels, limit = job["levels"], job["limit"]
    run(Environment.left_right(), mfglib.alg.MFOMO(), levels, 20.0)  # load everything before anything is timed
    for task in job["tasks"]:
        env = made(task)
        shape = (env.T + 1, *env.S, *env.A)
        weights = np.random.default_rng(job["seed"]).random((3, env.T + 1, env.n_states, env.n_actions))
        policies = weights / weights.sum(-1, keepdims=True)
        checks = [exploitability_score(env, torch.tensor(policy).reshape(shape)) for policy in policies]
        print(json.dumps({"name": task["name"], "checks": checks}), flush=True)
        for name in task.get("settings", SETTINGS):
            found = run(made(task), SETTINGS[name](), levels, limit)
            for _ in range(job["repeats"] - 1):
                if found["ended"] == "target" and found["trace"][-1][0] < job["quick"]:
                    found = min(found, run(made(task), SETTINGS[name](), levels, limit), key=lambda one: one["trace"][-1][0])
            print(json.dumps({"name": task["name"], "setting": name} | found), flush=True)


if __name__ == "__main__":
    main()
