"""The logistic function."""

from ..layer import Layer


class Sigmoid(Layer):
    """y = 1 / (1 + e^-x), for x of any shape (N, ...)."""

    operation = "sigmoid"
    recordable = per_image = True

    def _forward(self, x, training):
        y = self.cache = self.kernel.forward(x)
        return y

    def _backward_input(self, dy):
        return self.kernel.backward_input(dy, self.cache)
