"""dropout: each element is zeroed with probability `rate`, the others are multiplied by `scale`.

    x, y  (N, ...)      rate in [0, 1)      key: uint64 array (1,), names the draw      first: index in the batch of image 0 of x

forward         y  = scale mask x,   mask[e] = 1 where uniform(key, e) >= rate, else 0
backward_input  dx = scale mask dy
draw            the key of the next draw from seed and counter (uint64 arrays (1,)): key = seed 2^32 +
                counter; the counter goes up by 1, in place

With scale = 1 / (1 - rate) the expectation of y is x, and at test time y = x. With scale = 1 it is (1 - rate)
x, and at test time outputs are multiplied by 1 - rate instead, as in 2012; that is forward at rate 0.

uniform(key, e) is a counter-based generator: a hash (splitmix64) of the key and of the element's index e in
the batch. Nothing is stored between forward and backward, the mask does not depend on how a batch is split
over threads (a part of it says with `first` where it starts), and every backend draws the same one.

Source: Hinton et al. 2012; Krizhevsky et al. 2012, section 4.2. splitmix64: Steele, Lea, Flood 2014. dtype:
float32 or float64 (reference: complex128 too).
"""  # noqa: E501


def output_shape(x_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of y: that of x."""
    return tuple(x_shape)
