"""Dropout."""
import numpy as np

from ..layer import Layer


class Dropout(Layer):
    """y = mask x / (1 - rate) when training, with each element of mask 0 with probability `rate`, else 1; y = x otherwise.

    x, y of any shape (N, ...). Every training forward draws a new mask from the seed and a counter (both in state, so that a resumed
    run goes on with the masks that would have come); backward draws the same one again.
    Source: Krizhevsky et al. 2012, section 4.2 (there outputs are halved at test time instead).
    """

    operation = "dropout"
    settings = ("rate",)
    replayable = False                                      # every step needs a mask of its own

    def __init__(self, rate=0.5, *, rng=None):
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"rate: expected a probability in [0, 1), got {rate}")
        self.rate = float(rate)
        seed = np.random.default_rng(rng).integers(2 ** 32, dtype=np.uint64)
        self.state = {"seed": np.array(seed), "draws": np.array(0, np.uint64)}

    def _forward(self, x, training):
        if not training:
            self.cache = None
            return x
        # the seed in the upper half of the key, the number of the draw in the lower: no two draws of a seed share a key
        self.cache = int(self.state["seed"]) << 32 | int(self.state["draws"]) & 0xFFFFFFFF
        self.state["draws"] = np.array(self.state["draws"] + np.uint64(1))
        return self.kernel.forward(x, self.rate, self.cache, 0)

    def _backward_input(self, dy):
        return dy if self.cache is None else self.kernel.backward_input(dy, self.rate, self.cache, 0)
