"""What can be checked, and how each kind is called: all become a Subject, whose forward is a pure function of
named arrays.

a layer, network or loss    forward(x) and backward(dy), with params and grads (dicts) if it has parameters
(forward, backward)         plain functions: y = forward(x, weight), dx, dweight = backward(dy, x, weight)
                            or those of cs231n: out, cache = forward(x, w, b); dx, dw, db = backward(dout,
                            cache)
a class, not an instance    in the style of torch.autograd.Function: static forward(ctx, x, weight) and backward(ctx, dy)
"""  # noqa: E501

import copy
import importlib.util
import inspect
import sys
import textwrap
from pathlib import Path

import numpy as np

from ..device import to_host
from ..errors import DataError, DtypeError


def subject(obj, x, labels=None, training=False, dtype=np.float64):
    """The Subject for obj at the point x. Raises TypeError for what is none of the kinds above, DtypeError
    for an x that is not real.
    """
    if (
        isinstance(obj, type)
        and _is_torch_style(obj)
        or isinstance(obj, tuple)
        and len(obj) == 2
        and all(map(callable, obj))
    ):
        return FunctionSubject(obj, x)
    for method in ("forward", "backward"):
        if isinstance(obj, type) or not callable(getattr(obj, method, None)):
            raise TypeError(
                "check_gradients: expected an object with forward(x) and backward(dy), or a pair of "
                f"functions, got {obj!r} without {method}"
            )
    return ObjectSubject(obj, x, labels, training, dtype)


def name_of(obj):
    """What obj is called in a report: its repr, unless that is the address that Python gives to what has
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


def _real(x):
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
    """

    fixed, earlier = {}, {}

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
    """An object with forward and backward.

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
        self.exact = _with_dtype(obj, np.float64)  # what forward is asked of: in float64, and not on a GPU
        if getattr(obj, "device", None) == "cuda":
            self.exact.to("reference")
        x = _real(x)
        params = {name: to_host(value) for name, value in getattr(self.exact, "params", {}).items()}
        values = {"x": x, **{name: value for name, value in params.items() if is_float(value)}}
        self.complex = (
            copy.deepcopy(self.exact).to("reference")
            if hasattr(obj, "device") and hasattr(obj, "to")
            else self.exact
        )
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
    if hasattr(obj, "astype"):
        return copy.deepcopy(obj).astype(dtype)
    params = getattr(obj, "params", {})
    return copy.deepcopy(
        obj, {id(value): value.astype(dtype) for value in params.values() if is_float(value)}
    )


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


class Context:
    """What torch hands to forward and backward of a Function: a place to keep things in."""

    def __init__(self, arguments):
        self.saved_tensors, self.needs_input_grad = (), tuple(is_float(value) for value in arguments)

    def save_for_backward(self, *arrays):
        self.saved_tensors = arrays

    def set_materialize_grads(self, value):
        pass

    mark_non_differentiable = mark_dirty = lambda self, *arrays: None


class FunctionSubject(Subject):
    """A pair of functions, or a class with static ones."""

    labels = None

    def __init__(self, obj, x):
        self.obj, self.torch_style = obj, isinstance(obj, type)
        self.functions = (obj.forward, obj.backward) if self.torch_style else obj
        title = name_of(obj)
        names = list(inspect.signature(self.functions[0]).parameters)[self.torch_style :]
        given = x if isinstance(x, (tuple, list)) else (x,)
        if len(given) > len(names):
            raise TypeError(
                f"check_gradients: forward of {title} takes {', '.join(names)}; got {len(given)} arguments "
                "in x"
            )
        arguments = [
            np.asarray(value) if np.ndim(value) or isinstance(value, np.generic) else value for value in given
        ]
        if isinstance(arguments[0], np.ndarray):
            arguments[0] = _real(arguments[0])
        self.arguments = {
            name: value.astype(np.float64) if is_float(value) else value
            for name, value in zip(names, arguments)
        }
        self.dtype = np.dtype(np.float64)
        super().__init__(title, {name: value for name, value in self.arguments.items() if is_float(value)})
        before = self.earlier_values()
        self.earlier = {**before, "dy": np.random.default_rng(2).standard_normal(self.y.shape)}
        self._gradients({**self.arguments, **before}, self.earlier["dy"])

    def _forward(self, arguments):
        context = Context(arguments.values())
        result = self.functions[0](*([context] if self.torch_style else []), *arguments.values())
        return np.asarray(result[0] if isinstance(result, tuple) else result), result, context

    def forward(self, values={}, **options):
        return self._forward({**copy.deepcopy(self.arguments), **values})[0]

    def backward(self, dy):
        return self.run(dy)[0]

    def run(self, dy):
        arguments, dy = copy.deepcopy(self.arguments), np.array(dy)
        return self._gradients(arguments, dy), arguments[next(iter(self.values))], dy, arguments

    def params_of(self, arguments):
        return {name: arguments[name] for name in self.values}

    def _gradients(self, arguments, dy):
        y, result, context = self._forward(arguments)
        backward = self.functions[1]
        if self.torch_style:
            gradients = backward(context, dy)
        elif isinstance(result, tuple):
            gradients = backward(dy, result[1])
        else:
            gradients = backward(**self._by_name(backward, arguments, y, dy))
        if isinstance(gradients, dict):
            return {name: gradients.get(name, gradients.get("d" + name)) for name in self.values}
        gradients = gradients if isinstance(gradients, (tuple, list)) else (gradients,)
        names = list(self.arguments) if len(gradients) == len(self.arguments) else list(self.values)
        found = dict(zip(names, gradients))
        return {name: found.get(name) for name in self.values}

    @staticmethod
    def _by_name(backward, arguments, y, dy):
        """What backward is called with: its arguments that forward has too, y under its name, and for the one
        that is left: dy.
        """
        known = {**arguments, **{name: y for name in ("y", "out", "output") if name not in arguments}}
        names = [
            name
            for name, p in inspect.signature(backward).parameters.items()
            if name in known or p.default is p.empty
        ]
        left = [name for name in names if name not in known]
        if len(left) != 1:
            raise TypeError(
                f"check_gradients: backward takes {', '.join(names)}; expected dy and arguments that are "
                "named as those of forward "
                f"({', '.join(arguments)})"
            )
        return {name: dy if name == left[0] else known[name] for name in names}


def _is_torch_style(cls):
    return all(
        isinstance(inspect.getattr_static(cls, name, None), staticmethod) for name in ("forward", "backward")
    )


def from_file(address):
    """The object that "FILE.py:EXPRESSION" names: EXPRESSION is evaluated in the module of the file; a class
    is called without arguments.

    "layers.py:Scale", "layers.py:Scale(3)", "layers.py:forward, backward". Raises DataError where there is no
    such file, or no such object.
    """
    path, _, expression = address.partition(":")
    if not Path(path).is_file() or not expression.strip():
        raise DataError(
            "expected FILE.py:CLASS, FILE.py:CLASS(ARGUMENTS) or FILE.py:FORWARD,BACKWARD with a file "
            f"that is there, got {address!r}"
        )
    spec = importlib.util.spec_from_file_location(f"_checked_{Path(path).stem}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(Path(path).resolve().parent))  # what the file imports from beside it
    try:
        spec.loader.exec_module(module)
        obj = eval(expression, vars(module))
        return obj() if isinstance(obj, type) and not _is_torch_style(obj) else obj
    except Exception as error:
        raise DataError(f"{address}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(Path(path).resolve().parent))
