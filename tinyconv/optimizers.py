"""Optimisers, and the rates that they follow."""
import copy
import math

import numba
import numpy as np

from . import device as door
from .kernels import load
from .kernels._kernel import threads_at_hand
from .kernels._tape import Tape, recording
from .kernels._threads import cut, play

SMALL = 2 ** 20                                             # parameters, below which calls from Python would take longer than the work


class SGD:
    """Stochastic gradient descent: velocity = momentum velocity + g; weight -= lr velocity, with g = dweight + weight_decay weight.

    net           anything with params and grads; both are read at every step
    lr            the rate, or a function step -> rate: constant(...), stepped(...), lowered_at(...), plateau(...) or cosine(...)
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
        self.velocity = {name: np.zeros(value.shape, value.dtype) for name, value in net.params.items()}
        self.steps, self._tapes = 0, None
        _check_contiguous(net.params)

    def step(self):
        """Update every parameter by its gradient. Raises RuntimeError where a gradient is missing: backward comes first."""
        params, grads = self.net.params, self.net.grads
        if missing := params.keys() - grads.keys():
            raise RuntimeError(f"SGD: no gradient for {', '.join(sorted(missing))}; call backward before step")
        device = getattr(self.net, "device", "cpu")
        self.take_along()
        triples = [(weight, door.converted(grads[name], weight.dtype), self.velocity[name]) for name, weight in params.items()]
        if device == "cpu" and not numba.config.DISABLE_JIT and sum(weight.size for weight, _, _ in triples) < SMALL:
            if self._tapes is None or not self._tapes.fit(triples, self.nesterov):
                _check_contiguous(params)
                self._tapes = _Tapes(load("sgd", "cpu"), triples, self.nesterov)
            self._tapes.put(triples)
            self._tapes.update(self.rate(self.steps), self.momentum, self.weight_decay, self._scale(self._tapes.sum_of_squares))
        else:
            kernels = [load("sgd", "cuda" if door.on_gpu(weight) else "reference" if device == "reference" else "cpu") for weight, _, _ in triples]
            scale = self._scale(lambda: sum(kernel.sum_of_squares(dweight) for kernel, (_, dweight, _) in zip(kernels, triples)))
            for kernel, triple in zip(kernels, triples):
                kernel.update(*triple, self.rate(self.steps), self.momentum, self.weight_decay, self.nesterov, scale)
        self.steps += 1

    def take_along(self):
        """Bring velocity to where the parameters are."""
        for name, weight in self.net.params.items():
            self.velocity[name] = door.moved(self.velocity[name], "cuda" if door.on_gpu(weight) else "cpu")

    def __getstate__(self):
        return self.__dict__ | {"_tapes": None}             # a copy has arrays of its own, and tapes work on addresses

    def __deepcopy__(self, memo):
        memo.update(door.copies_on_gpu(self.velocity.values()))
        twin = memo[id(self)] = object.__new__(type(self))
        twin.__dict__.update(copy.deepcopy(self.__getstate__(), memo))
        return twin

    def _scale(self, sum_of_squares):
        """What the gradient is multiplied by so that its norm is no larger than clip."""
        norm = 0 if self.clip is None else math.sqrt(sum_of_squares())
        return min(1.0, self.clip / norm) if norm > 0 else 1.0


def _check_contiguous(params):
    for name, value in params.items():
        if isinstance(value, np.ndarray) and not value.flags.c_contiguous:
            raise ValueError(f"SGD: {name} must lie contiguously in memory to be updated there; use numpy.ascontiguousarray")


class _Tapes:
    """The updates of many small parameters, and the norm of their gradients, as tapes (kernels/_tape.py): to call a kernel for each of them from
    Python would take longer than the work. The threads at hand take a share of every parameter."""

    def __init__(self, kernel, triples, nesterov):
        triples = [(weight, np.zeros_like(dweight), velocity) for weight, dweight, velocity in triples]      # 0: to record changes nothing
        self.triples, self.nesterov, self.threads = triples, nesterov, threads_at_hand()
        flat = [[array.reshape(-1) for array in triple] for triple in triples]
        with recording() as sums:
            for _, dweight, _ in flat:
                kernel.sum_of_squares(dweight)
        self.sums, self.sum_tape = [arguments[1] for _, arguments in sums], Tape(sums)
        self.options, self.update_tapes, self.slots = [], [], [[(self.sum_tape.slot(arguments[0]), slice(None))] for _, arguments in sums]
        for t in range(self.threads):
            shares = [cut(weight.size, self.threads)[t] for weight, _, _ in flat]
            with recording() as updates:
                for arrays, share in zip(flat, shares):     # at rate 0 and scale 0: noted, compiled, nothing changed
                    kernel.update(*(array[share] for array in arrays), 0, 1, 0, nesterov, 0)
            tape = Tape(updates)
            self.update_tapes.append(tape)
            for slots, share, (_, arguments) in zip(self.slots, shares, updates):
                slots.append((tape.slot(arguments[1]), share))
                self.options.append(arguments[3])

    def fit(self, triples, nesterov):
        """Whether weights and velocities are still the same arrays; the gradients may be others every time."""
        return (self.nesterov, self.threads, len(self.triples)) == (nesterov, threads_at_hand(), len(triples)) and all(
            weight is new_weight and velocity is new_velocity
            for (weight, _, velocity), (new_weight, _, new_velocity) in zip(self.triples, triples))

    def put(self, triples):
        for slots, (_, dweight, _), (_, new, _) in zip(self.slots, self.triples, triples):
            if new is not dweight:
                for slot, share in slots:
                    slot.put(new.reshape(-1)[share])
        self.triples = triples

    def sum_of_squares(self):
        self.sum_tape.play()
        return sum(float(total[0]) for total in self.sums)

    def update(self, *options):
        for place in self.options:
            place[:] = options
        play([tape.task() for tape in self.update_tapes])


def constant(lr):
    """rate(step) = lr"""
    return lambda step: lr


def stepped(lr, every, factor=0.1):
    """rate(step) = lr factor^(step // every): lower by a factor after each `every` steps (Krizhevsky et al. 2012 divide by 10)."""
    return lambda step: lr * factor ** (step // every)


def lowered_at(lr, steps, factor=0.1):
    """rate(step) = lr factor^k, k how many of `steps` have been reached: lower by a factor at given steps."""
    return lambda step: lr * factor ** sum(step >= at for at in steps)


def plateau(lr, errors, patience=5, factor=0.1, times=3):
    """rate(step) = lr factor^k: lower by a factor whenever the error has not got below its best for `patience` epochs, `times` at most.

    errors   a function without arguments: the validation errors of all epochs so far. The rate follows from them alone, so that a resumed
             run goes on with the rate that it had.

    Source: Krizhevsky et al. 2012, section 5: divided by 10 when the validation error stopped improving, three times.
    """
    return lambda step: lr * factor ** min(_times_without_progress(errors(), patience), times)


def _times_without_progress(errors, patience):
    best, waited, count = math.inf, 0, 0
    for error in errors:
        waited = 0 if error < best else waited + 1
        best = min(best, error)
        if waited == patience:
            count, waited = count + 1, 0
    return count


def cosine(lr, steps):
    """rate(step) = lr/2 (1 + cos(pi step / steps)): from lr down to 0 after `steps` steps (Loshchilov, Hutter 2017)."""
    return lambda step: lr / 2 * (1 + math.cos(math.pi * min(step, steps) / steps))
