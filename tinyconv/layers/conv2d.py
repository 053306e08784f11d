"""Two-dimensional convolution."""

from math import prod

import numpy as np

from ..annotation import Initializer, Pair, Rng, Shape
from ..initializers import fan_in_uniform
from ..kernels import conv2d as contract
from ..layer import Layer, pair, positive


class Conv2d(Layer):
    """y[n,o,i,j] = bias[o] + sum_{c,u,v} weight[o,c,u,v] x[n, c, i SH + u - PH, j SW + v - PW]

    x       (N, in_channels, H, W)
    y       (N, out_channels, OH, OW), OH = floor((H + 2 PH - KH) / SH) + 1, OW likewise
    weight  (out_channels, in_channels/groups, KH, KW)
    bias    (out_channels,)

    kernel_size, stride and padding (pixels) are ints or pairs (vertical, horizontal). With groups > 1 maps
    and filters are split into that many groups and each filter sees only the maps of its own. ValueError
    where the groups do not divide the channels. ceil=True rounds OH and OW up: pixels that are left over get
    a window that reaches beyond the padded map, where it sees zeros. initial_weight and initial_bias
    (initializers.py) say how weight and bias start; else uniform in +-2.4/fan-in.
    Source: LeCun et al. 1998, section II.A; groups: Krizhevsky et al. 2012, section 3.5.
    """

    operation = "conv2d"
    settings = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "groups", "bias", "ceil")
    recordable = per_image = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        *,
        stride: Pair = 1,
        padding: Pair = 0,
        groups: int = 1,
        bias: bool = True,
        ceil: bool = False,
        rng: Rng = None,
        initial_weight: Initializer = fan_in_uniform,
        initial_bias: Initializer = fan_in_uniform,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = (
            positive(in_channels, "in_channels"),
            positive(out_channels, "out_channels"),
        )
        self.kernel_size, self.stride = (
            positive(pair(kernel_size, "kernel_size"), "kernel_size"),
            positive(pair(stride, "stride"), "stride"),
        )
        self.padding, self.groups, self.bias, self.ceil = (
            pair(padding, "padding"),
            positive(groups, "groups"),
            bias,
            bool(ceil),
        )
        if min(self.padding) < 0:
            raise ValueError(f"padding: expected 0 or more, got {padding!r}")
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}"
            )
        rng, shape = np.random.default_rng(rng), self.param_shapes()["weight"]
        fan_in = shape[1] * shape[2] * shape[3]
        self.params["weight"] = initial_weight(rng, shape, fan_in)
        if bias:
            self.params["bias"] = initial_bias(rng, out_channels, fan_in)

    def _forward(self, x, training):
        self.cache = x
        forward = self.kernel.with_relu if "relu behind" in self.fused else self.kernel.forward
        return forward(
            x,
            self._parameter("weight", x),
            self._parameter("bias", x, optional=not self.bias),
            self.stride,
            self.padding,
            self.groups,
            self.ceil,
        )

    def _backward_input(self, dy):
        x = self.cache
        if "relu before" in self.fused:  # its y is our x
            return self.kernel.masked_backward_input(
                dy, self._parameter("weight", x), x.shape, self.stride, self.padding, self.groups, x
            )
        return self.kernel.backward_input(
            dy, self._parameter("weight", x), x.shape, self.stride, self.padding, self.groups
        )

    def _backward_parameters(self, dy):
        grads = {
            "weight": self.kernel.backward_weight(
                dy, self.cache, self.kernel_size, self.stride, self.padding, self.groups
            )
        }
        if "bias" in self.params:
            grads["bias"] = self.kernel.backward_bias(dy)
        return grads

    def param_shapes(self) -> dict[str, Shape]:
        return {
            "weight": (self.out_channels, self.in_channels // self.groups, *self.kernel_size),
            "bias": (self.out_channels,),
        }

    def _output_shape(self, x_shape):
        return contract.output_shape(
            x_shape, self.param_shapes()["weight"], self.stride, self.padding, self.groups, self.ceil
        )

    def connections(self, x_shape: Shape) -> int:
        _, O, OH, OW = self.output_shape(x_shape)
        return self.multiply_adds(x_shape) + (O * OH * OW if self.bias else 0)

    def multiply_adds(self, x_shape: Shape) -> int:
        OH, OW = self.output_shape(x_shape)[2:]
        return OH * OW * prod(self.param_shapes()["weight"])
