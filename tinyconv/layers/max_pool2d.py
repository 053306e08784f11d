"""Max pooling: the largest input of each window."""

from ._pool2d import Pool2d


class MaxPool2d(Pool2d):
    """y[n,c,i,j] = max over the window of x[n, c, i SH + u - PH, j SW + v - PW]

    x  (N, C, H, W)
    y  (N, C, OH, OW), OH = floor((H + 2 PH - SIZE_H) / SH) + 1, OW likewise

    size, stride, padding and ceil: see Pool2d. The first maximum of a window in reading order gets its dy.
    Padding never wins.
    Source: Krizhevsky et al. 2012, section 3.4 (overlapping pooling).
    """

    operation = "max_pool2d"
    recordable = per_image = True

    def _forward(self, x, training):
        self.cache = x
        return self.kernel.forward(x, self.size, self.stride, self.padding, self.ceil)
