"""How weights start: from a numpy Generator and a shape to float32; layers convert where they are told to (astype)."""
import numpy as np


def fan_in_uniform(rng, shape, fan_in, gain=2.4):
    """Uniform in +-gain / fan_in, where fan_in is the number of inputs of a unit (an array that broadcasts to `shape` where they differ).

    With gain 2.4 the weighted sums stay where tanh is neither linear nor flat (LeCun et al. 1998, appendix A).
    """
    return (rng.uniform(-gain, gain, shape) / fan_in).astype(np.float32)
