"""One number an image, laid out in lanes as activations are: what the losses share."""

from .kernel import kernel
from .native import aligned_empty


def spread(values, otherwise, scores):
    """`values` (N,) as an array (blocks, L) of the dtype of scores, or (blocks,) where L = 1; lanes without a
    value get `otherwise`.
    """
    lanes = per_image(scores)
    _spread(values, otherwise, lanes.reshape(-1))
    return lanes


def per_image(scores):
    """Room for one number an image: (blocks, L), or (blocks,) where L = 1."""
    blocks, L = len(scores.data), scores.data.shape[-1]
    return aligned_empty((blocks, L) if L > 1 else (blocks,), scores.dtype)


@kernel
def _spread(values, otherwise, lanes):
    for n in range(len(lanes)):
        lanes[n] = values[n] if n < len(values) else otherwise
