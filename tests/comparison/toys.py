"""A tiny game and methods that do as they are told: what a comparison is tested with."""

import dataclasses
import os
import time
from pathlib import Path

import numpy as np

import stackopt as so
from stackopt.certificate import Assumption, Bound, Examination
from stackopt.solution import STRONG_VALUE, Progress, Refusal, Run, Status

#: The best commitment of `game()` is half and half, worth 3.5; up with probability p >= 1/2 is worth 4 - ... see `value`.
BEST = 3.5


def game(name="commit-2x2", shift=0.0):
    leader = np.array([[[2.0, 4.0], [1.0, 3.0]]]) + shift
    return so.StackelbergGame(leader_reward=leader, follower_reward=[[[1, 0], [0, 1]]], transition=so.stay, discount=0.0, name=name)


def value(up):
    """Strong value of playing up with probability `up`: the follower goes right (good for the leader) up to one half."""
    return up * 4 + (1 - up) * 3 if up <= 0.5 else up * 2 + (1 - up) * 1


@dataclasses.dataclass(frozen=True)
class Fixed:
    """Plays up with a given probability; claims what it is told to claim, fails the way it is told to fail."""

    up: float = 0.5
    bound: float | None = None
    fault: str = ""
    wait: float = 0.0
    log: str = ""
    temperature: float | None = None
    concept: str = "strong"

    @property
    def name(self):
        return f"fixed {self.up:g}"

    def refuses(self, problem):
        return Refusal("leader-moves-state", because="at (s, b) = (0, 0)") if self.fault == "refuse" else None

    def run(self, problem, *, seed=0, report=None):
        if self.log:
            with Path(self.log).open("a") as stream:
                stream.write(f"{self.up} {seed}\n")
        if report is not None:
            report(Progress("toy", 1, 2, 0.5))
        time.sleep(self.wait)
        if self.fault == "raise":
            raise ValueError("boom at /home/someone/secret")
        if self.fault == "die":
            os._exit(9)
        if self.fault == "interrupt":
            raise KeyboardInterrupt
        if self.fault == "infeasible":
            return Run(Status.INFEASIBLE, None, because="no policy satisfies the rows")
        x = np.array([[self.up, 1 - self.up]])
        y = np.array([[0.0, 1.0]]) if self.up <= 0.5 else np.array([[1.0, 0.0]])
        status = Status.LIMIT if self.fault == "limit" else Status.OPTIMAL if self.bound is not None else Status.CONVERGED
        bound = None if self.bound is None else Bound(self.bound, STRONG_VALUE, "D3")
        if self.fault == "lie":
            y = y[:, ::-1]
        history = {"residual": np.geomspace(1, 1e-9, 1000), "note": np.zeros((3, 3))}
        return Run(status, so.Profile(x, y, self.concept), bound=bound, because="as told", history=history)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Examined(so.StackelbergGame):
    """A game whose examinations are given: bounds that hold, fail or do not apply."""

    measured: float = 0.5
    limit: float = 1.0

    def examinations(self, profile):
        held = Bound(self.limit, "follower's loss", "B2.1")
        vacuous = Bound(1.0, "distance to the fixed point", "B4.2", (Assumption("modulus < 1", False, "it is 3.42"),), remedy="a higher temperature")
        return Examination(self.measured, held), Examination(0.1, vacuous)


def examined(measured=0.5, limit=1.0):
    g = game()
    return Examined(g.leader_reward, g.follower_reward, g.transition, discount=0.0, name="examined", measured=measured, limit=limit)
