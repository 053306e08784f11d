"""Fully connected layer."""

import numpy as np

from ..annotation import Initializer, Rng, Shape
from ..initializers import fan_in_uniform
from ..kernels import dense as contract
from ..layer import Layer, positive


class Dense(Layer):
    """y[n,o] = bias[o] + sum_c weight[o,c] x[n,c]

    x       (N, in_features), or (N, in_features, H, W): then the same weights act at every pixel
    y       (N, out_features), or (N, out_features, H, W)
    weight  (out_features, in_features)
    bias    (out_features,)

    initial_weight and initial_bias (initializers.py) say how weight and bias start; else uniform in
    +-2.4/in_features.
    Source: LeCun et al. 1998, section II.B (F6) and appendix A (initial weights).
    """

    operation = "dense"
    settings = ("in_features", "out_features", "bias")
    recordable = per_image = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        rng: Rng = None,
        initial_weight: Initializer = fan_in_uniform,
        initial_bias: Initializer = fan_in_uniform,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = (
            positive(in_features, "in_features"),
            positive(out_features, "out_features"),
        )
        self.bias, rng = bias, np.random.default_rng(rng)
        self.params["weight"] = initial_weight(rng, (out_features, in_features), in_features)
        if bias:
            self.params["bias"] = initial_bias(rng, out_features, in_features)

    def _forward(self, x, training):
        self.cache = x
        forward = self.kernel.with_relu if "relu behind" in self.fused else self.kernel.forward
        return forward(x, self._parameter("weight", x), self._parameter("bias", x, optional=not self.bias))

    def _backward_input(self, dy):
        if "relu before" in self.fused:  # its y is our x
            return self.kernel.masked_backward_input(dy, self._parameter("weight", dy), self.cache)
        return self.kernel.backward_input(dy, self._parameter("weight", dy))

    def _backward_parameters(self, dy):
        grads = {"weight": self.kernel.backward_weight(dy, self.cache)}
        if "bias" in self.params:
            grads["bias"] = self.kernel.backward_bias(dy)
        return grads

    def param_shapes(self) -> dict[str, Shape]:
        return {"weight": (self.out_features, self.in_features), "bias": (self.out_features,)}

    def _output_shape(self, x_shape):
        return contract.output_shape(x_shape, self.param_shapes()["weight"])

    def connections(self, x_shape: Shape) -> int:
        positions = int(np.prod(x_shape[2:]))
        return self.multiply_adds(x_shape) + (self.out_features * positions if self.bias else 0)

    def multiply_adds(self, x_shape: Shape) -> int:
        return self.out_features * self.in_features * int(np.prod(x_shape[2:]))
