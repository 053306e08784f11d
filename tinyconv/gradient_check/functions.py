"""Functions as Subjects: pairs (forward, backward), those of cs231n, and classes in the style of torch.

(forward, backward)         plain functions: y = forward(x, weight), dx, dweight = backward(dy, x, weight)
                            or those of cs231n: out, cache = forward(x, w, b); dx, dw, db = backward(dout,
                            cache)
a class, not an instance    in the style of torch.autograd.Function: static forward(ctx, x, weight) and backward(ctx, dy)
"""  # noqa: E501

import copy
import inspect

import numpy as np

from .objects import Subject, is_float, name_of, real


class Context:
    """The first argument of a torch Function: a place to keep things in."""

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
        if isinstance(arguments[0], np.ndarray) and self._takes_numbers(arguments):
            arguments[0] = real(arguments[0])
        self.arguments = {
            name: value.astype(np.float64) if is_float(value) else value
            for name, value in zip(names, arguments)
        }
        self.dtype = np.dtype(np.float64)
        super().__init__(title, {name: value for name, value in self.arguments.items() if is_float(value)})
        before = self.earlier_values()
        self.earlier = {**before, "dy": np.random.default_rng(2).standard_normal(self.y.shape)}
        self._gradients({**self.arguments, **before}, self.earlier["dy"])

    def _takes_numbers(self, arguments):
        """An array of integers is one of numbers, where forward takes it so; else they are indices."""
        if arguments[0].dtype.kind not in "iu":
            return True
        try:
            self._forward(dict(enumerate([real(arguments[0]), *arguments[1:]])))
        except Exception:
            return False
        return True

    def _forward(self, arguments):
        context = Context(arguments.values())
        result = self.functions[0](*([context] if self.torch_style else []), *arguments.values())
        outputs, _ = _split(result)
        y = outputs[0] if len(outputs) == 1 else np.concatenate([one.reshape(-1) for one in outputs])
        return y, result, context

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
            outputs, cache = _split(result)
            parts = np.split(dy.reshape(-1), np.cumsum([one.size for one in outputs])[:-1])
            dys = [part.reshape(one.shape) for part, one in zip(parts, outputs)]
            gradients = backward(*dys, *cache)
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
        """Arguments of backward: those that forward has too, y under its name, and for the one
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


def _split(result):
    """([y, ...], [cache] or []) of what forward gives: (y, cache), (y, z) or (y, z, cache)."""
    if not isinstance(result, tuple):
        return [np.asarray(result)], []
    if len(result) == 2 or not is_float(result[-1]):
        return [np.asarray(one) for one in result[:-1]], [result[-1]]
    return [np.asarray(one) for one in result], []


def is_torch_style(cls):
    """Return True for a class whose forward and backward are static methods."""
    return all(
        isinstance(inspect.getattr_static(cls, name, None), staticmethod) for name in ("forward", "backward")
    )
