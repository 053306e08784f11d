"""relu in Numba: one loop over all elements, whatever the layout."""
from numba import njit


def forward(x):
    y = x.like()
    _forward(x.data.ravel(), y.data.ravel())
    return y


@njit(cache=True, nogil=True)
def _forward(x, y):
    for e in range(len(x)):
        y[e] = x[e] if not x[e] <= 0 else 0


def backward_input(dy, x):
    dx = dy.like()
    _backward_input(dy.data.ravel(), x.data.ravel(), dx.data.ravel())
    return dx


@njit(cache=True, nogil=True)
def _backward_input(dy, x, dx):
    for e in range(len(dy)):
        dx[e] = dy[e] if x[e] > 0 else 0        # reverses: y = max(x, 0)
