"""How weights start. Each takes a numpy Generator and a shape and gives float32; layers convert where they are told to (astype)."""
import numpy as np


def fan_in_uniform(rng, shape, fan_in, gain=2.4):
    """Uniform in +-gain / fan_in, where fan_in is the number of inputs of a unit (an array that broadcasts to `shape` where they differ).

    With gain 2.4 the weighted sums stay where tanh is neither linear nor flat (LeCun et al. 1998, appendix A).
    """
    return (rng.uniform(-gain, gain, shape) / fan_in).astype(np.float32)


def gaussian(rng, shape, deviation=0.01):
    """Normal with mean 0 and the given standard deviation (Krizhevsky et al. 2012, section 5)."""
    return rng.normal(0, deviation, shape).astype(np.float32)
