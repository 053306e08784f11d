"""Sequential: layers one after the other, themselves a layer."""
import copy
import inspect

import numpy as np

from . import checkpoint, parallel
from . import device as door
from .errors import ShapeError
from .layer import Layer, default_of
from .summary import Summary


class Sequential(Layer):
    """y = layer_K(... layer_2(layer_1(x)));  backward goes the same way back: dx = layer_1'(layer_2'(... dy)).

    Layers are given in order, with or without a name: `Sequential(Conv2d(1, 6, 5), ReLU())` or `Sequential(C1=Conv2d(1, 6, 5), A1=ReLU())`.
    A layer without a name is called by its place and class ("0_Conv2d"). Any object with forward(x), backward(dy), params and grads may
    stand among them: it is handed NumPy arrays.

    input_shape  (C, H, W) that the network is meant for: what summary() uses
    params       the parameters of all layers, "C1.weight" for weight of C1; grads and state likewise
    """

    def __init__(self, *layers, input_shape=None, **named):
        # instead of super().__init__(): params, grads and state are those of the layers
        self.device, self.precision, self.cache, self._made = "cpu", "float32", None, None
        self.input_shape = input_shape
        named = {**{f"{place}_{type(layer).__name__}": layer for place, layer in enumerate(layers)}, **named}
        if not named:
            raise ValueError("Sequential: expected at least one layer")
        if len({id(layer) for layer in named.values()}) < len(named):
            raise ValueError("Sequential: the same layer stands in two places, but remembers one forward only; make a second one")
        self._layers = {name: layer if isinstance(layer, Layer) else NumPyLayer(layer) for name, layer in named.items()}

    supports_complex_step = property(lambda self: all(layer.supports_complex_step for layer in self.layers))

    @property
    def layers(self):
        return list(self._layers.values())

    @property
    def named_layers(self):
        return self._layers

    def _collect(self, attribute):
        return {f"{name}.{key}": value for name, layer in self._layers.items() for key, value in getattr(layer, attribute).items()}

    params = property(lambda self: self._collect("params"))
    grads = property(lambda self: self._collect("grads"))
    state = property(lambda self: self._collect("state"))

    def _check_input(self, x_shape):
        pass                                                # each layer checks what reaches it

    def _forward(self, x, training):
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def _backward(self, dy, need_dx):
        for place, layer in reversed(list(enumerate(self.layers))):
            dy = layer.backward(dy, need_dx or place > 0)    # reverses: x = layer.forward(x)
        return dy

    def _output_shape(self, x_shape):
        for layer in self.layers:
            x_shape = layer.output_shape(x_shape)
        return x_shape

    def train_step(self, x, labels, loss, optimizer, threads=None):
        """forward, loss, backward and update for one batch; gives the loss (a mean over the batch).

        The batch is shared among `threads` (default: all that this process may use; parallel.py says how); the same number of threads
        gives the same bits. After the first step with a size of batch nothing large is allocated, and grads are overwritten by the next
        step. `labels` (N,) int.
        """
        value, _ = parallel.train_step(self, x, labels, loss, optimizer, threads)
        return value

    def trace(self, x):
        """Every intermediate array of forward(x) as a NumPy array, by the name of the layer that made it; "x" is the input."""
        arrays = {"x": x}
        x = self._enter(x)
        for name, layer in self._layers.items():
            x = layer.forward(x)
            arrays[name] = door.leave(x)
        return arrays

    def summary(self, input_shape=None):
        """A table of output shape, parameters, connections and multiply-adds per layer and in total, for one image of input_shape (C, H, W)."""
        input_shape = input_shape or self.input_shape
        if input_shape is None:
            raise ShapeError("summary: this network has no input_shape; give one: net.summary((channels, height, width))")
        return Summary(self, tuple(input_shape))

    def save(self, path):
        """Write the parameters to `path` (a .npz file, whole or not at all). Raises OSError where it cannot be written."""
        checkpoint.write(path, self)

    def load(self, path):
        """Take the parameters that save() wrote to `path`; gives the network itself.

        Raises CheckpointError, leaving the network as it was, where the file is damaged or of another network.
        """
        checkpoint.read(path, self)
        return self

    def _take_along(self, device):
        pass                                                # each layer takes its own

    def to(self, device, precision="float32"):
        super().to(device, precision)
        for layer in self.layers:
            layer.to(device, precision)
        return self

    def astype(self, dtype):
        for layer in self.layers:
            layer.astype(dtype)
        return self

    def replica(self, forgets=False):
        twin = copy.copy(self)
        twin._layers = {name: layer.replica(forgets) for name, layer in self._layers.items()}
        return twin

    def __repr__(self):
        return f"Sequential({', '.join(f'{name}: {type(layer).__name__}' for name, layer in self._layers.items())})"


class NumPyLayer(Layer):
    """Lets an object of a user's own stand in a Sequential: arrays leave the native form before it and enter again behind it."""

    supports_complex_step = replayable = False

    def __init__(self, inner):
        super().__init__()
        for method in ("forward", "backward"):
            if not callable(getattr(inner, method, None)):
                raise TypeError(f"Sequential: expected layers with forward(x) and backward(dy), got {inner!r}")
        self.inner, self.params = inner, getattr(inner, "params", {})
        self.takes_training = "training" in inspect.signature(inner.forward).parameters

    @property
    def state(self):
        """The object's own dict of arrays, read anew each time: it may have made another one."""
        state = getattr(self.inner, "state", None)
        return state if isinstance(state, dict) else {}

    @state.setter
    def state(self, arrays):
        # the base class sets an empty one before the object is known
        if "inner" in vars(self):
            self.inner.state = arrays

    def _forward(self, x, training):
        options = {"training": training} if self.takes_training else {}
        return self._enter(np.asarray(self.inner.forward(door.leave(x), **options), x.dtype))

    def _backward(self, dy, need_dx):
        dx = self.inner.backward(door.leave(dy))
        self.grads = getattr(self.inner, "grads", {})
        return self._enter(np.asarray(dx, dy.dtype))

    def _take_along(self, device):
        pass                                                # it computes in NumPy, wherever its neighbours do

    def _check_input(self, x_shape):
        pass                                                # the object itself must say what it cannot take

    def _output_shape(self, x_shape):
        return np.shape(copy.deepcopy(self.inner).forward(np.zeros(x_shape)))      # only computing tells

    def describe(self):
        names = getattr(self.inner, "settings", ())
        names = names if isinstance(names, (tuple, list)) else ()
        names = [name for name in names if isinstance(name, str) and hasattr(self.inner, name)]
        return type(self.inner).__name__, {name: getattr(self.inner, name) for name in names}

    def default(self, setting):
        return default_of(type(self.inner), setting)

    def __repr__(self):
        return repr(self.inner)
