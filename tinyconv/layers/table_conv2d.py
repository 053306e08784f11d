"""Convolution with a connection table."""

from typing import Any

import numpy as np

from ..annotation import Pair, Rng, Shape
from ..initializers import fan_in_uniform
from ..kernels import table_conv2d as contract
from ..layer import Layer, pair, positive


class TableConv2d(Layer):
    """y[n,o,i,j] = bias[o] + sum over the maps c with table[o,c] of sum_{u,v} weight[k,u,v] x[n,c,i+u,j+v], k
    the number of (o,c)

    x            (N, C, H, W)
    y            (N, O, H-KH+1, W-KW+1)
    table        (O, C) bool: True where output map o sees input map c; every o must see at least one (else
                 ValueError)
    pairs        (K, 2): the connections (o, c) of the table, row by row
    weight       (K, KH, KW): only the filters that the table has; at first uniform in +-2.4/fan-in, as is the
                 bias, where the fan-in of o counts the maps that o sees
    bias         (O,)

    Source: LeCun et al. 1998, section II.B and table I.
    """

    operation = "table_conv2d"
    settings = ("kernel_size", "connected")
    recordable = per_image = True

    def __init__(self, table: np.ndarray, kernel_size: Pair, *, rng: Rng = None) -> None:
        super().__init__()
        self.table, self.kernel_size = (
            np.array(table, bool),
            positive(pair(kernel_size, "kernel_size"), "kernel_size"),
        )
        if self.table.ndim != 2 or not self.table.any(axis=1).all():
            raise ValueError(
                f"table: expected a bool array (O, C) with a True in every row, got shape {self.table.shape}"
            )
        # a tape keeps the table as it was when it was recorded
        self.table.flags.writeable = False
        rng = np.random.default_rng(rng)
        fan_in = self.table.sum(axis=1) * self.kernel_size[0] * self.kernel_size[1]
        shape = (len(self.pairs), *self.kernel_size)
        self.params["weight"] = fan_in_uniform(rng, shape, fan_in[self.pairs[:, 0], None, None])
        self.params["bias"] = fan_in_uniform(rng, len(self.table), fan_in)

    @property
    def pairs(self) -> Any:
        """The connections (o, c) of the table, row by row: (K, 2)."""
        return np.argwhere(self.table)

    @property
    def connected(self):
        """The table as a string, one group of hexadecimal digits for all of it: shows in repr and tells two
        tables apart.
        """
        return f"{self.table.shape[0]}x{self.table.shape[1]}:{np.packbits(self.table).tobytes().hex()}"

    def _forward(self, x, training):
        self.cache = x
        return self.kernel.forward(x, self._parameter("weight", x), self._parameter("bias", x), self.pairs)

    def _backward_input(self, dy):
        x = self.cache
        return self.kernel.backward_input(dy, self._parameter("weight", x), self.pairs, x.shape)

    def _backward_parameters(self, dy):
        return {
            "weight": self.kernel.backward_weight(dy, self.cache, self.pairs, self.kernel_size),
            "bias": self.kernel.backward_bias(dy),
        }

    def param_shapes(self) -> dict[str, Shape]:
        return {"weight": (len(self.pairs), *self.kernel_size), "bias": (len(self.table),)}

    def _output_shape(self, x_shape):
        return contract.output_shape(x_shape, self.kernel_size, self.table.shape)

    def connections(self, x_shape: Shape) -> int:
        _, O, OH, OW = self.output_shape(x_shape)
        return self.multiply_adds(x_shape) + O * OH * OW

    def multiply_adds(self, x_shape: Shape) -> int:
        OH, OW = self.output_shape(x_shape)[2:]
        return OH * OW * len(self.pairs) * self.kernel_size[0] * self.kernel_size[1]
