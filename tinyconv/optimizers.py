"""Optimisers, and the rates that they follow."""
import math

import numpy as np

from .kernels import load


class SGD:
    """Stochastic gradient descent: velocity = momentum velocity + g; weight -= lr velocity, with g = dweight + weight_decay weight.

    net           anything with params and grads; both are read at every step
    lr            the rate, or a function step -> rate: constant(...), stepped(...) or cosine(...)
    momentum      0 for none; with nesterov=True the step looks ahead: weight -= lr (g + momentum velocity)
    clip          the largest allowed norm of the gradient, taken over all parameters together; None: not limited
    velocity      a dict with the keys of net.params        steps   how many have been taken

    Raises ValueError for a negative option, or parameters that cannot be updated where they lie.
    Source: the contract page of kernels/sgd; clipping: Pascanu, Mikolov, Bengio 2013.
    """

    def __init__(self, net, lr=0.01, momentum=0.0, weight_decay=0.0, nesterov=False, *, clip=None):
        for name, value in (("lr", 0 if callable(lr) else lr), ("momentum", momentum), ("weight_decay", weight_decay)):
            if not (value >= 0 and math.isfinite(value)):
                raise ValueError(f"SGD: expected {name} of 0 or more, got {value}")
        if clip is not None and not clip > 0:
            raise ValueError(f"SGD: expected clip above 0, or None, got {clip}")
        if nesterov and momentum == 0:
            raise ValueError("SGD: nesterov=True looks ahead along the momentum, so it needs momentum above 0")
        self.net, self.rate = net, lr if callable(lr) else constant(lr)
        self.momentum, self.weight_decay, self.nesterov, self.clip = momentum, weight_decay, nesterov, clip
        self.velocity = {name: np.zeros_like(value) for name, value in net.params.items()}
        self.steps = 0
        for name, value in net.params.items():
            if not value.flags.c_contiguous:
                raise ValueError(f"SGD: {name} must lie contiguously in memory to be updated there; use numpy.ascontiguousarray")

    def step(self):
        """Update every parameter by its gradient. Raises RuntimeError where a gradient is missing: backward comes first."""
        params, grads = self.net.params, self.net.grads
        if missing := params.keys() - grads.keys():
            raise RuntimeError(f"SGD: no gradient for {', '.join(sorted(missing))}; call backward before step")
        kernel = load("sgd", "reference" if getattr(self.net, "device", "cpu") == "reference" else "cpu")
        scale = 1.0
        if self.clip is not None:
            norm = math.sqrt(sum(kernel.sum_of_squares(grads[name]) for name in params))
            scale = min(1.0, self.clip / norm) if norm > 0 else 1.0
        for name, weight in params.items():
            dweight = grads[name].astype(weight.dtype, copy=False)
            kernel.update(weight, dweight, self.velocity[name], self.rate(self.steps), self.momentum, self.weight_decay, self.nesterov, scale)
        self.steps += 1


def constant(lr):
    """rate(step) = lr"""
    return lambda step: lr


def stepped(lr, every, factor=0.1):
    """rate(step) = lr factor^(step // every): lower by a factor after each `every` steps (Krizhevsky et al. 2012 divide by 10)."""
    return lambda step: lr * factor ** (step // every)


def cosine(lr, steps):
    """rate(step) = lr/2 (1 + cos(pi step / steps)): from lr down to 0 after `steps` steps (Loshchilov, Hutter 2017)."""
    return lambda step: lr / 2 * (1 + math.cos(math.pi * min(step, steps) / steps))
