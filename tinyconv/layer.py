"""Layer: the base of everything that has a forward and a backward pass."""

from __future__ import annotations

import copy
import functools
import inspect
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .annotation import Shape
from .device import check_device, checked, convert, copies_on_gpu, is_native, is_on_gpu, move, pack, unpack
from .errors import DtypeError, ShapeError
from .kernels.backends import backend
from .strangers import forgotten_arrays, persistent_arrays, replace_array

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

NO_DEFAULT = inspect.Parameter.empty  # the default of a setting that has none


class Layer:
    """One operation with its parameters.

    `forward` and `backward` check their arguments, and take and give NumPy arrays; between two layers of a
    network an array stays in the native form of the device. A layer defines three functions:

        _forward(x, training)      y, leaving in self.cache what the way back needs
        _backward_input(dy)        dx
        _backward_parameters(dy)   a dict of gradients with the keys of params (only where there are
                                   parameters)

    They are apart because each is a different sum, and because the first layer of a network needs no dx.

    params, grads  dicts of arrays with the same keys; backward *sets* grads, it never adds
    state          dict of arrays that belong to the layer without being trained: fixed codes, a counter of
                   random draws; saved with params
    device         "cpu", "cuda" or "reference"
    precision      of matrix products on "cuda": "float32", exact, or "tf32", on tensor cores

    A class says three things of itself, in its own body; a subclass does not inherit them, except that it
    sees the same kind of array:

    recordable     True: forward and backward compute by kernels alone. Then they take and give native arrays,
                   and a step may be recorded once and repeated without Python (execution/). False: they take
                   and give NumPy arrays, and are called anew for every batch
    per_image      True: an image's y depends on that image alone. Then the batch may be cut into parts.
                   False: it is seen whole
    param_shapes() the shape of each parameter and state; any other is refused before a kernel sees it

    A layer computes in the dtype of x and converts its parameters and dy to it; y, dx and grads have the
    dtype of x.
    """

    operation: str = ""  # the kernel folder: kernels/<operation>/
    settings: tuple[str, ...] = ()  # names of all attributes that say what the layer computes
    recordable = False
    per_image = False
    fused: tuple[str, ...] = ()  # parts that a neighbour computes in its own launch (execution/fusing.py)
    frees_cache = False  # free the cache after backward: one backward for each forward

    params: dict[str, Any]
    grads: dict[str, Any]
    state: dict[str, Any]
    device: str
    precision: str
    cache: Any
    _made: tuple[tuple[int, ...], Any, tuple[int, ...]] | None
    _persistent: dict | None

    def __new__(cls, *arguments, **options):
        """Return a layer that has all attributes: an __init__ of a user's own may forget to call that of the
        base.
        """
        layer = super().__new__(cls)
        # _made holds the shapes and the dtype of the last forward; _persistent the arrays that a layer of a
        # user's own held before its first forward. In a Composite params, grads and state are those of its
        # layers.
        vars(layer).update(params={}, grads={}, state={}, cache=None, _made=None, _persistent=None)
        vars(layer).update(device="cpu", precision="float32")
        return layer

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Return y for a batch x of shape (N, ...). Raises ShapeError or DtypeError where the layer cannot
        take x.
        """
        entered = self._taken(x)
        self._check_input(entered.shape)
        with backend(self.device).arithmetic(self.precision):
            y = self._given(self._forward(entered, training), x, entered.dtype, "forward")
        self._made = tuple(y.shape), y.dtype, tuple(x.shape)
        if self.frees_cache and not training:
            self.cache = None
        return y

    def backward(self, dy: np.ndarray, need_dx: bool = True) -> Any:
        """Return dx for the dy of the last forward; sets grads. With need_dx=False the gradient of the input
        is left out: None.
        """
        if self._made is None:
            raise RuntimeError(
                f"{self!r}: backward before forward; call forward(x) first, backward(dy) reverses it"
            )
        y_shape, dtype, x_shape = self._made
        if tuple(np.shape(dy)) != y_shape:
            raise ShapeError(
                f"{self!r}: expected dy of shape {y_shape}, that of y; got {tuple(np.shape(dy))}"
            )
        with backend(self.device).arithmetic(self.precision):
            dx = self._backward(self._taken(dy, dtype), need_dx)
        if self.frees_cache:
            self.cache = None
        if self._persistent:
            self._refuse_untrained()
        if dx is None and not need_dx:
            return None
        dx = self._given(dx, dy, dtype, "backward")
        if tuple(dx.shape) != x_shape:
            raise ShapeError(
                f"{self!r}: backward gave dx of shape {tuple(dx.shape)}; expected {x_shape}, that of x"
            )
        return dx

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
        if self._computes_natively:
            self.output_shape(x_shape)  # else the layer itself says what it cannot take

    @property
    def _computes_natively(self):
        """True where _forward and _backward take native arrays: in a class that is recordable, and in what
        derives from it.
        """
        return type(self).recordable

    def _taken(self, x, dtype=None):
        """x as _forward and _backward take it: native, or for a layer that computes in NumPy as a NumPy
        array.
        """
        if self._persistent is None:
            self._persistent = self._arrays_of_its_own()
        if self._computes_natively:
            return pack(x, self.device, self, dtype)
        return checked(unpack(x), self.device, self, dtype)

    def _given(self, y, x, dtype, method):
        """The array that _forward or _backward made, in `dtype`; native where x is."""
        if not is_native(y):
            if not isinstance(y, (np.ndarray, np.generic)):
                raise DtypeError(f"{self!r}: {method} gave {type(y).__name__}; expected a NumPy array")
            complex_step = y.dtype.kind == "c" and self.device == "reference"
            y = y if complex_step else np.asarray(y, dtype)
        return pack(y, self.device, self) if is_native(x) else unpack(y)

    def _arrays_of_its_own(self):
        """The arrays that a layer of a user's own holds outside of params and state; a class that says
        recordable = True has none.
        """
        return {} if self._says("recordable") else persistent_arrays(self)

    def _refuse_untrained(self):
        """Raises TypeError where a layer of a user's own holds arrays that nothing would train."""
        if message := forgotten_arrays(self, self._persistent or {}, says_params=bool(self.params)):
            raise TypeError(f"{self!r}: {message}")
        self._persistent = {}  # once is enough

    def not_recordable(self) -> str | None:
        """Return None where the calls of this layer may be recorded once and then repeated, else the reason.

        Inner layers are asked by themselves: see network.not_recordable.
        """
        if not self._says("recordable"):
            return (
                f"{type(self).__name__} does not say recordable = True: it may compute in Python, "
                "which no tape can repeat"
            )
        patched = [name for name, value in vars(self).items() if callable(value)]
        return (
            f"{patched[0]} of {type(self).__name__} was replaced by a function of Python" if patched else None
        )

    @property
    def takes_single_images(self) -> bool:
        """True where parts of a batch may go through the layer apart from each other: where its class says
        per_image = True.
        """
        return self._says("per_image")

    @property
    def supports_complex_step(self) -> bool:
        """True where forward takes complex numbers on the reference, as kernels do there."""
        return self._computes_natively

    def _says(self, name):
        """True where the class itself, in its own body, says `name = True`; what a base class says of itself
        does not count.
        """
        return vars(type(self)).get(name, False)

    @property
    def kernel(self):
        """The kernels of this layer's operation on its device."""
        return backend(self.device).load(self.operation)

    def param_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter and state that kernels are given, by name."""
        return {}

    def _parameter(self, name, like, optional=False):
        """params[name] or state[name] in the dtype of the batch `like`; None for an optional one that the
        layer has not (bias=False).

        Raises ShapeError or DtypeError for an array that does not fit: no kernel looks at what it is given.
        """
        value = self.params.get(name, self.state.get(name))
        if value is None and optional:
            return None
        self._check_parameter(name, value)
        return convert(value, like.dtype)

    def _check_parameter(self, name, value):
        expected = tuple(self.param_shapes()[name])
        if value is None:
            raise ShapeError(
                f"{self!r}: expected {name} of shape {expected}, and there is none; put it back into params"
            )
        if not (isinstance(value, np.ndarray) or is_on_gpu(value)):
            raise DtypeError(
                f"{self!r}: expected {name} as a NumPy array, got {type(value).__name__}; use "
                "numpy.array(..., numpy.float32)"
            )
        if tuple(value.shape) != expected:
            raise ShapeError(
                f"{self!r}: expected {name} of shape {expected}, got {tuple(value.shape)}; put in an array "
                "of that shape, "
                "or make a new layer"
            )
        if value.dtype not in backend(self.device).dtypes:
            raise DtypeError(
                f"{self!r}: expected {name} in float32 or float64, got {value.dtype}; use "
                f"{name}.astype('float32')"
            )

    def output_shape(self, x_shape: Shape) -> tuple[int, ...]:
        """Return the shape of y for an x of x_shape, both with the batch. Raises ShapeError where the layer
        cannot take it.
        """
        try:
            return self._output_shape(tuple(x_shape))
        except ShapeError:
            raise  # of an inner layer, which it names
        except ValueError as error:
            raise ShapeError(f"{self!r}: {error}") from None

    def _output_shape(self, x_shape):
        if self._computes_natively:
            return x_shape
        twin = copy.deepcopy(self)  # a layer of a user's own: only computing tells
        with np.errstate(all="ignore"):
            return tuple(twin.forward(np.full(x_shape, 0.5, np.float32)).shape)

    def connections(self, x_shape: Shape) -> int:
        """Return the connections of one image as the 1998 paper counts them: every use of a weight
        or bias.
        """
        return 0

    def multiply_adds(self, x_shape: Shape) -> int:
        """Return the number of multiplications by a weight for one image, forward."""
        return 0

    @property
    def named_layers(self) -> dict[str, Layer]:
        """The layers that this one is made of, by name: none, unless it is a composite."""
        return {}

    def joined_shape(self, *shapes: Shape) -> Shape:
        """Return the shape of the output of a composite that joins arrays of these shapes: see edges."""
        raise NotImplementedError(f"{type(self).__name__} joins nothing")

    def edges(self) -> list[tuple[str, Layer, tuple[str, ...]]] | None:
        """Return how the inner layers are connected, as (name, layer, names of its sources); None for a layer
        that is computed as one.
        """
        return None

    def to(self, device: str, precision: str = "float32") -> Self:
        """Compute on `device` from now on; returns the layer itself. Parameters, states and gradients go
        along; the cache is dropped.

        precision  of matrix products on "cuda": "float32", exact, or "tf32": factors rounded to 10 bits
                   behind the point, several times as fast
        Raises ValueError for an unknown device or precision, DeviceError where the GPU, its driver or a
        package is missing.
        """
        check_device(device, precision)
        self._move_arrays(device)
        self.device, self.precision, self.cache, self._made = device, precision, None, None
        return self

    def _move_arrays(self, device):
        if not self._computes_natively:
            return  # it computes in NumPy, wherever its neighbours do
        for arrays in (self.params, self.state, self.grads):
            for name, value in arrays.items():
                arrays[name] = move(value, device)

    def astype(self, dtype: DTypeLike) -> Self:
        """Keep the parameters in `dtype` (float32 or float64; complex128 for the reference) from now on;
        returns the layer itself.
        """
        if np.dtype(dtype) not in backend("reference").dtypes:
            raise DtypeError(f"{self!r}: expected float32, float64 or complex128, got {np.dtype(dtype)}")
        for name, value in list(self.params.items()):
            self.replace_parameter(name, convert(value, dtype) if is_on_gpu(value) else value.astype(dtype))
        return self

    def replace_parameter(self, name: str, value: np.ndarray) -> None:
        """Put an array in the place of params[name], also where a layer of a user's own holds the same array
        under another name.
        """
        before, self.params[name] = self.params.get(name), value
        if before is not None and not self._says("recordable"):
            replace_array(self, before, value)

    def replica(self, frees_cache: bool = False) -> Self:
        """Return the same layer for another use: it shares params and state; cache and grads are its own."""
        twin = copy.copy(self)
        twin.grads, twin.cache, twin._made, twin.frees_cache = {}, None, None, frees_cache
        return twin

    def __deepcopy__(self, memo):
        """Return a copy with arrays of its own. On the GPU it does not remember the last forward."""
        twin = memo[id(self)] = type(self).__new__(type(self))
        own = vars(self) | {"_persistent": None}
        if not backend(self.device).copies_cache:
            own |= {"cache": None, "_made": None}
        for arrays in (own.get("params") or {}, own.get("state") or {}, own.get("grads") or {}):
            memo.update(copies_on_gpu(arrays.values()))
        twin.__dict__.update(copy.deepcopy(own, memo))
        return twin

    def describe(self) -> tuple[str, dict]:
        """(class name, {setting: value}): what a checkpoint compares."""
        return type(self).__name__, {name: getattr(self, name) for name in self.settings}

    def default(self, setting: str) -> Any:
        """The default of the constructor's argument with this name; NO_DEFAULT where there is none."""
        return default_of(type(self), setting)

    def __repr__(self):
        # a switch that is off, as it is by default, is not shown
        options = (
            f"{name}={value!r}"
            for name, value in self.describe()[1].items()
            if value is not False or self.default(name) is not False
        )
        return f"{type(self).__name__}({', '.join(options)})"


@functools.lru_cache(maxsize=1024)
def default_of(cls: type, argument: str) -> Any:
    """The default of a constructor's argument, of the nearest class that has it; NO_DEFAULT for none."""
    for base in cls.__mro__:
        own = inspect.isfunction(vars(base).get("__init__"))
        if own and argument in (parameters := inspect.signature(base.__init__).parameters):
            return parameters[argument].default
    return NO_DEFAULT


def pair(value: Any, name: str) -> tuple[int, int]:
    """Return an int or a pair of ints as (vertical, horizontal). Raises ValueError for anything else."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2 or not all(isinstance(v, (int, np.integer)) for v in values):
        raise ValueError(f"{name}: expected an int or a pair of ints (vertical, horizontal), got {value!r}")
    return int(values[0]), int(values[1])


def positive(value: Any, name: str) -> Any:
    """Return the int or pair `value` itself. Raises ValueError where it, or one of the pair, is below 1."""
    if any(v < 1 for v in np.ravel(value)):
        raise ValueError(f"{name}: expected 1 or more, got {value!r}")
    return value
