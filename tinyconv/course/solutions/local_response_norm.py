"""local_response_norm: each activation divided by the activity of its neighbours in other maps at the same
pixel (AlexNet).

    x, y  (N, C, H, W)      size (odd), k, alpha, beta: numbers

forward         d[n,c,i,j] = k + alpha sum_{c' in W(c)} x[n,c',i,j]^2,      W(c) = {c' : |c' - c| <= (size - 1)/2, 0 <= c' < C}
                y          = x d^-beta

Derivation. x takes part in y in two ways: as the numerator of its own place, and in the denominators d of its
neighbours, its own among them. The chain rule adds both:

    dx[n,c,i,j] = dy d^-beta  +  sum over c' with c in W(c') of dE/dd[n,c',i,j] . dd[n,c',i,j]/dx[n,c,i,j]

Go on: first dd = dE/dd, from y = x d^-beta. Then dd/dx, from the sum of squares. "c is a neighbour of c'" and
"c' is a neighbour of c" are the same, so the sum over c' is again neighbour_sums of something.
"""
import numpy as np


def neighbour_sums(x, size):
    """The sum over the maps c - size//2 to c + size//2, as many of them as exist."""
    C, half = x.shape[1], size // 2
    return np.stack([x[:, max(0, c - half):c + half + 1].sum(axis=1) for c in range(C)], axis=1)


def denominator(x, size, k, alpha):
    """d (N, C, H, W), before the power."""
    return k + alpha * neighbour_sums(x * x, size)


def forward(x, size, k, alpha, beta):
    return x * denominator(x, size, k, alpha) ** -beta


def backward_input(dy, x, size, k, alpha, beta):
    """dx (N, C, H, W)."""
    d = denominator(x, size, k, alpha)
    direct = dy * d ** -beta                                 # reverses: y = x d^-beta, through x
    dd = -beta * dy * x * d ** (-beta - 1)                   # reverses: y = x d^-beta, through d
    return direct + 2 * alpha * x * neighbour_sums(dd, size) # reverses: d = k + alpha neighbour_sums(x^2)
