"""The table of exercises, in the order in which they are best done, and the points at which each is
checked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from inspect import signature

import numpy as np

from .operations import Chain, Loss, Operation, SquaredSlopes


@dataclass(frozen=True)
class Exercise:
    """One file of the course."""

    name: str  # of the file
    about: str  # in a few words
    points: Callable  # rng -> [(x, params, options), ...]: where it is checked
    kind: type = Operation  # operations.py
    extra: bool = False  # whether it does not count
    prefix: str = "backward_"  # of the names of its functions

    @property
    def solution(self):
        """The module of our solution."""
        return import_module(f"{__package__}.solutions.{self.name}")

    @property
    def functions(self):
        """{"x": "backward_input", "weight": "backward_weight" ...}: what is to be written."""
        names = [name for name in vars(self.solution) if name.startswith(self.prefix)]
        return {
            "x" if name == f"{self.prefix}input" else name.removeprefix(self.prefix): name for name in names
        }

    def arguments(self, name):
        """The names of the arguments of one of its functions."""
        return tuple(signature(getattr(self.solution, name)).parameters)

    def gradient_name(self, array):
        """x -> dx; D1.weight -> D1.dweight; where second derivatives are asked for, ddx."""
        layer, dot, key = array.rpartition(".")
        return f"{layer}{dot}{'dd' if self.kind is SquaredSlopes else 'd'}{key}"

    def build(self, gradients, forward=None):
        """[(object, x, further arguments of check_gradients), ...], one a point.

        gradients {array: function of a dict of arguments}; forward: another one than the solution's
        """
        forward = forward or self.solution.forward
        return [self._object(forward, gradients, *point) for point in self.points(np.random.default_rng(0))]

    def _object(self, forward, gradients, x, params, options):
        if self.kind is Loss:
            return Loss(forward, gradients, params, {}), x, options
        if self.kind is Chain:
            return Chain(forward, gradients, options), x, {}
        if self.kind is SquaredSlopes:
            return SquaredSlopes(forward, gradients, params, x), x, {}
        return Operation(forward, gradients, params, options), x, {}


def solved(name):
    """{array: function of a dict of arguments} of the solution."""
    exercise = BY_NAME[name]
    return {
        array: _by_name(getattr(exercise.solution, function), exercise.arguments(function))
        for array, function in exercise.functions.items()
    }


def _by_name(function, names):
    return lambda arguments: function(**{name: arguments[name] for name in names})


def _spread(rng, *shape):
    """Numbers between -2 and 2 in random order, no two alike: no window has two maxima."""
    size = int(np.prod(shape))
    return rng.permutation((np.arange(size) + 0.5) * 4 / size - 2).reshape(shape)


def _normal(rng, *shape):
    return rng.standard_normal(shape)


def _tanh(rng):
    return [(_spread(rng, 3, 4), {}, {}), (_spread(rng, 1, 2, 3, 2), {}, {})]


def _dense(rng):
    return [
        (_spread(rng, N, C), {"weight": _normal(rng, O, C), "bias": _normal(rng, O)}, {})
        for N, C, O in ((3, 4, 4), (4, 5, 3), (1, 2, 6))
    ]


def _conv2d(rng):
    shapes = (
        ((2, 2, 5, 6), (3, 3), 3, (1, 1), (0, 0)),
        ((3, 2, 7, 6), (3, 2), 2, (2, 2), (1, 1)),
        ((1, 3, 4, 5), (2, 3), 3, (1, 2), (1, 0)),
    )
    return [
        (
            _spread(rng, *x),
            {"weight": _normal(rng, O, x[1], *window), "bias": _normal(rng, O)},
            {"stride": stride, "padding": padding},
        )
        for x, window, O, stride, padding in shapes
    ]


def _subsample2d(rng):
    return [
        (_spread(rng, *x), {"coefficient": _normal(rng, x[1]), "bias": _normal(rng, x[1])}, {"size": size})
        for x, size in (((2, 3, 6, 4), (2, 2)), ((3, 2, 7, 8), (2, 3)), ((1, 4, 3, 2), (3, 1)))
    ]


def _table_conv2d(rng):
    table = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1]], bool)  # four output maps, three input maps
    return [
        (
            _spread(rng, N, 3, H, W),
            {"weight": _normal(rng, table.sum(), *window), "bias": _normal(rng, 4)},
            {"connections": np.argwhere(table)},
        )
        for N, H, W, window in ((3, 5, 4, (3, 3)), (1, 4, 5, (2, 3)))
    ]


def _rbf(rng):
    return [(_spread(rng, N, F), {"centers": _normal(rng, K, F)}, {}) for N, F, K in ((3, 4, 5), (1, 3, 2))]


def _max_pool2d(rng):
    return [
        (_spread(rng, *x), {}, {"size": size, "stride": stride})
        for x, size, stride in (
            ((2, 2, 4, 6), (2, 2), (2, 2)),
            ((2, 2, 7, 5), (3, 3), (2, 2)),
            ((1, 3, 4, 5), (2, 3), (1, 2)),
        )
    ]


def _softmax_cross_entropy(rng):
    return [(_normal(rng, N, K), {}, {"labels": rng.integers(K, size=N)}) for N, K in ((4, 5), (1, 3))]


def _local_response_norm(rng):
    return [
        (_spread(rng, *x), {}, {"size": size, "k": 2.0, "alpha": 0.5, "beta": 0.75})
        for x, size in (((2, 5, 2, 3), 3), ((1, 6, 2, 1), 5))
    ]


def _sequential(rng):
    def point(N, *sizes):
        layers = {}
        for place, (C, O) in enumerate(zip(sizes, sizes[1:])):
            params = {"weight": _normal(rng, O, C) / 2, "bias": _normal(rng, O) / 2}
            layers[f"D{2 * place + 1}"] = Operation(
                BY_NAME["dense"].solution.forward, solved("dense"), params, {}
            )
            layers[f"A{2 * place + 2}"] = Operation(BY_NAME["tanh"].solution.forward, solved("tanh"), {}, {})
        return _spread(rng, N, sizes[0]), {}, layers

    return [point(3, 4, 4, 4), point(2, 3, 5, 4, 2)]


def _diagonal_second_derivative(rng):
    return [
        (_spread(rng, N, C) / 2, {"weight": _normal(rng, O, C) / 2, "bias": _normal(rng, O) / 2}, {})
        for N, C, O in ((3, 4, 5), (1, 3, 2))
    ]


EXERCISES = (
    Exercise("tanh", "one number at a time", _tanh),
    Exercise("dense", "a matrix product, and sums over the batch", _dense),
    Exercise("softmax_cross_entropy", "where the gradient begins", _softmax_cross_entropy, Loss),
    Exercise("sequential", "the chain rule through layers", _sequential, Chain),
    Exercise("max_pool2d", "a gradient that goes to the winner", _max_pool2d),
    Exercise("subsample2d", "windows that are added up, and a coefficient", _subsample2d),
    Exercise("conv2d", "stride, padding, and windows that overlap", _conv2d),
    Exercise("table_conv2d", "maps that are connected by a table", _table_conv2d),
    Exercise("rbf", "distances to centers", _rbf),
    Exercise("local_response_norm", "an x that acts in two ways", _local_response_norm),
    Exercise(
        "diagonal_second_derivative",
        "an extra: how strongly the loss is curved",
        _diagonal_second_derivative,
        SquaredSlopes,
        extra=True,
        prefix="backward_diagonal_",
    ),
)
BY_NAME = {exercise.name: exercise for exercise in EXERCISES}
