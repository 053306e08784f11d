"""The proof that a recorded step computes what the layers compute.

A layer says of itself that its calls may be recorded. A line of Python in it would be left out of the
recording, and nothing would show. So after a step has been recorded it is played once, on a batch of random
numbers that it has not seen, and compared with the layers called one after the other on that batch: the same
kernels on the same numbers, so every bit has to agree.
"""

import zlib

import numpy as np

from ..device import backend, is_native, pack, put, to_host
from ..errors import RecordingError
from ..network import named_leaves, observe, state_restored, states, tree

# of an array as a whole: between what rounding does and what a mistake does
AGREES = 5e-3
# of an element: what may be left of a sum whose terms, of size 1, cancel each other
SMALLEST = 1e-6


def random_batch(x_shape, dtype, classes=1):
    """Return (x, labels) for the proof: normal numbers of shape x_shape in `dtype`, and a label below
    `classes` for each image.
    """
    rng = np.random.default_rng(len(x_shape))
    return rng.standard_normal(x_shape, np.float32).astype(dtype, copy=False), rng.integers(
        classes, size=x_shape[0]
    )


def digest(arrays) -> int:
    """Return a checksum of arrays, wherever they lie, that differs where a bit does: comparing it needs no
    copy of them.
    """
    found = 0
    for array in arrays:
        array = to_host(array.data if is_native(array) else array)
        found = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8), found)
    return found


def differing(expected, found) -> str | None:
    """Return the name of the first array of `found` that is another than expected, None where none is.

    Sums are taken in another order, so float32 rounds differently, by about 1e-6 of an array as a whole; and
    where a ReLU or a maximum is then decided otherwise, one of many terms differs. A line of code that
    is wrong makes an array differ by as much as it holds.
    """
    for name, array in expected.items():
        with np.errstate(all="ignore"):
            both = np.isfinite(array) & np.isfinite(found[name])
            difference = np.where(both, found[name].astype(np.float64) - array, 0)
            size = np.linalg.norm(np.where(both, array, 0).astype(np.float64))
            same = np.isfinite(array) == np.isfinite(found[name])
        if not (same.all() and np.linalg.norm(difference) <= AGREES * size + SMALLEST * array.size):
            return name
    return None


def refuse(net, x, training, arena):
    """Raise RecordingError with the name of the layer whose recording differs from its Python code. Called
    where the whole step differs.
    """
    with state_restored(net):
        seen = observe(net, x[:8], training)
    # the smallest part that differs
    composites = {name: layer for name, layer in [("", net), *tree(net)] if layer.named_layers}
    named = named_leaves(net) | dict(reversed(composites.items()))
    for name, layer in named.items():
        if not _repeats(layer, seen[name]["x"].astype(x.dtype), training, arena):
            called = f"{name} = {layer!r}" if name else repr(layer)
            raise RecordingError(
                f"{called}: says recordable = True, but its recorded step differs from its own code: a "
                "line in it computes in Python or "
                "NumPy, or chooses by what is in an array, which no recording repeats; use kernels alone, "
                "or leave recordable out"
            )
    raise RecordingError(
        f"{net!r}: its recorded step differs from its layers called one by one, and none of them alone "
        "does; leave recordable out of the "
        "class that connects them"
    )


def _repeats(layer, x, training, arena):
    """True where a layer alone, recorded on other numbers, computes for x what its code computes."""
    device = backend(layer.device)
    twin, given = layer.replica(), pack(np.zeros_like(x), layer.device, layer)
    dy = pack(np.zeros(layer.output_shape(x.shape), x.dtype), layer.device, layer)

    def fill(x, dy_value):
        for native, value in ((given, x), (dy, dy_value)):
            packed = pack(np.ascontiguousarray(value), layer.device, layer)
            put(to_host(packed.data), native.data)

    def step():
        y = twin.forward(given, training)
        if not training:
            return [y]
        dx = twin.backward(dy)
        return [y, dx, *twin.grads.values()]

    dy_value = np.random.default_rng(1).standard_normal(dy.shape).astype(x.dtype)
    fill(x, dy_value)
    with state_restored(layer):
        expected = digest([*step(), *states(layer)])
    fill(0 * x, 0 * dy_value)
    with state_restored(layer):
        made, play = device.recorded(step, arena)
    fill(x, dy_value)
    with state_restored(layer):
        play()
        return digest([*made, *states(layer)]) == expected
