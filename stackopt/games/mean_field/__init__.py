"""Mean-field games with a leader: the model, its operators, its equilibria's certificates."""

from stackopt.games.mean_field.game import MeanFieldStackelbergGame as MeanFieldStackelbergGame
from stackopt.games.mean_field.horizon import Finite as Finite
from stackopt.games.mean_field.horizon import Periodic as Periodic
from stackopt.games.mean_field.horizon import Stationary as Stationary
from stackopt.games.mean_field.leaders import Box as Box
from stackopt.games.mean_field.leaders import Menu as Menu
from stackopt.games.mean_field.leaders import Policies as Policies
from stackopt.games.mean_field.leaders import Simplex as Simplex
from stackopt.games.mean_field.population import Population as Population
