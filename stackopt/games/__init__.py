"""Finite Markov games: the model, its operators, responses and certificates."""

from stackopt.games.profile import Profile as Profile
from stackopt.games.stackelberg import StackelbergGame as StackelbergGame
from stackopt.games.stackelberg import stay as stay
