"""How weights start. An initialiser makes float32 numbers from a numpy Generator, a shape and a fan-in:
initialiser(rng, shape, fan_in).

fan_in is the number of inputs of a unit (an array that broadcasts to `shape` where they differ). Layers take
such a function as initial_weight and initial_bias, its further arguments set by functools.partial:
partial(gaussian, deviation=0.01).
"""

import numpy as np

from .annotation import Shape


def fan_in_uniform(
    rng: np.random.Generator, shape: Shape | int, fan_in: int, gain: float = 2.4
) -> np.ndarray:
    """Uniform in +-gain / fan_in.

    With gain 2.4 the weighted sums stay where tanh is neither linear nor flat (LeCun et al. 1998, appendix
    A).
    """
    return (rng.uniform(-gain, gain, shape) / fan_in).astype(np.float32)


def root_fan_in_uniform(
    rng: np.random.Generator, shape: Shape | int, fan_in: int, gain: float = 1.0
) -> np.ndarray:
    """Uniform in +-gain / sqrt(fan_in): of independent inputs of unit mean square, a weighted sum has a mean
    square of gain^2/3.

    gain sqrt(6) keeps the mean square of what passes a ReLU, which halves it (He et al. 2015, section 2.2);
    sqrt(3) that of what passes no activation, or tanh near 0 (LeCun, Bottou, Orr, Müller 1998, Efficient
    BackProp, section 4.6).
    """
    return (rng.uniform(-gain, gain, shape) / np.sqrt(fan_in)).astype(np.float32)


def gaussian(
    rng: np.random.Generator, shape: Shape | int, fan_in: int, deviation: float = 0.01
) -> np.ndarray:
    """Normal with mean 0 and standard deviation `deviation`, whatever the fan-in (Krizhevsky et al. 2012,
    section 5).
    """
    values = rng.standard_normal(
        shape, np.float32
    )  # in float32 from the start, and in place: AlexNet has 61 million
    values *= np.float32(deviation)
    return values


def constant(rng: np.random.Generator, shape: Shape | int, fan_in: int, value: float = 0.0) -> np.ndarray:
    """The same number everywhere; a bias of 1 gives ReLUs something to learn from at the start (Krizhevsky et
    al. 2012, section 5).
    """
    return np.full(shape, value, np.float32)
