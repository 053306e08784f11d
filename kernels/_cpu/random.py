"""Random numbers without a state: a hash of a key and a counter, so that threads, parts of a batch and
resumed runs draw the same.
"""

import numpy as np

from .kernel import compiled


@compiled
def random_bits(key, e):
    """splitmix64 of a key and a counter: 64 bits that depend on nothing else (Steele, Lea, Flood 2014)."""
    z = key + (np.uint64(e) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
