"""What max_pool2d and avg_pool2d share: windows that slide over a map."""

from ..annotation import Pair
from ..kernels.max_pool2d import output_shape
from ..layer import Layer, pair, positive


class Pool2d(Layer):
    """x (N, C, H, W) -> y (N, C, OH, OW), OH = floor((H + 2 PH - SIZE_H) / SH) + 1, OW likewise.

    size, stride (default: size) and padding (pixels) are ints or pairs (vertical, horizontal); windows
    overlap where the stride is below the size. ceil=True rounds OH and OW up: pixels that are left over get a
    window that reaches beyond the map. ValueError where the padding is not smaller than the size.
    """

    settings = ("size", "stride", "padding", "ceil")

    def __init__(self, size: Pair, stride: Pair | None = None, padding: Pair = 0, ceil: bool = False) -> None:
        super().__init__()
        self.size = positive(pair(size, "size"), "size")
        self.stride = self.size if stride is None else positive(pair(stride, "stride"), "stride")
        self.padding, self.ceil = pair(padding, "padding"), bool(ceil)
        if any(not 0 <= p < s for p, s in zip(self.padding, self.size)):
            raise ValueError(
                f"padding: expected 0 or more and less than the size {self.size}, got {padding!r}"
            )

    def _backward_input(self, dy):
        return self.kernel.backward_input(dy, self.cache, self.size, self.stride, self.padding)

    def _output_shape(self, x_shape):
        return output_shape(x_shape, self.size, self.stride, self.padding, self.ceil)
