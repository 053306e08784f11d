"""The rectified linear unit."""

from ..layer import Layer


class ReLU(Layer):
    """y = max(x, 0), for x of any shape (N, ...). The derivative at 0 is 0. Source: Krizhevsky et al. 2012,
    section 3.1.
    """

    operation = "relu"
    recordable = per_image = True

    def _forward(self, x, training):
        self.cache = x
        return x if "before" in self.fused else self.kernel.forward(x)

    def _backward_input(self, dy):
        return dy if "behind" in self.fused else self.kernel.backward_input(dy, self.cache)
