"""Optimizers: the rules by which gradients change parameters, and the rates that they follow.

    base.py        Optimizer: collects and checks gradients, clips them, updates; a user's own begins here
    sgd.py         SGD: momentum, Nesterov's or the classical one
    adam.py        Adam, with decoupled weight decay
    clipping.py    the norm of a gradient, limited
    schedules.py   the rate as a function of the step
"""
from .adam import Adam
from .base import Optimizer
from .schedules import constant, cosine, lowered_at, plateau, stepped
from .sgd import SGD

__all__ = ["SGD", "Adam", "Optimizer", "constant", "cosine", "lowered_at", "plateau", "stepped"]
