"""The types that public names share."""

import os
from collections.abc import Callable

import numpy as np

# (N, C, H, W), (N, features), ...: of a batch, or with x.shape[1:] of one image
Shape = tuple[int, ...]
# rows and columns, or one number for both
Pair = int | tuple[int, int]
PathLike = str | os.PathLike[str]
# a seed, or the generator that draws; None: another draw every time
Rng = int | np.random.Generator | None
# (rng, shape, fan_in) -> the parameter's first value (initializers.py)
Initializer = Callable[[np.random.Generator, Shape | int, int], np.ndarray]
