"""Trainable subsampling."""

import numpy as np

from ..annotation import Pair, Rng, Shape
from ..initializers import fan_in_uniform
from ..kernels import subsample2d as contract
from ..layer import Layer, pair, positive


class Subsample2d(Layer):
    """y[n,c,i,j] = coefficient[c] sum_{u,v} x[n, c, i SH + u, j SW + v] + bias[c]

    x            (N, channels, H, W)
    y            (N, channels, H // SH, W // SW); rows and columns that fill no window are left out
    coefficient  (channels,), bias (channels,): one pair a map, at first uniform in +-2.4/fan-in, the fan-in
                 being SH SW

    size = SH, SW is an int or a pair: the window and its stride in pixels. The inputs of a window are added,
    not averaged.
    Source: LeCun et al. 1998, section II.B (S2, S4).
    """

    operation = "subsample2d"
    settings = ("channels", "size")
    recordable = per_image = True

    def __init__(self, channels: int, size: Pair = 2, *, rng: Rng = None) -> None:
        super().__init__()
        self.channels, self.size = positive(channels, "channels"), positive(pair(size, "size"), "size")
        rng, fan_in = np.random.default_rng(rng), self.size[0] * self.size[1]
        self.params["coefficient"] = fan_in_uniform(rng, channels, fan_in)
        self.params["bias"] = fan_in_uniform(rng, channels, fan_in)

    def _forward(self, x, training):
        self.cache = x
        return self.kernel.forward(
            x, self._parameter("coefficient", x), self._parameter("bias", x), self.size
        )

    def _backward_input(self, dy):
        x = self.cache
        return self.kernel.backward_input(dy, self._parameter("coefficient", x), x.shape, self.size)

    def _backward_parameters(self, dy):
        return {
            "coefficient": self.kernel.backward_coefficient(dy, self.cache, self.size),
            "bias": self.kernel.backward_bias(dy),
        }

    def param_shapes(self) -> dict[str, Shape]:
        return {"coefficient": (self.channels,), "bias": (self.channels,)}

    def _output_shape(self, x_shape):
        return contract.output_shape(x_shape, self.channels, self.size)

    def connections(self, x_shape: Shape) -> int:
        _, C, OH, OW = self.output_shape(x_shape)
        return C * OH * OW * (self.size[0] * self.size[1] + 1)  # the inputs of the window and the bias

    def multiply_adds(self, x_shape: Shape) -> int:
        _, C, OH, OW = self.output_shape(x_shape)
        return C * OH * OW  # one multiplication by the coefficient
