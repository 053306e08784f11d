"""The workloads: one operation in one direction on one layer's shapes, read off the models themselves, so
that no shape is written twice.

A kernel's arguments are found by the names of its parameters (kernels/<op>/__init__.py, the same on every
backend): x, dy and y are random arrays of the layer's shapes, weight, bias and the like are the layer's
params and state, stride, size and the like its attributes.
"""

import inspect
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from .. import execution, models
from ..errors import TinyconvError
from ..kernels import load
from ..layers import Conv2d, Dropout
from ..network import walk

IN_PLACE = {"update": ("weight", "velocity")}  # functions that give nothing back, and what they write into
PER_IMAGE = {
    "x",
    "penalties",
    "scores",
    "labels",
    "dy",
    "y",
}  # arguments whose first axis is that of the images
UPDATED = ("weight", "dweight", "velocity")  # the arrays of an optimiser, one element for each parameter


def _builder(model):
    return lambda: (model(rng=0), model.bench.loss())


MEASURED = {name: model for name, model in models.MODELS.items() if model.bench}
# model -> a function that gives (the network, its loss); and the options of its optimiser
MODELS = {name: _builder(model) for name, model in MEASURED.items()}
RECIPES = {name: model.bench.optimizer for name, model in MEASURED.items()}

# The float64 reference is slow: where it would take more than so many operations, the images of a batch are
# REPEATED ones over and over, and it computes only those. Every element is still checked. They are no divisor
# of the lanes of a vector: neighbours differ.
CHECKED, REPEATED, REPEATED_ELEMENTS = 10**8, 3, 10**6
PER_ELEMENT = 32  # operations that an element of x counts for, besides multiply-adds


def distinct(images, operations):
    """How many of `images` images are different ones, if the reference takes `operations` for one."""
    return images if images * operations <= CHECKED else min(images, REPEATED)


def parameters_of(operation, function):
    """The names of a kernel's parameters, but for those with a default (ceil): no model that is measured here
    has another value.
    """
    parameters = inspect.signature(getattr(load(operation, "reference"), function)).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.default is parameter.empty)


@dataclass(frozen=True)
class Workload:
    """One operation in one direction. x_shape is that of one image; multiply_adds are those of one image."""

    model: str
    layer: str  # its name in the model: "C1"
    operation: str  # "conv2d"
    direction: str  # a public function of the kernel: "forward", "backward_input", ...
    x_shape: tuple
    multiply_adds: int
    given: dict  # further arguments by name: parameters and options
    y_shape: tuple = ()  # that of the result of forward for one image
    # whether training shares each call among threads ("layers" in tinyconv/execution/strategy.py), not whole
    # chunks of images
    shared: bool = False

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
        """Whether threads take parts of it: not of an optimiser over few parameters."""
        return self.shared or not self.updates

    @property
    def updates(self):
        """Whether it is an optimiser's: then there are no images, and x_shape is (parameters,)."""
        return self.operation == "sgd"

    @property
    def sums_over_images(self):
        """Whether the results of two parts of a batch add up to that of the whole: the gradients of
        parameters.
        """
        return self.direction.startswith("backward_") and self.direction != "backward_input"

    def flop(self, batch):
        """Useful floating-point operations: a multiplication and an addition for each connection, nothing for
        padding or unused lanes.
        """
        return 2 * self.multiply_adds * batch

    def distinct(self, batch):
        """How many images differ in a batch (of an optimiser: how many elements)."""
        if self.updates:
            return min(self.x_shape[0], REPEATED_ELEMENTS)
        if self.operation == "dropout":
            return batch  # its mask differs at every place
        return distinct(batch, self.multiply_adds + PER_ELEMENT * int(np.prod(self.x_shape)))

    def checked(self, batch):
        """What the reference computes, where that is not all; else ""."""
        n, whole = self.distinct(batch), self.x_shape[0] if self.updates else batch
        return "" if n == whole else f"{n:,} {'elements' if self.updates else 'images'}, repeated"

    def _different(self, n, dtype):
        """{name: argument} of all directions for n different images, the same at every call; float64 arrays
        hold the numbers of float32.
        """
        rng = np.random.default_rng(0)
        found = {
            name: np.asarray(value, np.float32) if _is_float_array(value) else value
            for name, value in self.given.items()
        }
        if self.updates:
            found |= {name: rng.standard_normal(n).astype(np.float32) for name in UPDATED}
        else:
            x = found["x"] = rng.standard_normal((n, *self.x_shape)).astype(np.float32)
            found |= {"x_shape": x.shape, "labels": np.arange(n) % self.x_shape[0]}
            found |= {
                name: 4 * x * x for name in ("penalties", "scores") if name in self.inputs
            }  # what a loss calls its x
            found["dy"] = rng.standard_normal((n, *self.y_shape)).astype(np.float32)
            if "y" in self.parameters:
                found["y"] = load(self.operation, "reference").forward(*(found[name] for name in self.inputs))
        return {
            name: np.asarray(value, dtype) if _is_float_array(value) else value
            for name, value in found.items()
        }

    def everything(self, batch, dtype):
        """{name: argument} of all directions, in logical shapes (NCHW)."""
        n, whole = self.distinct(batch), self.x_shape[0] if self.updates else batch
        found = self._different(n, dtype)
        if n < whole:
            repeated = np.arange(whole) % n
            found |= {
                name: found[name][repeated]
                for name in (UPDATED if self.updates else PER_IMAGE & found.keys())
            }
            found["x_shape"] = (whole, *self.x_shape)
        return found

    def arrays(self, batch, dtype):
        """The arguments of this direction: {name: argument}."""
        found = self.everything(batch, dtype)
        return {name: found[name] for name in self.parameters}

    def expected(self, batch):
        """What the reference computes in float64 from the same numbers."""
        n, whole = self.distinct(batch), self.x_shape[0] if self.updates else batch
        arrays, repeated = self._different(n, np.float64), np.arange(whole) % n
        if self.sums_over_images:  # as often as an image comes: the sum is linear in dy
            arrays["dy"] = (arrays["dy"].T * np.bincount(repeated)).T
        result = getattr(load(self.operation, "reference"), self.direction)(
            *(arrays[name] for name in self.parameters)
        )
        result = np.asarray(arrays[IN_PLACE[self.direction][0]] if self.direction in IN_PLACE else result)
        return result if n == whole or result.shape[:1] != (n,) or self.sums_over_images else result[repeated]

    def work(self, batch, dtype, expected):
        """{"flop", "bytes", "footprint"}: bytes are those that must move at least, each array that is read or
        written once; the footprint is that of all arrays, which has to fit a cache."""
        given = {
            name: value.nbytes
            for name, value in self.arrays(batch, dtype).items()
            if isinstance(value, np.ndarray)
        }
        written = (
            sum(given[name] for name in IN_PLACE[self.direction])
            if self.direction in IN_PLACE
            else expected.size * np.dtype(dtype).itemsize
        )
        read = sum(given.values())
        return {
            "flop": self.flop(batch),
            "bytes": read + written,
            "footprint": read if self.direction in IN_PLACE else read + written,
        }

    def terms(self, batch, expected):
        """K, how many terms one element of the result sums up: what its rounding error is measured by."""
        largest = max(
            value.size for value in self.arrays(batch, np.float32).values() if isinstance(value, np.ndarray)
        )
        return max(1.0, self.multiply_adds * batch / expected.size, largest / expected.size)


def of_model(model):
    """All workloads of a model: each layer's directions, then the loss, then the optimiser over all its
    parameters at once.
    """
    net, loss = MODELS[model]()
    shape, found = (1, *net.input_shape), []
    shared = execution.strategy(net, np.empty(shape, np.float32), loss).name == "layers"
    for node in walk(net, shape):
        if node.layer.operation:
            some = of_layer(model, node.name, node.layer, node.x_shape, shared)
            found += (
                some
                if found or not shared
                else [workload for workload in some if workload.direction != "backward_input"]
            )  # never computed
    shape = net.output_shape(shape)
    found += [
        Workload(model, "loss", loss.operation, direction, shape[1:], 0, vars(loss), (), shared)
        for direction in ("forward", "backward_input")
    ]
    size = sum(value.size for value in net.params.values())
    given = {"scale": 1.0, "weight_decay": 0.0, "nesterov": False} | RECIPES[model]
    return found + [
        Workload(model, "optimizer", "sgd", direction, (size,), 0, given, (), shared)
        for direction in (("update",) if shared else ("update", "sum_of_squares"))
    ]


@cache
def kept(model):
    """of_model(model), made once a process: AlexNet's weights take a second."""
    return of_model(model)


def of_layer(model, name, layer, x_shape, shared=False):
    """One workload for y, for dx and for each parameter's gradient of a layer that sees x_shape (1,
    C, H, W).
    """
    directions = ["forward", "backward_input", *(f"backward_{parameter}" for parameter in layer.params)]
    return [
        Workload(
            model,
            name,
            layer.operation,
            direction,
            tuple(x_shape[1:]),
            0 if direction == "backward_bias" else layer.multiply_adds(x_shape),
            options(layer),
            layer.output_shape(x_shape)[1:],
            shared,
        )
        for direction in directions
    ]


def options(layer):
    """The arguments of a layer's kernels that do not depend on x, by name."""
    found = {**vars(layer), **layer.params, **layer.state, "connections": getattr(layer, "pairs", None)}
    if isinstance(layer, Dropout):  # in training
        found |= {
            "key": np.ones(1, np.uint64),
            "first": 0,
            "scale": 1 / (1 - layer.rate) if layer.scale == "training" else 1.0,
        }
    return found


def chosen(names):
    """The workloads that the command line names: models, and operations, on the layers of the first model
    that has them. Raises TinyconvError.
    """
    found = {}
    for name in names:
        some = (
            of_model(name)
            if name in MODELS
            else next(filter(None, (_of_operation(model, name) for model in MODELS)), None)
        )
        if not some:
            raise TinyconvError(
                f"{name}: no layer of {', '.join(MODELS)} computes it, so there are no real shapes to "
                "measure it on yet"
            )
        found |= {(w.model, w.layer, w.direction): w for w in some}
    return list(found.values())


def _of_operation(model, operation):
    return [workload for workload in of_model(model) if workload.operation == operation]


def ladder_shapes(device="cpu"):
    """The layers on which the ladder is climbed: C1, and one of C3's size in which every map sees every
    other; on the GPU also one of the size of AlexNet's conv3, for which plain loops on a CPU take a minute.
    """
    net, _ = MODELS["lenet5"]()
    c1, c3 = net.named_layers["C1"], Conv2d(6, 16, 5, rng=0)
    shapes = [
        ("C1 1->6, 5x5 on 32x32", c1, (1, *net.input_shape)),
        ("6->16, 5x5 on 14x14", c3, (1, 6, 14, 14)),
    ]
    if device == "cuda":
        shapes.append(("256->384, 3x3 on 13x13", Conv2d(256, 384, 3, padding=1, rng=0), (1, 256, 13, 13)))
    return [
        workload
        for name, layer, shape in shapes
        for workload in of_layer("lenet5", name, layer, shape)
        if workload.direction != "backward_bias"
    ]


def _is_float_array(value):
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"
