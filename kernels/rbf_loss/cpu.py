"""rbf_loss in Numba: the L images of a block are one vector, and so are their labels, as numbers of the dtype
of the penalties.

No label equals -1, so an image with that label and a lane without an image have no right class; they get y =
0 and dpenalties = 0.
"""

from .._cpu.kernel import kernel
from .._cpu.math import exp, log
from .._cpu.per_image import per_image, spread
from .._cpu.vector import fill_like, inner, lanewise, load, minimum, store, where
from . import output_shape


def forward(penalties, labels, criterion, j):
    output_shape(penalties.shape)
    y = per_image(penalties)
    _forward(lanewise(penalties.data), spread(labels, -1, penalties), criterion == "map", float(j), y)
    return y.reshape(-1)[: len(labels)]


@kernel(split=("penalties", "label", "y"))
def _forward(penalties, label, discriminative, j, y):
    blocks, K = penalties.shape[:2]
    for b in range(blocks):
        of_image = load(label, b)
        value = fill_like(of_image, 0)
        for k in range(K):
            value = where(of_image == k, load(penalties, (b, k)), value)
        if discriminative:
            smallest, total = _evidence(penalties, b, j)
            value = value - smallest + log(total)
        store(y, b, where(of_image < 0, 0, value))


@inner
def _evidence(penalties, b, j):
    """m = min(j, min_k p), e^(m - j) + sum_k e^(m - p)"""
    smallest = fill_like(load(penalties, (b, 0)), j)
    for k in range(penalties.shape[1]):
        smallest = minimum(load(penalties, (b, k)), smallest)
    total = exp(smallest - j)
    for k in range(penalties.shape[1]):
        total = total + exp(smallest - load(penalties, (b, k)))
    return smallest, total


def backward_input(dy, penalties, labels, criterion, j):
    dpenalties = penalties.like()
    _backward_input(
        spread(dy, 0, penalties),
        lanewise(penalties.data),
        spread(labels, -1, penalties),
        criterion == "map",
        float(j),
        lanewise(dpenalties.data),
    )
    return dpenalties


@kernel(split=("dy", "penalties", "label", "dpenalties"))
def _backward_input(dy, penalties, label, discriminative, j, dpenalties):
    blocks, K = penalties.shape[:2]
    for b in range(blocks):
        of_image, smallest, total = load(label, b), load(label, b), load(label, b)
        if discriminative:
            smallest, total = _evidence(penalties, b, j)
        for k in range(K):
            dp = where(of_image == k, fill_like(of_image, 1), 0)  # reverses: p[label]
            if discriminative:
                dp = dp - exp(smallest - load(penalties, (b, k))) / total  # reverses: log(e^-j + sum_k e^-p)
            store(dpenalties, (b, k), where(of_image < 0, 0, load(dy, b) * dp))
