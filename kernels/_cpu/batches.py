"""How a chunk of images enters and leaves a tape (kernels/_cpu/tape.py). position = (first image of the
chunk, whether it is the first chunk).
"""

from .kernel import kernel
from .simd import transpose


@kernel(split=("which", "native"))
def enter_images(x, position, which, native):
    """Images position[0], ... of x (N, elements) side by side in native (blocks, elements, L); zero where the
    batch has no more. which = 0, 1, ...
    """
    blocks, elements, L = native.shape
    for b in range(blocks):
        first = position[0] + which[b] * L
        whole = elements // L * L if L > 1 and first + L <= len(x) else 0
        for e in range(0, whole, L):
            transpose(
                x.reshape(-1), first * elements + e, elements, native.reshape(-1), (b * elements + e) * L, L
            )
        for lane in range(L):
            if first + lane < len(x):
                for e in range(whole, elements):
                    native[b, e, lane] = x[first + lane, e]
            else:
                native[b, :, lane] = 0


@kernel
def enter_labels(labels, position, lane_labels):
    """The labels of a chunk; -1, which no loss counts, where the batch has no more images."""
    for lane in range(len(lane_labels)):
        image = position[0] + lane
        lane_labels[lane] = labels[image] if image < len(labels) else -1


@kernel
def leave_images(native, position, y):
    """native (blocks, elements, L) as images position[0], ... of y (N, elements)."""
    blocks, elements, L = native.shape
    for b in range(blocks):
        for lane in range(min(L, len(y) - position[0] - b * L)):
            for e in range(elements):
                y[position[0] + b * L + lane, e] = native[b, e, lane]


@kernel
def leave_losses(losses, position, y):
    """The loss of every image of a chunk, in y (N,)."""
    for lane in range(min(len(losses), len(y) - position[0])):
        y[position[0] + lane] = losses[lane]


@kernel
def add_up(part, position, total):
    """total = part in the first chunk, total += part afterwards; flat arrays."""
    if position[1]:
        for e in range(len(part)):
            total[e] = part[e]
    else:
        for e in range(len(part)):
            total[e] += part[e]


@kernel
def add(part, total):
    """total += part; flat arrays."""
    for e in range(len(part)):
        total[e] += part[e]
