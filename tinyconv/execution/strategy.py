"""strategy: how a batch is shared out among threads, or given to a GPU.

"images"  Whole chunks of images go through the whole network on each thread, and the threads meet once a
          step. For networks whose arrays for one chunk of images fit into a core's cache: LeNet-5.
"layers"  One layer after the other takes the whole batch, and the threads share the work of each kernel. For
          networks of large layers: AlexNet.
"graph"   On the device "cuda": the step is captured once and launched again for every batch.
"calls"   One layer after the other, called from Python: for networks with layers of a user's own. The others
          record a step once, and then repeat it without Python in between and without allocating anything.
"""

import math
from typing import NamedTuple

import numpy as np

from ..device import backend
from ..kernels.recording import compiles, lanes
from ..network import leaves, not_recordable, walk

BLOCKS_TOGETHER = 2  # blocks of images in a chunk: a dense layer then uses every weight twice
CACHE_OF_A_CORE = 8 * 2**20  # bytes of second- and third-level cache that one core can count on


class Strategy(NamedTuple):
    """name: "images", "layers", "graph" or "calls"; why: the reason, as a sentence."""

    name: str
    why: str


def strategy(net, x, loss=None) -> Strategy:
    """Return the Strategy for a batch x, or any array of its shape and dtype. Raises ShapeError where a layer
    cannot take x.
    """
    if not compiles():
        return Strategy("calls", "NUMBA_DISABLE_JIT is set: plain Python, step by step")
    if not backend(net.device).records or (loss is not None and loss.device != net.device):
        return Strategy(
            "calls",
            f"the network is on the device {net.device!r}"
            + ("" if loss is None else f", the loss on {loss.device!r}"),
        )
    if not isinstance(x, np.ndarray) or x.dtype not in backend(net.device).dtypes:
        return Strategy("calls", "the batch is no float32 or float64 array")
    for name, why in not_recordable(net):
        return Strategy("calls", f"{name}: {why}")
    if loss is not None and (why := loss.not_recordable()):
        return Strategy("calls", why)
    for layer in leaves(net):
        if any(
            getattr(array, "dtype", None) != x.dtype
            or isinstance(array, np.ndarray)
            and not array.flags.c_contiguous
            for array in layer.params.values()
        ):
            return Strategy(
                "calls",
                f"the parameters of {layer!r} are not {x.dtype}, or do not lie contiguously in memory",
            )
    y_shape = net.output_shape(x.shape)
    if loss is not None and len(y_shape) != 2:
        return Strategy("calls", f"the network gives {y_shape}, no scores (N, classes)")
    if backend(net.device).records == "graph":
        return Strategy("graph", "on the GPU a step is captured once and then launched as a whole")
    if whole := [layer for layer in leaves(net) if not layer.takes_single_images]:
        return Strategy("layers", f"{whole[0]!r} takes a batch as a whole")
    size, images = _bytes_of_a_chunk(net, x), BLOCKS_TOGETHER * lanes(x.dtype)
    takes, cache = f"{images} images take {size / 2**20:.1f} MiB", f"{CACHE_OF_A_CORE / 2**20:.0f} MiB"
    if size > CACHE_OF_A_CORE:
        return Strategy("layers", f"{takes}, more than the {cache} of a core's cache")
    return Strategy("images", f"{takes}, which a core's cache of {cache} holds")


def _bytes_of_a_chunk(net, x):
    """Bytes that training a chunk of images works on: the output of every layer, its gradient, the parameters
    and theirs.
    """
    x_shape = (BLOCKS_TOGETHER * lanes(x.dtype), *x.shape[1:])
    elements = math.prod(x_shape) + sum(
        math.prod(node.y_shape) + node.parameters for node in walk(net, x_shape)
    )
    return 2 * elements * x.dtype.itemsize
