"""dropout: each element is zeroed with probability `rate`, the others are scaled so that the expectation stays.

    x, y  (N, ...)      rate in [0, 1)      key: 64-bit int, names the draw      first: index in the batch of image 0 of x

forward         y  = mask x / (1 - rate),   mask[e] = 1 where uniform(key, e) >= rate, else 0
backward_input  dx = mask dy / (1 - rate)

uniform(key, e) is a counter-based generator: a hash (splitmix64) of the key and of the element's index e in the batch. Nothing is
stored between forward and backward, the mask does not depend on how a batch is split over threads (a part of it says with `first`
where it starts), and every backend draws the same one.

Source: Hinton et al. 2012; Krizhevsky et al. 2012, section 4.2 (there outputs are halved at test time instead). splitmix64: Steele, Lea,
Flood 2014. dtype: float32 or float64 (reference: complex128 too).
"""


def output_shape(x_shape):
    return tuple(x_shape)
