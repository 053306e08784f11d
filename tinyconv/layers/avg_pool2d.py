"""Average pooling: the mean of each window."""

from ._pool2d import Pool2d


class AvgPool2d(Pool2d):
    """y[n,c,i,j] = 1/area sum over the window of x[n, c, i SH + u - PH, j SW + v - PW], area = SIZE_H SIZE_W

    x  (N, C, H, W)
    y  (N, C, OH, OW), OH = floor((H + 2 PH - SIZE_H) / SH) + 1, OW likewise

    size, stride, padding and ceil: see Pool2d. Padding is zero and counts in the mean; what lies beyond it
    (ceil) counts neither in the sum nor in the area.
    """

    operation = "avg_pool2d"
    recordable = per_image = True

    def _forward(self, x, training):
        self.cache = x.shape
        return self.kernel.forward(x, self.size, self.stride, self.padding, self.ceil)
