"""An exercise as an object with forward, backward, params and grads, as tinyconv.gradient_check takes it."""

import copy

import numpy as np


class Operation:
    """forward is the solution's; backward calls one function for each gradient, each with the arguments that
    it names.

    gradients  {name: function}: of "x" and of parameters; a function takes dy, y, x, parameters and options
               by name
    params     {name: float array}         options  what else forward takes: they become attributes, as a layer has them
    """  # noqa: E501

    def __init__(self, forward, gradients, params, options):
        self.params, self.grads, self._cache = params, {}, None
        self._forward, self._gradients, self._options = forward, gradients, tuple(options)
        vars(self).update(options)

    def _arguments(self, x):
        return {"x": x, **self.params, **{name: getattr(self, name) for name in self._options}}

    def forward(self, x):
        y = self._forward(**self._arguments(x))
        self._cache = x, y
        return y

    def backward(self, dy):
        x, y = self._cache
        found = {
            name: gradient(self._arguments(x) | {"dy": dy, "y": y})
            for name, gradient in self._gradients.items()
        }
        self.grads = {name: found[name] for name in self.params}
        return found["x"]


class Loss(Operation):
    """One number for a batch, so there is no dy; labels are given to forward."""

    def forward(self, x, labels):
        self._cache = x, labels
        return self._forward(x, labels)

    def backward(self):
        x, labels = self._cache
        return self._gradients["x"]({"x": x, "labels": labels})


class Chain(Operation):
    """Layers, each an Operation: their parameters are those of the chain, "D1.weight" for the
    weight of D1.
    """

    def __init__(self, forward, gradients, named_layers):
        self._named = named_layers
        params = {
            f"{name}.{key}": value
            for name, layer in named_layers.items()
            for key, value in layer.params.items()
        }
        super().__init__(forward, gradients, params, {})

    def forward(self, x):
        return self._forward(x, list(self._named.values()))

    def backward(self, dy):
        dx = self._gradients["x"]({"dy": dy, "layers": list(self._named.values())})
        self.grads = {
            f"{name}.{key}": value
            for name, layer in self._named.items()
            for key, value in layer.grads.items()
        }
        return dx


class SquaredSlopes(Operation):
    """What makes of a diagonal second derivative a gradient that can be checked.

    With J = dy/dx at one point, ddx = (J * J)^T ddy is the gradient of the linear map (J * J) x. That map is
    forward here, ddy its dy; the functions to check are called with the values at the point itself. J is
    computed column by column, by complex steps.
    """

    def __init__(self, forward, gradients, params, x):
        super().__init__(forward, gradients, params, {})
        self._point = copy.deepcopy({"x": x, **params})
        self._y = forward(**self._point)
        self._squares = {name: self._squared_slope(name) for name in self._point}
        self.state = self._squares  # which is not trained

    def _squared_slope(self, name):
        """(dy/de)^2 of each element e of the array: (array's shape, y's shape)."""
        value, step = self._point[name], 1e-30
        squares = np.empty((*value.shape, *self._y.shape))
        for index in np.ndindex(value.shape):
            moved = value.astype(complex)
            moved[index] += 1j * step
            squares[index] = (self._forward(**{**self._point, name: moved}).imag / step) ** 2
        return squares

    def forward(self, x):
        return sum(
            np.tensordot(value, self._squares[name], value.ndim)
            for name, value in {"x": x, **self.params}.items()
        )

    def backward(self, ddy):
        found = {
            name: gradient({**self._point, "ddy": ddy, "y": self._y})
            for name, gradient in self._gradients.items()
        }
        self.grads = {name: found[name] for name in self.params}
        return found["x"]
