"""Layers made of layers: Composite, the base; Sequential, one after the other; Residual, two paths that add
up.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from . import checkpoint, execution
from .annotation import PathLike, Shape
from .errors import ShapeError
from .kernels import add as add_contract
from .layer import Layer, default_of
from .network import INPUT, observe, walk
from .strangers import forgotten_arrays, persistent_arrays, replace_array
from .summary import Summary, class_name

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from .losses import Loss
    from .optim import Optimizer


class Composite(Layer):
    """A layer made of named layers, itself a layer: it trains, moves, is saved and is summarised with all
    that it is made of.

    params    the parameters of all layers, "C1.weight" for weight of C1; grads and state likewise.
              net.params["C1.weight"] = array puts the array into C1
    layers    the inner layers, a list              named_layers   the same by name, a dict

    input_shape  (C, H, W) that the network is meant for: what summary() uses

    One of your own defines _forward(x, training) and _backward(dy, need_dx), which call forward and backward
    of the layers in self.layers. They take and give NumPy arrays. A class that only connects layers and
    kernels may say `recordable = True` and define edges(): see Layer.

    Raises ValueError without a layer, or where one layer stands in two places; TypeError for an object
    without forward and backward.
    """

    def __init__(self, *layers: Layer, input_shape: Shape | None = None, **named: Layer) -> None:
        self.input_shape = input_shape
        named = {**{f"{place}_{type(layer).__name__}": layer for place, layer in enumerate(layers)}, **named}
        own = type(self).__name__
        if not named:
            raise ValueError(f"{own}: expected at least one layer")
        if dotted := [name for name in named if "." in name]:
            raise ValueError(
                f"{own}: expected names without a dot, which stands between a layer and its parameter; got "
                f"{dotted[0]!r}"
            )
        if len({id(layer) for layer in named.values()}) < len(named):
            raise ValueError(
                f"{own}: the same layer stands in two places, but remembers one forward only; make a "
                "second one"
            )
        self._layers = {name: _as_layer(layer) for name, layer in named.items()}

    @property
    def supports_complex_step(self) -> bool:
        """True where all inner layers take complex numbers on the reference."""
        return all(layer.supports_complex_step for layer in self.layers)

    @property
    def layers(self) -> list[Layer]:
        """The inner layers, in order."""
        return list(self._layers.values())

    @property
    def named_layers(self) -> dict[str, Layer]:
        """The inner layers by name, in order."""
        return self._layers

    @property
    def params(self) -> Collected:
        """The parameters of all layers by dotted names; an array that is put in goes into its layer."""
        return Collected(self._layers, "params")

    @property
    def grads(self) -> Collected:
        """The gradients of all parameters, by the names of the parameters."""
        return Collected(self._layers, "grads")

    @property
    def state(self) -> Collected:
        """The states of all layers by dotted names."""
        return Collected(self._layers, "state")

    def _check_input(self, x_shape):
        pass  # each layer checks what reaches it

    def _backward(self, dy, need_dx):
        raise NotImplementedError(f"{type(self).__name__} must define _backward(dy, need_dx)")

    def connections(self, x_shape: Shape) -> int:
        """Return the connections of one image in all layers."""
        return 0 if self.edges() is None else sum(node.connections for node in walk(self, x_shape))

    def multiply_adds(self, x_shape: Shape) -> int:
        """Return the multiplications by a weight for one image in all layers."""
        return 0 if self.edges() is None else sum(node.macs for node in walk(self, x_shape))

    def _move_arrays(self, device):
        pass  # each layer moves its own

    def to(self, device: str, precision: str = "float32") -> Self:
        """Compute on `device` from now on, with all layers; returns the network itself."""
        super().to(device, precision)
        for layer in self.layers:
            layer.to(device, precision)
        return self

    def astype(self, dtype: DTypeLike) -> Self:
        """Keep the parameters of all layers in `dtype` from now on; returns the network itself."""
        for layer in self.layers:
            layer.astype(dtype)
        return self

    def replica(self, frees_cache: bool = False) -> Self:
        """Return the same network for another use: replicas of its layers."""
        twin = copy.copy(self)
        twin.cache, twin._made, twin.frees_cache = None, None, frees_cache
        twin._layers = {name: layer.replica(frees_cache) for name, layer in self._layers.items()}
        return twin

    def train_step(
        self, x: np.ndarray, labels: np.ndarray, loss: Loss, optimizer: Optimizer, threads: int | None = None
    ) -> float:
        """Do forward, loss, backward and update for one batch; return the loss (a mean over the batch).

        The batch is shared among `threads` (default: all that this process may use; execution/strategy.py
        says how); the same number of threads gives the same bits. After the first step with a size of batch
        nothing large is allocated, and grads are overwritten by the next step. `labels` (N,) int.
        """
        value, _ = execution.train_step(self, x, labels, loss, optimizer, threads)
        return value

    def summary(self, input_shape: tuple[int, ...] | None = None) -> Summary:
        """Return a table of output shape, parameters, connections and multiply-adds of each layer and in
        total, for one image (C, H, W).

        Raises ShapeError where neither input_shape nor the network's own says how large an image is.
        """
        input_shape = input_shape or self.input_shape
        if input_shape is None:
            raise ShapeError(
                "summary: this network has no input_shape; give one: net.summary((channels, height, width))"
            )
        return Summary(self, tuple(input_shape))

    def save(self, path: PathLike) -> None:
        """Write the parameters to `path` (a .npz file, whole or not at all). Raises OSError where it cannot
        be written.
        """
        checkpoint.write(path, self)

    def load(self, path: PathLike) -> Self:
        """Take the parameters that save() wrote to `path`; return the network itself.

        Raises CheckpointError, leaving the network as it was, where the file is damaged or of another
        network.
        """
        checkpoint.read(path, self)
        return self

    def trace(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return every intermediate array of forward(x) as a NumPy array, by the dotted name of the layer
        that made it; "x" is the input.
        """
        return {"x": x} | {
            name: arrays["y"] for name, arrays in observe(self, x).items() if name and "y" in arrays
        }

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}: {class_name(layer)}' for name, layer in self._layers.items())})"  # noqa: E501


class Sequential(Composite):
    """y = layer_K(... layer_2(layer_1(x)));  backward goes the same way back: dx = layer_1'(layer_2'(...
    dy)).

    Layers are given in order, with or without a name: `Sequential(Conv2d(1, 6, 5), ReLU())` or
    `Sequential(C1=Conv2d(1, 6, 5), A1=ReLU())`. A layer without a name is called by its place and class
    ("0_Conv2d"). Any object with forward(x), backward(dy), params and grads may stand among them: it is
    handed NumPy arrays. So may another Sequential, or a Residual.
    """

    recordable = per_image = True  # what its layers say of themselves counts

    def _forward(self, x, training):
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def _backward(self, dy, need_dx):
        for place, layer in reversed(list(enumerate(self.layers))):
            dy = layer.backward(dy, need_dx or place > 0)  # reverses: x = layer.forward(x)
        return dy

    def edges(self) -> list[tuple[str, Layer, tuple[str, ...]]]:
        """Return the layers in a row, each fed by the one before it."""
        sources = (INPUT, *self._layers)
        return [(name, layer, (source,)) for source, (name, layer) in zip(sources, self._layers.items())]

    def _output_shape(self, x_shape):
        for layer in self.layers:
            x_shape = layer.output_shape(x_shape)
        return x_shape


class Residual(Composite):
    """y = body(x) + shortcut(x);  dx = body'(dy) + shortcut'(dy).

    body      a layer or network
    shortcut  another, which makes an array of the same shape, such as a Conv2d with a window of one pixel;
              None: y = body(x) + x

    Raises ShapeError in forward where the two shapes differ.
    Source: He, Zhang, Ren, Sun 2016, Deep Residual Learning for Image Recognition, section 3.2, equations 1
    and 2.
    """

    operation = "add"
    recordable = per_image = True  # what its layers say of themselves counts

    def __init__(
        self, body: Layer, shortcut: Layer | None = None, *, input_shape: Shape | None = None
    ) -> None:
        super().__init__(
            body=body, **({} if shortcut is None else {"shortcut": shortcut}), input_shape=input_shape
        )

    def _forward(self, x, training):
        y = self._layers["body"].forward(x, training)
        other = self._layers["shortcut"].forward(x, training) if "shortcut" in self._layers else x
        self.joined_shape(y.shape, other.shape)
        return self.kernel.forward(y, other)

    def _backward(self, dy, need_dx):
        # reverses: y = body(x) + shortcut(x)
        dx = self._layers["body"].backward(dy, need_dx)
        other = self._layers["shortcut"].backward(dy, need_dx) if "shortcut" in self._layers else dy
        return self.kernel.forward(dx, other) if need_dx else None

    def edges(self) -> list[tuple[str, Layer, tuple[str, ...]]]:
        """Return the two paths, and the sum of what they make."""
        paths = [(name, layer, (INPUT,)) for name, layer in self._layers.items()]
        return [*paths, ("sum", self, ("body", "shortcut" if "shortcut" in self._layers else INPUT))]

    def _output_shape(self, x_shape):
        paths = [layer.output_shape(x_shape) for layer in self.layers]
        return self.joined_shape(*paths, *([] if "shortcut" in self._layers else [x_shape]))

    def joined_shape(self, y_shape: Shape, other_shape: Shape) -> Shape:
        """Return the shape of the sum of two arrays. Raises ShapeError where their shapes differ."""
        try:
            return add_contract.output_shape(y_shape, other_shape)
        except ValueError as error:
            way = (
                "make the shortcut give the shape that the body gives"
                if "shortcut" in self._layers
                else "give a shortcut that changes x likewise"
            )
            raise ShapeError(f"{self!r}: {error}, of the body and the shortcut; {way}") from None


class Collected(dict):
    """{"C1.weight": array, ...}: the params (or grads, or state) of all layers of a composite.

    Putting an array in puts it into the layer. Names cannot be added or taken away here: KeyError.
    """

    def __init__(self, layers: Mapping[str, Layer], attribute: str):
        self._layers, self._attribute = layers, attribute
        super().__init__(
            {
                f"{name}.{key}": value
                for name, layer in layers.items()
                for key, value in getattr(layer, attribute).items()
            }
        )

    def __setitem__(self, name, value):
        if name not in self:
            raise KeyError(
                f"{name!r} is none of {', '.join(self)}; the layers of a network decide which "
                f"{self._attribute} there are"
            )
        layer, _, key = name.partition(".")
        owner = self._layers[layer]
        if self._attribute == "params" and not isinstance(owner, Composite):
            owner.replace_parameter(key, value)
        else:
            getattr(owner, self._attribute)[key] = value
        super().__setitem__(name, value)

    def update(self, *others: Any, **named: Any) -> None:
        """Put every array of the other dicts into its layer."""
        for name, value in dict(*others, **named).items():
            self[name] = value

    def __ior__(self, other):
        self.update(other)
        return self

    def _refused(self, *_):
        raise KeyError(
            f"the {self._attribute} of a network are those of its layers: none can be added or taken away "
            "here"
        )

    __delitem__ = pop = popitem = clear = setdefault = _refused  # type: ignore[assignment]

    def __deepcopy__(self, memo):
        return copy.deepcopy(dict(self), memo)

    def __reduce__(self):
        return dict, (dict(self),)


def _as_layer(layer):
    """A layer as it is; an object of a user's own, also a Layer that replaces forward or backward, as a
    NumPyLayer.
    """
    if (
        isinstance(layer, Layer)
        and type(layer).forward is Layer.forward
        and type(layer).backward is Layer.backward
    ):
        return layer
    return NumPyLayer(layer)


class NumPyLayer(Layer):
    """Lets an object of a user's own stand in a network: it is handed NumPy arrays, and gives NumPy arrays
    back.
    """

    def __init__(self, inner):
        for method in ("forward", "backward"):
            if not callable(getattr(inner, method, None)):
                raise TypeError(
                    f"Sequential: expected layers with forward(x) and backward(dy), got {inner!r}"
                )
        self.inner = inner
        self.takes_training = "training" in inspect.signature(inner.forward).parameters
        for name in ("params", "grads", "state"):
            self._dict(name)

    def _dict(self, name) -> Any:
        found = getattr(self.inner, name, None)
        if not isinstance(found, Mapping | None):
            raise TypeError(
                f"{self!r}: expected {name} to be a dict of arrays by name, got {type(found).__name__}"
            )
        return {} if found is None else found

    @property
    def params(self) -> MutableMapping:
        """The params of the object."""
        return self._dict("params")

    @property
    def grads(self) -> MutableMapping:
        """The grads of the object, as its last backward left them."""
        return self._dict("grads")

    @property
    def state(self) -> MutableMapping:
        """The state of the object."""
        return self._dict("state")

    def _forward(self, x, training):
        return self.inner.forward(x, **({"training": training} if self.takes_training else {}))

    def _backward(self, dy, need_dx):
        return self.inner.backward(dy)

    def replace_parameter(self, name, value):
        """Put an array in the place of params[name], and of the same array in the object."""
        before, self.params[name] = self.params.get(name), value
        replace_array(self.inner, before, value)

    def _arrays_of_its_own(self):
        return persistent_arrays(self.inner)

    def _refuse_untrained(self):
        if message := forgotten_arrays(self.inner, self._persistent or {}, hasattr(self.inner, "params")):
            raise TypeError(f"{self!r}: {message}")
        self._persistent = {}

    def not_recordable(self):
        """Return the reason why no tape can repeat the object's calls."""
        return (
            f"{type(self.inner).__name__} is no tinyconv.Layer: it computes in Python, which no tape "
            "can repeat"
        )

    def replica(self, frees_cache: bool = False):
        """Return another layer around the same object."""
        twin = copy.copy(self)
        twin._made = None
        return twin

    def describe(self):
        """Return (class name, {setting: value}) of the object, where it lists its settings."""
        names = getattr(self.inner, "settings", ())
        names = names if isinstance(names, (tuple, list)) else ()
        known = {
            name: getattr(self.inner, name)
            for name in names
            if isinstance(name, str) and hasattr(self.inner, name)
        }
        return type(self.inner).__name__, known

    def default(self, setting):
        """Return the default of an argument of the object's constructor."""
        return default_of(type(self.inner), setting)

    def __repr__(self):
        """That of the object; one that has none of its own is called by its class."""
        return type(self.inner).__name__ if type(self.inner).__repr__ is object.__repr__ else repr(self.inner)
