"""A layer of one's own, with a mistake in it: `tinyconv gradcheck upsample2d.py:Upsample2d` says which."""


class Upsample2d:
    """Each pixel becomes a square of size x size pixels. x (N, C, H, W), y (N, C, size H, size W)."""

    def __init__(self, size=2):
        self.size = size

    def forward(self, x):
        return x.repeat(self.size, axis=2).repeat(self.size, axis=3)

    def backward(self, dy):
        N, C, H, W = dy.shape
        squares = dy.reshape(N, C, H // self.size, self.size, W // self.size, self.size)
        return squares.mean(axis=(3, 5))  # wrong: every pixel of the square has its share
