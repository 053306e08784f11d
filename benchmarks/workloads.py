"""The workloads: one operation in one direction on one layer's shapes, read off the models themselves, so that no shape is written twice.

A kernel's arguments are found by the names of its parameters (kernels/<op>/__init__.py, the same on every backend): x, dy and y are random
arrays of the layer's shapes, weight, bias and the like are the layer's params and state, stride, size and the like its attributes.
"""
import inspect
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .. import models
from ..errors import TinyconvError
from ..kernels import load
from ..layers import Conv2d
from ..losses import RBFLoss

IN_PLACE = {"update": ("weight", "velocity")}               # functions that give nothing back, and what they write into
PER_IMAGE = {"x", "penalties", "scores", "labels"}          # what goes into an operation for each image

# model -> (the network, its loss). To add one: a line here.
MODELS = {"lenet5": lambda: (models.lenet5(rng=0), RBFLoss("map", j=10))}
COMING = {"alexnet": "alexnet: the model is not there yet, so neither is its benchmark; lenet5 is"}


def parameters_of(operation, function):
    """The names of a kernel's parameters, but for those with a default (ceil): no model that is measured here has another value."""
    parameters = inspect.signature(getattr(load(operation, "reference"), function)).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.default is parameter.empty)


@dataclass(frozen=True)
class Workload:
    """One operation in one direction. x_shape is that of one image; multiply_adds are those of one image."""

    model: str
    layer: str                   # its name in the model: "C1"
    operation: str               # "conv2d"
    direction: str               # a public function of the kernel: "forward", "backward_input", ...
    x_shape: tuple
    multiply_adds: int
    given: dict                  # further arguments by name: parameters and options

    @cached_property
    def parameters(self):
        """The names of the function's parameters."""
        return parameters_of(self.operation, self.direction)

    @property
    def inputs(self):
        """The names of the parameters of the operation's forward."""
        return parameters_of(self.operation, "forward")

    @property
    def splits(self):
        """Whether threads can share the batch: not where there is none, as in an optimiser."""
        return self.operation != "sgd"

    @property
    def sums_over_images(self):
        """Whether the results of two parts of a batch add up to that of the whole: the gradients of parameters."""
        return self.direction.startswith("backward_") and self.direction != "backward_input"

    def flop(self, batch):
        """Useful floating-point operations: a multiplication and an addition for each connection, nothing for padding or unused lanes."""
        return 2 * self.multiply_adds * batch

    def everything(self, batch, dtype):
        """{name: argument} of all directions, in logical shapes (NCHW), the same at every call; float64 arrays hold the numbers of float32."""
        rng = np.random.default_rng(0)
        found = {name: np.array(value, np.float32) if _is_float_array(value) else value for name, value in self.given.items()}
        if self.splits:
            x = found["x"] = rng.standard_normal((batch, *self.x_shape)).astype(np.float32)
            found |= {"x_shape": x.shape, "labels": np.arange(batch) % self.x_shape[0]}
            found |= {name: 4 * x * x for name in ("penalties", "scores")}          # what a loss calls its x
            forward = load(self.operation, "reference").forward
            one = forward(*(found[name][:1] if name in PER_IMAGE else found[name] for name in self.inputs))
            found["dy"] = rng.standard_normal((batch, *one.shape[1:])).astype(np.float32)
            if "y" in self.parameters:
                found["y"] = forward(*(found[name] for name in self.inputs))
        return {name: np.array(value, dtype) if _is_float_array(value) else value for name, value in found.items()}

    def arrays(self, batch, dtype):
        """The arguments of this direction: {name: argument}."""
        found = self.everything(batch, dtype)
        return {name: found[name] for name in self.parameters}

    def expected(self, batch):
        """What the reference computes in float64 from the same numbers."""
        arrays = self.arrays(batch, np.float64)
        result = getattr(load(self.operation, "reference"), self.direction)(*(arrays[name] for name in self.parameters))
        return np.asarray(arrays[IN_PLACE[self.direction][0]] if self.direction in IN_PLACE else result)

    def work(self, batch, dtype, expected):
        """{"flop", "bytes", "footprint"}: bytes are those that must move at least, each array that is read or written once; the footprint
        is that of all arrays, which has to fit a cache."""
        given = {name: value.nbytes for name, value in self.arrays(batch, dtype).items() if isinstance(value, np.ndarray)}
        written = sum(given[name] for name in IN_PLACE[self.direction]) if self.direction in IN_PLACE else expected.size * np.dtype(dtype).itemsize
        read = sum(given.values())
        return {"flop": self.flop(batch), "bytes": read + written, "footprint": read if self.direction in IN_PLACE else read + written}

    def terms(self, batch, expected):
        """K, how many terms one element of the result sums up: what its rounding error is measured by."""
        largest = max(value.size for value in self.arrays(batch, np.float32).values() if isinstance(value, np.ndarray))
        return max(1.0, self.multiply_adds * batch / expected.size, largest / expected.size)


def of_model(model):
    """All workloads of a model: each layer's directions, then the loss, then the optimiser over all its parameters at once."""
    net, loss = MODELS[model]()
    shape, found = (1, *net.input_shape), []
    for name, layer in net.named_layers.items():
        if layer.operation:
            found += of_layer(model, name, layer, shape)
        shape = layer.output_shape(shape)
    found += [Workload(model, "loss", loss.operation, direction, shape[1:], 0, vars(loss)) for direction in ("forward", "backward_input")]
    size = sum(value.size for value in net.params.values())
    weight, dweight, velocity = np.random.default_rng(0).standard_normal((3, size))
    given = {"weight": weight, "dweight": dweight, "velocity": velocity, "scale": 1.0,
             "lr": 1e-3, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": True}
    return found + [Workload(model, "optimizer", "sgd", direction, (size,), 0, given) for direction in ("update", "sum_of_squares")]


def of_layer(model, name, layer, x_shape):
    """One workload for y, for dx and for each parameter's gradient of a layer that sees x_shape (1, C, H, W)."""
    directions = ["forward", "backward_input", *(f"backward_{parameter}" for parameter in layer.params)]
    return [Workload(model, name, layer.operation, direction, tuple(x_shape[1:]),
                     0 if direction == "backward_bias" else layer.multiply_adds(x_shape), options(layer)) for direction in directions]


def options(layer):
    """The arguments of a layer's kernels that do not depend on x, by name."""
    return {**vars(layer), **layer.params, **layer.state, "connections": getattr(layer, "pairs", None)}


def chosen(names):
    """The workloads that the command line names: models, and operations of any model. Raises TinyconvError for one that is not there."""
    found = {}
    for name in names:
        if name in COMING:
            raise TinyconvError(COMING[name])
        some = of_model(name) if name in MODELS else [w for model in MODELS for w in of_model(model) if w.operation == name]
        if not some:
            raise TinyconvError(f"{name}: no layer of {', '.join(MODELS)} computes it, so there are no real shapes to measure it on yet")
        found |= {(w.model, w.layer, w.direction): w for w in some}
    return list(found.values())


def ladder_shapes():
    """The layers on which the ladder is climbed: C1, and one of C3's size in which every map sees every other."""
    net, _ = MODELS["lenet5"]()
    c1, c3 = net.named_layers["C1"], Conv2d(6, 16, 5, rng=0)
    shapes = (("C1 1->6, 5x5 on 32x32", c1, (1, *net.input_shape)), ("6->16, 5x5 on 14x14", c3, (1, 6, 14, 14)))
    return [workload for name, layer, shape in shapes for workload in of_layer("lenet5", name, layer, shape) if workload.direction != "backward_bias"]


def _is_float_array(value):
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"
