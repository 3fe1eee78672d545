"""The certificate of a population: law, exploitability and the leader's value recomputed from the game and the policy alone."""

from __future__ import annotations

import numpy as np

from stackopt.certificate import Bound, Certificate, Check
from stackopt.display import number
from stackopt.errors import InvalidCandidate
from stackopt.games.checks import restated, simplex
from stackopt.games.mean_field import leaders, operators
from stackopt.games.mean_field.constants import crowd_constants
from stackopt.games.mean_field.dynamics import Exploited, exploitability, respond
from stackopt.games.mean_field.frozen import best_decision
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.laws import consistency
from stackopt.games.mean_field.population import Population
from stackopt.games.mean_field.soft_bounds import soft_bounds, soft_residual_bound
from stackopt.games.operators import Array

#: Largest 1-norm between the law of a candidate and the one that its policy brings about.
LAW_TOLERANCE = 1e-8
#: Constants of bounds are computed up to this many multiplications (hundredths of a second); `examinations` goes further.
WORK = 2e7
#: Exploitability that rounding alone explains, relative to the size of the values.
ROUNDING = 1e-11

CONCEPTS = {
    "commitment": "commitment: the population re-equilibrates under the leader's decision",
    "fixed_point": "fixed point: the decision is best against this population, held fixed",
}


def certify(game: MeanFieldStackelbergGame, population: Population) -> Certificate:
    """Recompute law, exploitability and values of `population`.

    Values: ``leader`` (of the recomputed law), ``exploitability`` (of the policy, best responses being hard), ``relative`` (over that
    of uniform policies), ``soft_distance`` (largest L1 distance to the soft response, where a temperature is given),
    ``leader_regret`` (fixed points).

    Raises
    ------
    InvalidCandidate
        If its arrays do not fit the game.
    """
    theta, policy, mu = parts(game, population)
    checks = [
        simplex("policies are policies", policy),
        simplex("mean field is a law", mu),
        Check("decision is the leader's to take", leaders.distance(game.leader, theta), 1e-9, str(game.leader)),  # type: ignore[arg-type]
    ]
    if not all(c.passed for c in checks):
        return Certificate(tuple(checks))
    moved = consistency(game, mu, policy, theta)
    checks.append(Check("policies bring the mean field about", moved, LAW_TOLERANCE, "1-norm, largest over types and stages"))
    found = exploitability(game, policy, theta, mu)
    uniform = exploitability(game, game.uniform(), theta).total
    y = game.aggregate(operators.flow(mu, policy))
    own = game.leader_value(operators.flow(mu, policy), y, theta)
    values = {"leader": own, "exploitability": found.total, "uniform": uniform, "relative": _relative(found.total, uniform)}
    checks.append(Check("best responses are solved", found.answer.residual / (1.0 + np.abs(found.answer.value).max()), 1e-8, "Bellman residual, relative"))
    if population.temperature > 0.0:
        soft = respond(game, y, theta, population.temperature)
        values["soft_distance"] = float(np.abs(policy - soft.policy).sum(-1).max())
        because = f"max-ent at temperature {number(population.temperature)}, largest L1 distance"
        checks.append(Check("followers play their soft response", values["soft_distance"], max(population.tolerance, 1e-6), because))
    else:
        allowed = population.tolerance * max(uniform, 0.0) + ROUNDING * (1.0 + float(np.abs(found.answer.value).max()))
        because = f"average gain of a best response; {number(values['relative'])} of the uniform policies'"
        checks.append(Check("nobody gains by deviating", found.total, allowed, because))
    if population.concept == "fixed_point":
        _, best, exhaustive = best_decision(game, operators.flow(mu, policy), y, theta)
        values["leader_regret"] = best - own
        because = "largest gain over the leader's set" if exhaustive else "largest gain found by ascent from several decisions"
        checks.append(Check("decision is best against this population", best - own, 1e-6 * (1.0 + abs(own)), because))
    if population.claim is not None:
        checks.append(restated(population.claim, own))
    bounds = _bounds(game, population, values["soft_distance"]) if population.temperature > 0.0 else ()
    return Certificate(tuple(checks), values, bounds, "leader", _notes(game, population, found))


def parts(game: MeanFieldStackelbergGame, population: Population) -> tuple[Array, Array, Array]:
    """(theta, policy, mean field) as arrays; InvalidCandidate if they do not fit."""
    shape = game.shape
    for name, axes, value, expected in (
        ("theta", "[D]", population.theta, (game.parameters,)),
        ("policy", "[K, T, S, B]", population.policy, shape),
        ("mean_field", "[K, T, S]", population.mean_field, shape[:3]),
    ):
        if np.shape(value) != expected:
            raise InvalidCandidate("candidate", array=name, axes=axes, expected=expected, got=np.shape(value))
    return np.asarray(population.theta, float), np.asarray(population.policy, float), np.asarray(population.mean_field, float)


def _relative(total: float, uniform: float) -> float:
    return total / uniform if uniform > 0 else (0.0 if total <= 0 else float("inf"))


def _bounds(game: MeanFieldStackelbergGame, population: Population, distance: float) -> tuple[Bound, ...]:
    """How exploitable a soft population is at most, and how far from the only soft equilibrium  [B6.2, B6.1]."""
    constants = crowd_constants(game, np.asarray(population.theta, float), WORK)
    return (*soft_bounds(game, population, distance), soft_residual_bound(game, population, constants))


def _notes(game: MeanFieldStackelbergGame, population: Population, found: Exploited) -> tuple[str, ...]:
    notes = []
    if found.law.several:
        notes.append("several recurrent classes: the law depends on where the population began")
    if population.others:
        count = len(population.others)
        notes.append(f"multiplicity found: {count} further equilibri{'um' if count == 1 else 'a'} under the same decision, in .candidate.others")
    return tuple(notes)


def summarize(game: MeanFieldStackelbergGame, population: Population, certificate: Certificate) -> list[tuple[str, str]]:
    """Rows for a printed `Solution`."""
    v = certificate.values
    if not v:
        return [("leader value", "not computed: the candidate is not a population")]
    rows = []
    if game.parameters:
        shown = ", ".join(number(x) for x in population.theta[:8]) + (f", ... ({game.parameters} in all)" if game.parameters > 8 else "")
        rows += [("decision", shown), ("leader value", number(v["leader"])), ("concept", CONCEPTS[population.concept])]
    gain = f"{number(v['exploitability'])}  ({number(v['relative'], 3)} of uniform policies')"
    rows.append(("exploitability", gain))
    if population.temperature > 0:
        rows.append(("", f"soft followers, temperature {number(population.temperature)}: within {number(v['soft_distance'], 3)} of their response"))
    only = next((b for b in certificate.bounds if b.reference == "B6.1" and b.applies), None)
    if only is not None:
        rows.append(("multiplicity", f"none: the only soft equilibrium is within {number(only.value, 3)}  [B6.1]"))
    else:
        suspected = f"suspected: {population.suspected}" if population.suspected else "not detected"
        rows.append(("multiplicity", f"{len(population.others) + 1} equilibria found" if population.others else suspected))
    return rows
