"""Euclidean radial basis function units."""

import numpy as np

from ..annotation import Shape
from ..kernels import rbf as contract
from ..layer import Layer


class RBF(Layer):
    """y[n,k] = sum_f (x[n,f] - centers[k,f])^2

    x        (N, F), or (N, F, H, W): then the same centers act at every pixel
    y        (N, K), or (N, K, H, W): penalties, smallest for the class that x is closest to
    centers  (K, F), fixed: in state, not among params, so a saved network keeps the codes that it was trained
             with

    Source: LeCun et al. 1998, section II.B, equation 7.
    """

    operation = "rbf"
    settings = ("classes", "features")
    recordable = per_image = True

    def __init__(self, centers: np.ndarray) -> None:
        super().__init__()
        self.state["centers"] = np.array(centers, np.float32)
        if self.state["centers"].ndim != 2:
            raise ValueError(
                f"centers: expected an array (classes, features), got shape {self.state['centers'].shape}"
            )
        self.classes, self.features = self.state["centers"].shape

    def _forward(self, x, training):
        self.cache = x
        return self.kernel.forward(x, self._parameter("centers", x))

    def _backward_input(self, dy):
        return self.kernel.backward_input(dy, self.cache, self._parameter("centers", dy))

    def param_shapes(self) -> dict[str, Shape]:
        return {"centers": (self.classes, self.features)}

    def _output_shape(self, x_shape):
        return contract.output_shape(x_shape, (self.classes, self.features))

    def connections(self, x_shape: Shape) -> int:
        return self.classes * self.features * int(np.prod(x_shape[2:]))

    def multiply_adds(self, x_shape: Shape) -> int:
        return self.connections(x_shape)
