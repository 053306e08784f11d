"""A Subject is one operation at one point, whose forward is a pure function of named arrays; and layers,
networks and losses of ours as Subjects.
"""

import copy
import inspect
import textwrap

import numpy as np

from ..device import to_host
from ..errors import DtypeError


def name_of(obj):
    """Return the name of obj in a report: its repr, unless that is the address that Python gives to what has
    none.
    """
    if isinstance(obj, tuple):
        return " and ".join(map(name_of, obj))
    return (
        obj.__name__
        if hasattr(obj, "__name__")
        else type(obj).__name__
        if type(obj).__repr__ is object.__repr__
        else repr(obj)
    )


def is_float(value):
    """Return True for a NumPy array of real floats."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def real(x):
    """Return x in float64. Raises DtypeError for what holds no real numbers."""
    x = np.asarray(x)
    if x.dtype.kind not in "fiu":
        raise DtypeError(f"check_gradients: expected real numbers in x, got {x.dtype}")
    return x.astype(np.float64)


class Subject:
    """One operation at one point.

    values                     {name: float64 array}: "x" and the parameters, all that gradients are taken of
    fixed                      {name: float64 array}: what takes part and has no gradient (centers)
    forward(values, **options) y with some of the arrays, or attributes of the object, replaced; complex where
    one of them is
    backward(dy)               {name: gradient, None where there is none}
    earlier                    {name: array}: values and "dy" of the call that the object has behind it
    constant                   names of what forward depends on and no gradient is taken of
    refusals                   what cannot be checked, as Refusal
    """

    fixed, earlier, constant, refusals = {}, {}, (), ()

    def __init__(self, title, values):
        self.title, self.values = textwrap.shorten(title, 130, placeholder=" ..."), values
        self.y = self.forward()
        if self.y.dtype != np.float64:
            raise DtypeError(
                f"check_gradients: differences need float64, forward of {self.title} gives {self.y.dtype}; "
                "keep its parameters in float64"
            )
        if not np.all(np.isfinite(self.y)):
            raise ValueError(
                f"check_gradients: forward of {self.title} gives numbers that are not finite at this x; "
                "check at another point"
            )

    def earlier_values(self):
        """Another point of the same shapes: the same numbers in another order, and moved."""
        rng = np.random.default_rng(1)
        return {
            name: 0.9 * rng.permutation(value.reshape(-1)).reshape(value.shape) + 0.01
            for name, value in self.values.items()
        }


class ObjectSubject(Subject):
    """A layer, network or loss of ours.

    Every call is made on a fresh deep copy, so that nothing it leaves behind reaches the next one. The object
    that is copied has a forward and a backward behind it, at another x: a cache that is not renewed, or a
    gradient that is added to, shows as a wrong gradient.
    """

    def __init__(self, obj, x, labels, training, dtype=np.float64):
        needed = [
            p
            for p in inspect.signature(obj.forward).parameters.values()
            if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        if labels is None and len(needed) > 1:
            raise TypeError(
                f"check_gradients: forward of {obj!r} takes {', '.join(p.name for p in needed)}; for a "
                "loss give labels=..."
            )
        self.labels, self.dtype = labels, np.dtype(dtype)
        self.call_options = {"training": True} if training else {}
        self.takes_dy = bool(inspect.signature(obj.backward).parameters)
        self.tested = _with_dtype(obj, self.dtype)
        # what forward is asked of: in float64, and not on a GPU
        self.exact = _with_dtype(obj, np.float64)
        if getattr(obj, "device", None) == "cuda":
            self.exact.to("reference")
        params = {name: to_host(value) for name, value in getattr(self.exact, "params", {}).items()}
        self.complex = copy.deepcopy(self.exact).to("reference")
        values = {"x": real(x), **{name: value for name, value in params.items() if is_float(value)}}
        super().__init__(name_of(obj), values)
        self.obj = obj
        self._use_before()

    def _use_before(self):
        rng, x = np.random.default_rng(2), self.earlier_values()["x"]
        dy = rng.standard_normal(self.y.shape)
        for obj in {id(each): each for each in (self.tested, self.exact, self.complex)}.values():
            y = self._call(obj, x.astype(self.dtype if obj is self.tested else np.float64))
            if y.shape == dy.shape and np.all(np.isfinite(y)):
                obj.backward(*([dy.astype(y.dtype)] if self.takes_dy else []))
        self.earlier = {"x": x, "dy": dy}
        self.fixed = {
            name: np.asarray(value, np.float64)
            for name, value in getattr(self.exact, "state", {}).items()
            if is_float(to_host(value))
        }
        self.y = self.forward()  # the mask of dropout is another one now

    def forward(self, values={}, **options):
        imaginary = any(np.iscomplexobj(value) for value in values.values())
        obj = _twin(self.complex if imaginary else self.exact, values, options)
        return self._call(obj, values.get("x", self.values["x"]).astype(complex if imaginary else float))

    def backward(self, dy):
        return self.run(dy)[0]

    def run(self, dy):
        """(gradients, x, dy, twin) after one forward and backward of a copy: also what became of its
        arguments.
        """
        obj = copy.deepcopy(self.tested)
        x = self.values["x"].astype(self.dtype)
        y = self._call(obj, x)
        dy = np.array(dy, y.dtype)
        dx = obj.backward(*([dy] if self.takes_dy else []))
        if not self.takes_dy and dx is not None:
            dx = dy * dx  # a loss has no dy: its y is one number
        grads = getattr(obj, "grads", {})
        return {name: to_host(dx if name == "x" else grads.get(name)) for name in self.values}, x, dy, obj

    def _call(self, obj, x):
        return np.asarray(
            obj.forward(x, **self.call_options)
            if self.labels is None
            else obj.forward(x, self.labels, **self.call_options)
        )

    def params_of(self, obj):
        return {
            name: to_host(value) for name, value in getattr(obj, "params", {}).items() if name in self.values
        }


def _with_dtype(obj, dtype):
    """A copy whose parameters are of that dtype."""
    made = copy.deepcopy(obj)
    return made.astype(dtype) if hasattr(made, "astype") else made  # a loss has none


def _twin(obj, values, options):
    """A deep copy in which arrays are replaced wherever they stand: memo is where deepcopy looks what an
    object became. The others are shared.
    """
    arrays = {**getattr(obj, "params", {}), **getattr(obj, "state", {})}
    memo = {
        id(array): values.get(name, array)
        for name, array in arrays.items()
        if name in values or name in getattr(obj, "params", {})
    }
    twin = copy.deepcopy(obj, memo)
    for name, value in options.items():
        setattr(twin, name, value)
    return twin
