"""Dropout."""

import numpy as np

from ..annotation import Rng
from ..errors import DtypeError, ShapeError
from ..layer import Layer

SCALES = ("training", "test")


class Dropout(Layer):
    """Training: y = mask x, each element of mask 0 with probability `rate`, else 1. A factor keeps the
    expectation, in training or in testing:

    scale="training"  y = mask x / (1 - rate) in training, y = x in testing
    scale="test"      y = mask x in training, y = (1 - rate) x in testing: as in 2012

    x, y of any shape (N, ...). Every training forward draws a new mask from the seed and a counter (both in
    state, so that a resumed run goes on with the masks that would have come); backward draws the same one
    again. Raises ValueError for a rate outside [0, 1).
    Source: Krizhevsky et al. 2012, section 4.2.
    """

    operation = "dropout"
    settings = ("rate", "scale")
    recordable = True
    per_image = False  # one draw of masks is for a whole batch

    def __init__(self, rate: float = 0.5, *, scale: str = "training", rng: Rng = None) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"rate: expected a probability in [0, 1), got {rate}")
        if scale not in SCALES:
            raise ValueError(f"scale: expected {' or '.join(map(repr, SCALES))}, got {scale!r}")
        self.rate, self.scale = float(rate), scale
        seed = np.random.default_rng(rng).integers(2**32, dtype=np.uint64)
        self.state = {"seed": np.array(seed), "draws": np.array(0, np.uint64)}

    def _forward(self, x, training):
        if training:
            key = self.kernel.draw(self._counter("seed"), self._counter("draws"))
            self.cache = self.rate, key, 0, 1 / (1 - self.rate) if self.scale == "training" else 1.0
        elif self.scale == "test":
            self.cache = 0.0, self._counter("seed"), 0, 1 - self.rate  # nothing is masked, whatever the key
        else:
            self.cache = None
            return x
        return self.kernel.forward(x, *self.cache)

    def _counter(self, name):
        """A state as an array (1,), which shares its memory. Raises ShapeError or DtypeError for an array
        that is no single uint64.
        """
        value = self.state.get(name)
        if value is None or getattr(value, "dtype", None) != np.uint64:
            raise DtypeError(
                f"{self!r}: expected the state {name} as an array of one uint64, got {value!r}; use "
                "numpy.array(..., numpy.uint64)"
            )
        if tuple(value.shape) != ():
            raise ShapeError(f"{self!r}: expected the state {name} of shape (), got {tuple(value.shape)}")
        return value.reshape(1)

    def _backward_input(self, dy):
        return dy if self.cache is None else self.kernel.backward_input(dy, *self.cache)
