"""dropout in NumPy."""

import numpy as np


def draw(seed, counter):
    key = (seed << np.uint64(32)) + counter
    counter += np.uint64(1)
    return key


def forward(x, rate, key, first, scale):
    return x * _scaled_mask(x.shape, rate, key, first, scale).astype(x.real.dtype)


def backward_input(dy, rate, key, first, scale):
    return dy * _scaled_mask(dy.shape, rate, key, first, scale).astype(
        dy.real.dtype
    )  # reverses: y = x * scale * mask


def _scaled_mask(shape, rate, key, first, scale):
    per_image = int(np.prod(shape[1:]))
    e = np.arange(first * per_image, (first + shape[0]) * per_image, dtype=np.uint64)
    return (_uniform(key, e) >= rate).reshape(shape) * scale


def _uniform(key, e):
    """splitmix64 of the key and the element's index: 53 random bits as a number in [0, 1)."""
    z = key + (e + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
