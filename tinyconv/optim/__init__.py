"""Optimizers: the rules by which gradients change parameters, and the rates that they follow.

base.py         Optimizer: what all have in common; an optimizer of one's own begins here
compiled.py     CompiledOptimizer: an optimizer whose update is a kernel (kernels/sgd, kernels/adam)
sgd.py          SGD: momentum, Nesterov's or the classical one
adam.py         Adam, with decoupled weight decay
schedules.py    the rate as a function of the step
clipping.py     the norm of a gradient, limited
settings.py     attributes that are checked when they are set
collecting.py   parameters, gradients and slots as the rows of an update; checks.py: their checks
tapes.py        many small parameters, updated without Python in between
"""

from .adam import Adam
from .base import Optimizer
from .schedules import constant, cosine, lowered_at, plateau, stepped
from .sgd import SGD

__all__ = ["SGD", "Adam", "Optimizer", "constant", "cosine", "lowered_at", "plateau", "stepped"]
