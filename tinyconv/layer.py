"""Layer: the base of everything that has a forward and a backward pass."""
import copy
import functools
import inspect

import numpy as np

from . import device as door
from .errors import DtypeError, ShapeError
from .kernels import load

NO_DEFAULT = inspect.Parameter.empty                        # the default of a setting that has none


class Layer:
    """One operation with its parameters.

    `forward` and `backward` are the door: they check what comes, bring it into the native form of the device (a NumPy array; what
    comes from another layer is native already), and give back the same kind. Behind it a layer writes three things:

        _forward(x, training)      y, leaving in self.cache what the way back needs
        _backward_input(dy)        dx
        _backward_parameters(dy)   a dict of gradients with the keys of params (only where there are parameters)

    They are apart because each is a different sum, and because the first layer of a network needs no dx.

    params, grads  dicts of arrays with the same keys; backward *sets* grads, it never adds
    state          dict of arrays that belong to the layer without being trained: fixed codes, a counter of random draws; saved with params
    device         "cpu", "cuda" or "reference"
    precision      of matrix products on "cuda": "float32", exact, or "tf32", on tensor cores

    A layer computes in the dtype of x and converts its parameters and dy to it; y, dx and grads have the dtype of x.
    """

    operation = None                                        # the kernel folder: kernels/<operation>/
    # names of all attributes that say what the layer computes
    settings = ()
    supports_complex_step = True                            # on the reference, for check_gradients
    forgets = False                                         # whether it lets go of cache as soon as it can: one backward for each forward
    fused = ()                                              # what a captured step computes in the launch of a neighbour (graph.py)
    divisible = True                                        # whether parts of a batch may go through it apart from each other

    def __init__(self):
        self.params, self.grads, self.state = {}, {}, {}
        self.device, self.precision, self.cache, self._made = "cpu", "float32", None, None

    def forward(self, x, training=False):
        """y for a batch x of shape (N, ...). Raises ShapeError or DtypeError where the layer cannot take x."""
        entered = self._enter(x)
        self._check_input(entered.shape)
        with door.arithmetic(self):
            y = self._forward(entered, training)
        self._made = y.shape, y.dtype
        if self.forgets and not training:
            self.cache = None
        return y if entered is x else door.leave(y)

    def backward(self, dy, need_dx=True):
        """dx for the dy of the last forward; sets grads. With need_dx=False the gradient of the input is left out: None."""
        if self._made is None:
            raise RuntimeError(f"{self!r}: backward before forward; call forward(x) first, backward(dy) reverses it")
        shape, dtype = self._made
        if tuple(dy.shape) != shape:
            raise ShapeError(f"{self!r}: expected dy of shape {shape}, that of y; got {tuple(dy.shape)}")
        entered = self._enter(dy, dtype)
        with door.arithmetic(self):
            dx = self._backward(entered, need_dx)
        if self.forgets:
            self.cache = None
        return dx if entered is dy or dx is None else door.leave(dx)

    def _backward(self, dy, need_dx):
        self.grads = self._backward_parameters(dy)
        return self._backward_input(dy) if need_dx else None

    def _forward(self, x, training):
        raise NotImplementedError(f"{type(self).__name__} must define _forward(x, training)")

    def _backward_input(self, dy):
        raise NotImplementedError(f"{type(self).__name__} must define _backward_input(dy)")

    def _backward_parameters(self, dy):
        return {}

    def _check_input(self, x_shape):
        self.output_shape(x_shape)

    def _enter(self, x, dtype=None):
        return door.enter(x, self.device, self, dtype)

    @property
    def replayable(self):
        """Whether its calls may be recorded once and then repeated (plan.py): all that it computes, it computes in kernels of tinyconv.

        A layer of a user's own may do anything in Python, and does it anew each time.
        """
        ours = all(base.__module__.startswith(__package__ + ".") for base in type(self).__mro__[:-1])
        return ours and not any(map(callable, vars(self).values())) and all(layer.replayable for layer in self.named_layers.values())

    @property
    def kernel(self):
        """The kernels of this layer's operation on its device."""
        return load(self.operation, self.device)

    def _parameter(self, name, like):
        """params[name] or state[name] in the dtype of the batch `like`; None where the layer has no such parameter (bias=False)."""
        value = self.params.get(name, self.state.get(name))
        return None if value is None else door.converted(value, like.dtype)

    def output_shape(self, x_shape):
        """The shape of y for an x of x_shape, both with the batch. Raises ShapeError where the layer cannot take it."""
        try:
            return self._output_shape(tuple(x_shape))
        except ValueError as error:
            raise ShapeError(f"{self!r}: {error}") from None

    def _output_shape(self, x_shape):
        return x_shape

    def connections(self, x_shape):
        """Connections of one image as the 1998 paper counts them: every use of a weight or bias."""
        return 0

    def multiply_adds(self, x_shape):
        """Multiplications by a weight for one image, forward."""
        return 0

    @property
    def named_layers(self):
        """What this layer is made of, by name: nothing, unless it is a network."""
        return {}

    def to(self, device, precision="float32"):
        """Compute on `device` from now on; gives the layer itself. Parameters, states and gradients go along; what forward left for backward is dropped.

        precision  of matrix products on "cuda": "float32", exact, or "tf32": factors rounded to 10 bits behind the point, several times as fast
        Raises ValueError for an unknown device or precision, DeviceError where the GPU, its driver or a package is missing.
        """
        door.check_device(device, precision)
        self._take_along(device)
        self.device, self.precision, self.cache, self._made = device, precision, None, None
        return self

    def _take_along(self, device):
        for arrays in (self.params, self.state, self.grads):
            for name, value in arrays.items():
                arrays[name] = door.moved(value, device)

    def astype(self, dtype):
        """Keep the parameters in `dtype` (float32 or float64; complex128 for the reference) from now on; gives the layer itself."""
        if np.dtype(dtype) not in door.DTYPES["reference"]:
            raise DtypeError(f"{self!r}: expected float32, float64 or complex128, got {np.dtype(dtype)}")
        for name, value in self.params.items():
            self.params[name] = door.converted(value, dtype) if door.on_gpu(value) else value.astype(dtype)
        return self

    def replica(self, forgets=False):
        """The same layer for another thread: shares params and state; cache and grads are its own."""
        twin = copy.copy(self)
        twin.grads, twin.cache, twin._made, twin.forgets = {}, None, None, forgets
        return twin

    def __deepcopy__(self, memo):
        """A copy with arrays of its own. On the GPU it does not remember the last forward."""
        twin = memo[id(self)] = type(self).__new__(type(self))
        own = vars(self) | ({"cache": None, "_made": None} if self.device == "cuda" else {})
        for arrays in (own.get("params", {}), own.get("state", {}), own.get("grads", {})):
            memo.update(door.copies_on_gpu(arrays.values()))
        twin.__dict__.update(copy.deepcopy(own, memo))
        return twin

    def describe(self) -> tuple[str, dict]:
        """(class name, {setting: value}): what a checkpoint compares."""
        return type(self).__name__, {name: getattr(self, name) for name in self.settings}

    def default(self, setting: str):
        """The default of the constructor's argument with this name; NO_DEFAULT where there is none."""
        return default_of(type(self), setting)

    def walk_layers(self, prefix: str = ""):
        """Yield (name, layer) for all layers below this one, "block.C1" after "block"."""
        for name, layer in self.named_layers.items():
            yield prefix + name, layer
            yield from layer.walk_layers(f"{prefix}{name}.")

    def __repr__(self):
        # a switch that is off, as it is by default, is not shown
        options = (f"{name}={value!r}" for name, value in self.describe()[1].items()
                   if value is not False or self.default(name) is not False)
        return f"{type(self).__name__}({', '.join(options)})"


@functools.lru_cache(maxsize=1024)
def default_of(cls: type, argument: str):
    """The default of a constructor's argument, of the nearest class that has it; NO_DEFAULT for none."""
    for base in cls.__mro__:
        own = inspect.isfunction(vars(base).get("__init__"))
        if own and argument in (parameters := inspect.signature(base.__init__).parameters):
            return parameters[argument].default
    return NO_DEFAULT


def pair(value, name):
    """An int or a pair of ints as (vertical, horizontal). Raises ValueError for anything else."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2 or not all(isinstance(v, (int, np.integer)) for v in values):
        raise ValueError(f"{name}: expected an int or a pair of ints (vertical, horizontal), got {value!r}")
    return tuple(int(v) for v in values)


def positive(value, name):
    """The int or pair `value` itself. Raises ValueError where it, or one of the pair, is below 1."""
    if any(v < 1 for v in np.ravel(value)):
        raise ValueError(f"{name}: expected 1 or more, got {value!r}")
    return value
