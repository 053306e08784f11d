"""Euclidean radial basis function units."""
import numpy as np

from ..kernels import rbf as contract
from ..layer import Layer


class RBF(Layer):
    """y[n,k] = sum_f (x[n,f] - centers[k,f])^2

    x        (N, F), or (N, F, H, W): then the same centers act at every pixel
    y        (N, K), or (N, K, H, W): penalties, smallest for the class that x is closest to
    centers  (K, F), fixed: not among params

    Source: LeCun et al. 1998, section II.B, equation 7.
    """

    operation = "rbf"
    settings = ("classes", "features")

    def __init__(self, centers):
        super().__init__()
        self.centers = np.ascontiguousarray(centers, np.float32)
        if self.centers.ndim != 2:
            raise ValueError(f"centers: expected an array (classes, features), got shape {self.centers.shape}")
        self.classes, self.features = self.centers.shape

    def _forward(self, x, training):
        self.cache = x
        return self.kernel.forward(x, self.centers.astype(x.dtype, copy=False))

    def _backward_input(self, dy):
        return self.kernel.backward_input(dy, self.cache, self.centers.astype(dy.dtype, copy=False))

    def _output_shape(self, x_shape):
        return contract.output_shape(x_shape, self.centers.shape)

    def connections(self, x_shape):
        return self.centers.size * int(np.prod(x_shape[2:]))

    def multiply_adds(self, x_shape):
        return self.connections(x_shape)
