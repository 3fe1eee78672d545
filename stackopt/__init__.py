"""Leader-follower (Stackelberg) problems: exact baselines, scalable learners, and one examination for both.

Public names are imported on first use, so that ``import stackopt`` stays fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stackopt import catalog as catalog
    from stackopt import networks as networks
    from stackopt.bilevel.files import read as read
    from stackopt.bilevel.files import write as write
    from stackopt.bilevel.from_cvxpy import from_cvxpy as from_cvxpy
    from stackopt.bilevel.from_pyomo import from_pyomo as from_pyomo
    from stackopt.bilevel.multiplier_symbols import dual as dual
    from stackopt.bilevel.point import Point as Point
    from stackopt.bilevel.program import BilevelProgram as BilevelProgram
    from stackopt.bilevel.program import Level as Level
    from stackopt.bilevel.program import Multiplier as Multiplier
    from stackopt.bilevel.program import Objective as Objective
    from stackopt.bilevel.program import Rows as Rows
    from stackopt.certificate import Assumption as Assumption
    from stackopt.certificate import Bound as Bound
    from stackopt.certificate import Certificate as Certificate
    from stackopt.certificate import Check as Check
    from stackopt.certificate import Examination as Examination
    from stackopt.comparison.compare import Interrupted as Interrupted
    from stackopt.comparison.compare import compare as compare
    from stackopt.comparison.comparison import Comparison as Comparison
    from stackopt.errors import InfeasibleTariff as InfeasibleTariff
    from stackopt.errors import InvalidCandidate as InvalidCandidate
    from stackopt.errors import InvalidGame as InvalidGame
    from stackopt.errors import InvalidInput as InvalidInput
    from stackopt.errors import InvalidMethod as InvalidMethod
    from stackopt.errors import InvalidOutput as InvalidOutput
    from stackopt.errors import InvalidProgram as InvalidProgram
    from stackopt.errors import InvalidStore as InvalidStore
    from stackopt.errors import InvalidStudy as InvalidStudy
    from stackopt.errors import MissingPackage as MissingPackage
    from stackopt.errors import NotCertified as NotCertified
    from stackopt.errors import Refused as Refused
    from stackopt.errors import StackoptError as StackoptError
    from stackopt.errors import UnknownModel as UnknownModel
    from stackopt.exact.enumeration import Enumeration as Enumeration
    from stackopt.exact.exact import Exact as Exact
    from stackopt.exact.fixed_points import FixedPoints as FixedPoints
    from stackopt.exact.fixed_points import fixed_points as fixed_points
    from stackopt.exact.mean_field.patterns import equilibria as equilibria
    from stackopt.exact.reformulated import BigM as BigM
    from stackopt.exact.reformulated import Indicator as Indicator
    from stackopt.exact.reformulated import Scip as Scip
    from stackopt.exact.reformulated import Sos1 as Sos1
    from stackopt.exact.reformulated import StrongDuality as StrongDuality
    from stackopt.games.bayesian import BayesianGame as BayesianGame
    from stackopt.games.mean_field.chunked import PeriodicResponse as PeriodicResponse
    from stackopt.games.mean_field.factored import Factored as Factored
    from stackopt.games.mean_field.finite_population import FinitePopulation as FinitePopulation
    from stackopt.games.mean_field.finite_population import finite_population as finite_population
    from stackopt.games.mean_field.game import MeanFieldStackelbergGame as MeanFieldStackelbergGame
    from stackopt.games.mean_field.horizon import Finite as Finite
    from stackopt.games.mean_field.horizon import Periodic as Periodic
    from stackopt.games.mean_field.horizon import Stationary as Stationary
    from stackopt.games.mean_field.kernels import Dense as Dense
    from stackopt.games.mean_field.kernels import Sparse as Sparse
    from stackopt.games.mean_field.leaders import Box as Box
    from stackopt.games.mean_field.leaders import Menu as Menu
    from stackopt.games.mean_field.leaders import Policies as Policies
    from stackopt.games.mean_field.leaders import Simplex as Simplex
    from stackopt.games.mean_field.population import Population as Population
    from stackopt.games.mean_field.priced import PricedPopulation as PricedPopulation
    from stackopt.games.mean_field.priced import Prices as Prices
    from stackopt.games.profile import Profile as Profile
    from stackopt.games.security import Coverage as Coverage
    from stackopt.games.security import SecurityGame as SecurityGame
    from stackopt.games.stackelberg import StackelbergGame as StackelbergGame
    from stackopt.games.stackelberg import stay as stay
    from stackopt.learning.environment import EnvironmentOracle as EnvironmentOracle
    from stackopt.learning.from_samples.learn import learn as learn
    from stackopt.learning.from_samples.learned import Learned as Learned
    from stackopt.learning.hypergradient import HypergradientAscent as HypergradientAscent
    from stackopt.learning.mean_field.equilibrium import MeanFieldEquilibrium as MeanFieldEquilibrium
    from stackopt.learning.mean_field.fast import price_equilibrium as price_equilibrium
    from stackopt.learning.mean_field.fictitious_play import FictitiousPlay as FictitiousPlay
    from stackopt.learning.mean_field.gauss_seidel import GaussSeidel as GaussSeidel
    from stackopt.learning.mean_field.leader_model_free import ModelFreeAscent as ModelFreeAscent
    from stackopt.learning.mean_field.mirror_descent import MirrorDescent as MirrorDescent
    from stackopt.learning.mean_field.path_following import PathFollowing as PathFollowing
    from stackopt.learning.mean_field.quasi_newton import QuasiNewton as QuasiNewton
    from stackopt.learning.mean_field.sampled_followers import SampledFollowers as SampledFollowers
    from stackopt.learning.naive_ascent import NaiveAscent as NaiveAscent
    from stackopt.learning.oracles import Asked as Asked
    from stackopt.learning.oracles import FollowerOracle as FollowerOracle
    from stackopt.learning.oracles import KnownModel as KnownModel
    from stackopt.learning.oracles import QLearners as QLearners
    from stackopt.learning.oracles import SoftPopulation as SoftPopulation
    from stackopt.learning.softmax_policy_iteration import SoftmaxPolicyIteration as SoftmaxPolicyIteration
    from stackopt.proof.proof import Proof as Proof
    from stackopt.proof.proof import check as check
    from stackopt.reformulations.forms import reformulate as reformulate
    from stackopt.reformulations.reduction import Reduction as Reduction
    from stackopt.solution import Method as Method
    from stackopt.solution import Problem as Problem
    from stackopt.solution import Progress as Progress
    from stackopt.solution import Refusal as Refusal
    from stackopt.solution import Run as Run
    from stackopt.solution import Solution as Solution
    from stackopt.solution import Status as Status
    from stackopt.solving import solve as solve
    from stackopt.verification.verify import Verification as Verification
    from stackopt.verification.verify import verify as verify

#: Public name -> module that defines it.
_HOME = {
    "catalog": "catalog",  # the module itself
    "networks": "networks",
    "Proof": "proof.proof",
    "check": "proof.proof",
    "Reduction": "reformulations.reduction",
    "reformulate": "reformulations.forms",
    "BilevelProgram": "bilevel.program",
    "from_cvxpy": "bilevel.from_cvxpy",
    "from_pyomo": "bilevel.from_pyomo",
    "dual": "bilevel.multiplier_symbols",
    "read": "bilevel.files",
    "write": "bilevel.files",
    "Level": "bilevel.program",
    "Multiplier": "bilevel.program",
    "Objective": "bilevel.program",
    "Point": "bilevel.point",
    "BigM": "exact.reformulated",
    "Indicator": "exact.reformulated",
    "Scip": "exact.reformulated",
    "Sos1": "exact.reformulated",
    "StrongDuality": "exact.reformulated",
    "Rows": "bilevel.program",
    "Assumption": "certificate",
    "Bound": "certificate",
    "Certificate": "certificate",
    "Check": "certificate",
    "Examination": "certificate",
    "Comparison": "comparison.comparison",
    "Interrupted": "comparison.compare",
    "compare": "comparison.compare",
    "Verification": "verification.verify",
    "verify": "verification.verify",
    "InfeasibleTariff": "errors",
    "InvalidCandidate": "errors",
    "InvalidGame": "errors",
    "InvalidInput": "errors",
    "InvalidMethod": "errors",
    "InvalidOutput": "errors",
    "InvalidProgram": "errors",
    "InvalidStore": "errors",
    "InvalidStudy": "errors",
    "MissingPackage": "errors",
    "NotCertified": "errors",
    "Refused": "errors",
    "StackoptError": "errors",
    "UnknownModel": "errors",
    "Enumeration": "exact.enumeration",
    "Exact": "exact.exact",
    "FixedPoints": "exact.fixed_points",
    "fixed_points": "exact.fixed_points",
    "equilibria": "exact.mean_field.patterns",
    "BayesianGame": "games.bayesian",
    "Coverage": "games.security",
    "Box": "games.mean_field.leaders",
    "Dense": "games.mean_field.kernels",
    "Factored": "games.mean_field.factored",
    "Finite": "games.mean_field.horizon",
    "MeanFieldStackelbergGame": "games.mean_field.game",
    "FinitePopulation": "games.mean_field.finite_population",
    "finite_population": "games.mean_field.finite_population",
    "Menu": "games.mean_field.leaders",
    "Periodic": "games.mean_field.horizon",
    "Policies": "games.mean_field.leaders",
    "PeriodicResponse": "games.mean_field.chunked",
    "PricedPopulation": "games.mean_field.priced",
    "Prices": "games.mean_field.priced",
    "Population": "games.mean_field.population",
    "Simplex": "games.mean_field.leaders",
    "Sparse": "games.mean_field.kernels",
    "Stationary": "games.mean_field.horizon",
    "Profile": "games.profile",
    "SecurityGame": "games.security",
    "StackelbergGame": "games.stackelberg",
    "stay": "games.stackelberg",
    "Asked": "learning.oracles",
    "EnvironmentOracle": "learning.environment",
    "FollowerOracle": "learning.oracles",
    "HypergradientAscent": "learning.hypergradient",
    "KnownModel": "learning.oracles",
    "Learned": "learning.from_samples.learned",
    "QLearners": "learning.oracles",
    "SoftPopulation": "learning.oracles",
    "learn": "learning.from_samples.learn",
    "FictitiousPlay": "learning.mean_field.fictitious_play",
    "GaussSeidel": "learning.mean_field.gauss_seidel",
    "MirrorDescent": "learning.mean_field.mirror_descent",
    "PathFollowing": "learning.mean_field.path_following",
    "QuasiNewton": "learning.mean_field.quasi_newton",
    "MeanFieldEquilibrium": "learning.mean_field.equilibrium",
    "price_equilibrium": "learning.mean_field.fast",
    "ModelFreeAscent": "learning.mean_field.leader_model_free",
    "SampledFollowers": "learning.mean_field.sampled_followers",
    "NaiveAscent": "learning.naive_ascent",
    "SoftmaxPolicyIteration": "learning.softmax_policy_iteration",
    "Method": "solution",
    "Problem": "solution",
    "Progress": "solution",
    "Refusal": "solution",
    "Run": "solution",
    "Solution": "solution",
    "Status": "solution",
    "solve": "solving",
}

__version__ = "0.1.0"
__all__ = [*sorted(_HOME), "__version__"]  # noqa: PLE0604  # a test holds it equal to what is importable


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'stackopt' has no attribute {name!r}")
    module = importlib.import_module(f"stackopt.{_HOME[name]}")
    value = module if _HOME[name] == name else getattr(module, name)
    globals()[name] = value  # found at once the next time
    return value


def __dir__() -> list[str]:
    return __all__
