"""How much memory training takes, and how much there is."""

import math

import numpy as np

from ..device import backend
from ..network import walk


def needed(net, x_shape, training=True, slots=1):
    """Return the bytes that a batch of x_shape takes in the network, with its parameters, and in training
    their gradients (these twice: the last batch of an epoch may be smaller, and has its own) and as many
    arrays of the optimizer as it has slots: 1 for SGD's velocity, 2 for Adam.

    Every y is kept until the way back, and along with it there are up to three arrays as large as the
    largest: dy, dx, and a copy with margins (what nobody needs any more is used again: kernels/_arena.py).
    The batch itself is there twice, as it came and in native form.
    """
    sizes = [math.prod(x_shape), *(math.prod(node.y_shape) for node in walk(net, x_shape))]
    parameters = sum(array.size for array in net.params.values())
    return np.dtype(np.float32).itemsize * (
        2 * sizes[0]
        + 3 * max(sizes)
        + ((sum(sizes[1:]) + (3 + slots) * parameters) if training else parameters)
    )


def available(device="cpu"):
    """Return the bytes that this process can still take without swapping or being killed, or on the GPU; None
    where the system does not say.
    """
    known = backend(device).memory()
    return known and known[0]


def say(amount):
    """Return an amount in bytes in words: 1.5 GB, 20 MB."""
    return f"{amount / 1e9:.1f} GB" if amount >= 5e8 else f"{max(amount / 1e6, 1):.0f} MB"
