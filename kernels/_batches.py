"""How a chunk of images enters and leaves a tape (kernels/_tape.py). position = (first image of the chunk, whether it is the first chunk)."""
import math

import numpy as np

from ._kernel import compiled, kernel
from ._simd import transpose


@kernel(split=("which", "native"))
def enter_images(x, position, which, native):
    """Images position[0], ... of x (N, elements) side by side in native (blocks, elements, L); zero where the batch has no more. which = 0, 1, ..."""
    blocks, elements, L = native.shape
    for b in range(blocks):
        first = position[0] + which[b] * L
        whole = elements // L * L if L > 1 and first + L <= len(x) else 0
        for e in range(0, whole, L):
            transpose(x.reshape(-1), first * elements + e, elements, native.reshape(-1), (b * elements + e) * L, L)
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


@kernel(split=("chosen", "x"))
def scale_bytes(images, chosen, scale, shift, x):
    """x[n] = scale images[chosen[n]] + shift: chosen images of bytes (N, elements) as a network sees them, x (n, elements)."""
    for n in range(len(chosen)):
        image = chosen[n]
        for e in range(images.shape[1]):
            x[n, e] = scale * np.float32(images[image, e]) + shift


@compiled
def random_bits(key, e):
    """splitmix64 of a key and a counter: 64 bits that depend on nothing else (Steele, Lea, Flood 2014)."""
    z = key + (np.uint64(e) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled
def _below(bits, n):
    """A whole number 0..n-1, each as likely as the others to 2^-32."""
    return np.int64(((bits >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@compiled
def _normal(first, second):
    """N(0, 1) from two draws of bits (Box and Muller 1958)."""
    u = (np.float64(first >> np.uint64(11)) + 1) * 2.0 ** -53                # 0 < u <= 1
    return math.sqrt(-2 * math.log(u)) * math.cos(2 * math.pi * np.float64(second >> np.uint64(11)) * 2.0 ** -53)


@compiled
def draw_keys(seed, epoch, images, keys):
    """keys[n]: 64 bits for the image of index images[n] in this epoch of this seed."""
    start = random_bits(random_bits(np.uint64(0), seed), epoch)
    for n in range(len(images)):
        keys[n] = random_bits(start, images[n])


@compiled
def draw_views(keys, corner, room, mirror, axes, corners, mirrored, noise):
    """What is random about images n: the view's upper left corner, whether it is mirrored, and the colour added to all its pixels.

    corners[n] = corner + (0..room[0], 0..room[1]); mirrored[n] is 1 for every second image where mirror; noise[n] = axes @ N(0, 1) of (C,)
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
    """x[n, c, i, j] = scale images[chosen[n], c, top + i, left + j] + offset[c, top + i, left + j] + noise[n, c], `outside` beyond the image.

    images uint8 (N, C, H, W); corners (n, 2) hold top and left; where mirrored[n], j runs from the right; offset (C, H, W); x (n, C, h, w).
    """
    C, H, W = images.shape[1:]
    h, w = x.shape[2:]
    for n in range(len(x)):
        top, left = corners[n]
        first = min(w, max(0, -left))                       # columns first to last - 1 of the view lie within the image
        last = max(first, min(w, W - left))
        for c in range(C):
            for i in range(h):
                y = x[n, c, i]
                if not 0 <= top + i < H:
                    y[:] = outside
                    continue
                bytes_ = images[chosen[n], c, top + i, left + first:left + last]
                added = offset[c, top + i, left + first:left + last]
                if mirrored[n]:
                    y[:w - last] = outside
                    y[w - first:] = outside
                    y = y[w - last:w - first]
                    for j in range(len(y)):
                        y[len(y) - 1 - j] = scale * np.float32(bytes_[j]) + (added[j] + noise[n, c])
                else:
                    y[:first] = outside
                    y[last:] = outside
                    y = y[first:last]
                    for j in range(len(y)):
                        y[j] = scale * np.float32(bytes_[j]) + (added[j] + noise[n, c])


@compiled
def add_pixels(images, sums, products):
    """sums (C, H, W) += images added up; products (C, C) += the products of two channels at one pixel, over all pixels. Exact, in int64."""
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
                if d < c:
                    products[d, c] += total
