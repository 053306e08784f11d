"""Max pooling: the largest input of each window."""
from ..kernels import max_pool2d as contract
from ..layer import Layer, pair, positive


class MaxPool2d(Layer):
    """y[n,c,i,j] = max over the window of x[n, c, i SH + u - PH, j SW + v - PW]

    x  (N, C, H, W)
    y  (N, C, OH, OW), OH = floor((H + 2 PH - SIZE_H) / SH) + 1, OW likewise

    size, stride (default: size) and padding (pixels) are ints or pairs (vertical, horizontal); windows overlap where the stride is below
    the size. The first maximum of a window in reading order gets its dy. Padding never wins.
    Source: Krizhevsky et al. 2012, section 3.4 (overlapping pooling).
    """

    operation = "max_pool2d"
    settings = ("size", "stride", "padding")

    def __init__(self, size, stride=None, padding=0):
        super().__init__()
        self.size = positive(pair(size, "size"), "size")
        self.stride = self.size if stride is None else positive(pair(stride, "stride"), "stride")
        self.padding = pair(padding, "padding")
        if any(not 0 <= p < s for p, s in zip(self.padding, self.size)):
            raise ValueError(f"padding: expected 0 or more and less than the size {self.size}, got {padding!r}")

    def _forward(self, x, training):
        self.cache = x
        return self.kernel.forward(x, self.size, self.stride, self.padding)

    def _backward_input(self, dy):
        return self.kernel.backward_input(dy, self.cache, self.size, self.stride, self.padding)

    def _output_shape(self, x_shape):
        if len(x_shape) != 4:
            raise ValueError(f"expected x of shape (N, C, H, W), got {x_shape}")
        return contract.output_shape(x_shape, self.size, self.stride, self.padding)
