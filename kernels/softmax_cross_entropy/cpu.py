"""softmax_cross_entropy in Numba: the L images of a block are one vector, and so are their labels, as numbers
of the dtype of the scores.

No label equals -1, so an image with that label and a lane without an image have no right class; they get y =
0 and dscores = 0.
"""

from .._cpu.kernel import kernel
from .._cpu.math import exp, log
from .._cpu.per_image import per_image, spread
from .._cpu.vector import fill_like, inner, lanewise, load, maximum, store, where
from . import output_shape


def forward(scores, labels):
    output_shape(scores.shape)
    y = per_image(scores)
    _forward(lanewise(scores.data), spread(labels, -1, scores), y)
    return y.reshape(-1)[: len(labels)]


@kernel(split=("scores", "label", "y"))
def _forward(scores, label, y):
    blocks, K = scores.shape[:2]
    for b in range(blocks):
        largest, total = _softmax(scores, b)
        right, of_image = fill_like(total, 0), load(label, b)
        for k in range(K):
            right = where(of_image == k, load(scores, (b, k)) - largest, right)
        store(y, b, where(of_image < 0, 0, log(total) - right))


@inner
def _softmax(scores, b):
    """max_k s, sum_k e^(s - max)"""
    largest = load(scores, (b, 0))
    for k in range(1, scores.shape[1]):
        largest = maximum(load(scores, (b, k)), largest)
    total = fill_like(largest, 0)
    for k in range(scores.shape[1]):
        total = total + exp(load(scores, (b, k)) - largest)
    return largest, total


def backward_input(dy, scores, labels):
    dscores = scores.like()
    _backward_input(
        spread(dy, 0, scores), lanewise(scores.data), spread(labels, -1, scores), lanewise(dscores.data)
    )
    return dscores


@kernel(split=("dy", "scores", "label", "dscores"))
def _backward_input(dy, scores, label, dscores):
    blocks, K = scores.shape[:2]
    for b in range(blocks):
        largest, total = _softmax(scores, b)
        of_image = load(label, b)
        for k in range(K):
            p = exp(load(scores, (b, k)) - largest) / total  # reverses: log sum_k e^s
            p = where(of_image == k, p - 1, p)  # reverses: - s[label]
            store(dscores, (b, k), where(of_image < 0, 0, load(dy, b) * p))
