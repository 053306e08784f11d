"""sgd: stochastic gradient descent with momentum, Nesterov's or the classical one, and weight decay.

    weight, dweight, velocity: any shape, all alike       lr, momentum, weight_decay, scale: floats

update          g        = scale dweight + weight_decay weight
                velocity = momentum velocity + g
                weight   = weight - lr velocity                   classical
                weight   = weight - lr (g + momentum velocity)    Nesterov: looks ahead along the new velocity
sum_of_squares  sum of dweight^2, in float64: what the norm that clips a gradient is made of (scale = min(1,
                clip / norm)); the GPU adds squares in the dtype of dweight, up to a thousand sums of parts,
                and these in float64; in a captured step (tinyconv/execution/cuda.py) the norm and the scale
                are of that dtype too, and a loss that is not finite leaves weight and velocity as they are

The rate multiplies the velocity when it is used. The 2012 paper instead folds it in when the velocity is
formed (v = momentum v - lr (g + decay w), w = w + v): the same thing while the rate is constant, and for one
step different when it changes.

update writes into weight and velocity: the one operation that is not pure, because others hold on to the
weights.

Source: Polyak 1964; Sutskever et al. 2013 (Nesterov in this form: Bengio et al. 2013); Krizhevsky et al.
2012, section 5.
"""


def numbers(lr, momentum, weight_decay, nesterov):
    """Return the numbers that the compiled update reads, in its order; nesterov is 1 or 0."""
    return lr, momentum, weight_decay, float(nesterov)
