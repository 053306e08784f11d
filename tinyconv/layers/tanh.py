"""The hyperbolic tangent."""

from ..layer import Layer


class Tanh(Layer):
    """y = tanh(x), for x of any shape (N, ...)."""

    operation = "tanh"
    recordable = per_image = True

    def _forward(self, x, training):
        y = self.cache = self.kernel.forward(x)
        return y

    def _backward_input(self, dy):
        return self.kernel.backward_input(dy, self.cache)
