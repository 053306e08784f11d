"""How the forward and backward of a user's own object are called, whatever they take and give.

    forward(x), forward(a, b), forward([a, b]), forward(x, labels), forward(indices)
    y, (y, z), (y, cache)                        what forward gives
    backward(dy), backward(dy, dz), backward((dy, dz)), backward(dy, cache), backward(), backward(dout=1)
    dx, (da, db), (dx, None), {"a": da}, None    what backward gives

Arguments of floats are what gradients are taken of; integers, booleans and all else are handed on as they
are. Several outputs are one long y.
"""

import inspect

import numpy as np

from . import reach
from .objects import name_of, real

CACHES = ("cache", "ctx", "context", "saved", "memory", "state", "tape")  # names of what forward hands on
# attributes that hold what was to be returned
RESULTS = ("output", "outputs", "out", "y", "a", "z", "result")
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Passes:
    """The calls of one object at one point.

    values    {name: float64 array}: "x", or where forward takes several arguments the names that it has for
              them; xs[0], xs[1] of a list
    options   keywords of every forward
    takes_dy  False for a loss, whose backward is handed nothing
    Raises TypeError where x has not as many arguments as forward takes.
    """

    def __init__(self, obj, x, labels, training):
        self.title, self.options = name_of(obj), {"training": True} if training else {}
        self.given = self._given(obj, x, labels)
        self._take_integers_for_numbers(obj)
        self.values = {
            name: real(value)
            for key, argument in self.given.items()
            for name, value in _parts(key, argument)
            if _is_float(value) and key != self.labels_name
        }
        parameters = _positional(obj.backward)
        self.accepts = len(parameters)
        many = any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(obj.backward).parameters.values())
        self.accepts = 99 if many else self.accepts
        self.wants_cache = len(parameters) > 1 and parameters[1].name.lower() in CACHES
        self.takes_dy = bool(self.accepts)
        # backward(dout=1) of a loss: nobody hands it a dy where y is one number
        self.may_take_none = bool(parameters) and all(p.default is not p.empty for p in parameters)

    def _given(self, obj, x, labels):
        """{name: argument} of forward."""
        names = [p.name for p in _positional(obj.forward) if p.name not in self.options]
        needed = [p.name for p in _positional(obj.forward) if p.default is p.empty]
        self.labels_name = None
        if labels is not None:
            self.labels_name = names[1] if len(names) > 1 else "labels"
            return {"x": np.asarray(x), self.labels_name: labels}
        several = isinstance(x, (tuple, list)) and len(x) > 0 and not np.isscalar(x[0])
        if several and len(names) == 1 and len(x) > 1:  # forward([a, b])
            return {names[0]: [np.asarray(one) for one in x]}
        arguments = list(x) if several else [x]
        if not len(needed) <= len(arguments) <= max(len(names), 1):
            raise TypeError(
                f"check_gradients: forward of {self.title} takes {', '.join(names)}; got {len(arguments)} of "
                "these in x; for a loss give labels=..., for several arguments a tuple of them"
            )
        arrays = [np.asarray(one) if _is_array(one) else one for one in arguments]
        return {"x": np.asarray(x)} if len(arrays) == 1 and not several else dict(zip(names, arrays))

    def _take_integers_for_numbers(self, obj):
        """An x of integers is one of numbers, where forward takes it so; else they are indices."""
        x = self.given.get("x")
        if self.labels_name or not isinstance(x, np.ndarray) or x.dtype.kind not in "iu":
            return
        try:
            reach.duplicate(obj).forward(x.astype(np.float64), **self.options)
        except Exception:
            return
        self.given["x"] = x.astype(np.float64)

    def arguments(self, values, dtype):
        """{name: argument} for one forward: fresh copies, floats of that dtype."""

        def one(name, value):
            if name not in self.values:
                return value.copy() if isinstance(value, np.ndarray) else value
            return values[name].astype(np.result_type(values[name], dtype) if dtype is complex else dtype)

        return {
            key: [one(name, value) for name, value in _parts(key, argument)]
            if isinstance(argument, list)
            else one(key, argument)
            for key, argument in self.given.items()
        }

    def named(self, arguments):
        """{name: array} of arguments, by the names of `values`."""
        return {
            name: value
            for key, argument in arguments.items()
            for name, value in _parts(key, argument)
            if name in self.values
        }

    def forward(self, obj, arguments):
        """(y, what forward gave). Raises TypeError where that is nothing."""
        result = obj.forward(*arguments.values(), **self.options)
        if result is None:
            kept = [name for name in getattr(obj, "__dict__", {}) if name in RESULTS]
            raise TypeError(
                f"check_gradients: forward of {self.title} returns nothing"
                + (f"; it keeps self.{kept[0]}: write `return self.{kept[0]}`" if kept else "; return y")
            )
        outputs, _ = self._outputs(result)
        y = outputs[0] if len(outputs) == 1 else np.concatenate([one.reshape(-1) for one in outputs])
        if self.may_take_none and y.shape == ():
            self.takes_dy = False
        return y, result

    def _outputs(self, result):
        """([y, ...], cache) of what forward gave."""
        if not isinstance(result, (tuple, list)):
            return [np.asarray(result)], None
        if isinstance(result, tuple) and len(result) == 2 and (self.wants_cache or not _is_float(result[1])):
            return [np.asarray(result[0])], result[1]
        return [np.asarray(one) for one in result if _is_float(one)], None

    def backward(self, obj, dy, result):
        """({name: gradient of an argument}, dy as backward left it)."""
        outputs, cache = self._outputs(result)
        sizes = np.cumsum([one.size for one in outputs])[:-1]
        parts = np.split(np.asarray(dy).reshape(-1), sizes)
        dys = [np.array(part.reshape(one.shape), one.dtype) for part, one in zip(parts, outputs)]
        if not self.takes_dy:
            given = []
        elif len(dys) > 1 and self.accepts < len(dys):
            given = [tuple(dys)]
        else:
            given = list(dys)
        if cache is not None and self.accepts > len(given):
            given.append(cache)
        gradients = self._by_name(obj.backward(*given))
        if not self.takes_dy:  # a loss has no dy: its y is one number
            gradients = {
                name: None if value is None else float(np.reshape(dy, -1)[0]) * value
                for name, value in gradients.items()
            }
        after = dys[0] if len(dys) == 1 else np.concatenate([one.reshape(-1) for one in dys])
        return gradients, after

    def _by_name(self, gave):
        """{name: gradient} of the arguments, from what backward gave."""
        if gave is None:
            return {}
        if isinstance(gave, dict):
            return {name: gave.get(name, gave.get(f"d{name}")) for name in self.values}
        if not isinstance(gave, (tuple, list)):
            return dict.fromkeys(list(self.values)[:1], np.asarray(gave))
        if isinstance(gave, list) and len(self.values) == len(self.given) == 1 != len(gave):
            raise TypeError(
                f"check_gradients: backward of {self.title} gives a list of {len(gave)} for one x; where "
                "forward takes a list of arrays, give that: x=[a, b]"
            )
        gave = list(gave)
        if len(self.given) > 1 and len(gave) >= len(self.given):
            pairs = zip(self.given, gave)
        elif len(self.values) > 1 and len(gave) >= len(self.values):
            pairs = zip(self.values, gave)
        else:
            pairs = zip(list(self.values)[:1], gave)
        return {name: None if one is None else np.asarray(one) for name, one in pairs if name in self.values}


def _positional(function):
    return [p for p in inspect.signature(function).parameters.values() if p.kind in POSITIONAL]


def _parts(key, argument):
    if isinstance(argument, list):
        return [(f"{key}[{place}]", value) for place, value in enumerate(argument)]
    return [(key, argument)]


def _is_array(value):
    return isinstance(value, (np.ndarray, np.generic, list))


def _is_float(value):
    return isinstance(value, (np.ndarray, np.generic, float)) and np.asarray(value).dtype.kind in "fc"
