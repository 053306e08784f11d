"""What a network sees of images of bytes: a part of each, from either side, as float32; and what is random
about it (tinyconv/data/inputs.py).
"""

import math

import numpy as np

from ._cpu.kernel import compiled, kernel
from ._cpu.random import random_bits


@compiled
def _below(bits, n):
    """A whole number 0..n-1, each as likely as the others to 2^-32."""
    return np.int64(((bits >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@compiled
def _normal(first, second):
    """N(0, 1) from two draws of bits (Box and Muller 1958)."""
    u = (np.float64(first >> np.uint64(11)) + 1) * 2.0**-53  # 0 < u <= 1
    return math.sqrt(-2 * math.log(u)) * math.cos(
        2 * math.pi * np.float64(second >> np.uint64(11)) * 2.0**-53
    )


@compiled
def draw_keys(seed, epoch, images, keys):
    """keys[n]: 64 bits for the image of index images[n] in this epoch of this seed."""
    start = random_bits(random_bits(np.uint64(0), seed), epoch)
    for n in range(len(images)):
        keys[n] = random_bits(start, images[n])


@compiled
def draw_views(keys, corner, room, mirror, axes, corners, mirrored, noise):
    """What is random about images n: the view's upper left corner, whether it is mirrored, and the colour
    added to all its pixels.

    corners[n] = corner + (0..room[0], 0..room[1]); mirrored[n] is 1 for every second image where mirror;
    noise[n] = axes @ N(0, 1) of (C,)
    """
    C = len(axes)
    for n in range(len(keys)):
        for axis in range(2):
            corners[n, axis] = corner[axis] + _below(random_bits(keys[n], axis), room[axis] + 1)
        mirrored[n] = mirror and _below(random_bits(keys[n], 2), 2)
        noise[n] = 0
        for i in range(C):
            a = _normal(random_bits(keys[n], 3 + 2 * i), random_bits(keys[n], 4 + 2 * i))
            for c in range(C):
                noise[n, c] += axes[c, i] * a


@kernel(split=("chosen", "corners", "mirrored", "noise", "x"))
def take_views(images, chosen, corners, mirrored, noise, scale, offset, outside, x):
    """x[n, c, i, j] = scale images[chosen[n], c, top + i, left + j] + offset[c, top + i, left + j] + noise[n,
    c], `outside` beyond the image.

    images uint8 (N, C, H, W); corners (n, 2) hold top and left; where mirrored[n], j runs from the right;
    offset (C, H, W); x (n, C, h, w).
    """
    C, H, W = images.shape[1:]
    h, w = x.shape[2:]
    for n in range(len(x)):
        top, left = corners[n]
        first = min(w, max(0, -left))  # columns first to last - 1 of the view lie within the image
        last = max(first, min(w, W - left))
        for c in range(C):
            more = noise[n, c]
            for i in range(h):
                y = x[n, c, i]
                if not 0 <= top + i < H:
                    for j in range(w):
                        y[j] = outside
                    continue
                row = images[chosen[n], c, top + i, left + first : left + last]
                added = offset[c, top + i, left + first : left + last]
                if first > 0 or last < w:
                    y[:] = outside
                if mirrored[n]:
                    y = y[w - last : w - first]
                    for j in range(len(row)):
                        y[len(row) - 1 - j] = scale * np.float32(row[j]) + (added[j] + more)
                else:
                    y = y[first:last]
                    for j in range(len(row)):
                        y[j] = scale * np.float32(row[j]) + (added[j] + more)


@compiled
def add_pixels(images, sums, products):
    """sums (C, H, W) += images added up; products (C, C) += those of two channels at one pixel, over all.

    Exact, in int64. products is symmetric: only its lower triangle is filled.
    """
    N, C, H, W = images.shape
    for n in range(N):
        for c in range(C):
            for i in range(H):
                for j in range(W):
                    sums[c, i, j] += images[n, c, i, j]
            for d in range(c + 1):
                total = 0
                for i in range(H):
                    for j in range(W):
                        total += np.int64(images[n, c, i, j]) * np.int64(images[n, d, i, j])
                products[c, d] += total
