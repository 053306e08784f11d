"""rbf in NumPy: all differences at once, (N, K, F, positions)."""


def forward(x, centers):
    return (_difference(x, centers) ** 2).sum(axis=2).reshape(len(x), len(centers), *x.shape[2:])


def backward_input(dy, x, centers):
    dy = dy.reshape(len(x), len(centers), 1, -1)
    return 2 * (dy * _difference(x, centers)).sum(axis=1).reshape(x.shape)  # reverses: y = sum_f difference^2


def backward_centers(dy, x, centers):
    dy = dy.reshape(len(x), len(centers), 1, -1)
    return -2 * (dy * _difference(x, centers)).sum(axis=(0, 3))  # reverses: difference = x - centers


def _difference(x, centers):
    return x.reshape(len(x), 1, x.shape[1], -1) - centers[:, :, None]
