"""rbf: Euclidean radial basis function units, the output layer of LeNet-5.

    x  (N, F)    centers  (K, F)
    y  (N, K)    how far each image is from each center: the smallest is the answer

forward         y[n,k] = sum_f (x[n,f] - centers[k,f])^2

Derivation. x[n,f] takes part in y[n,k] for every k:

    dx[n,f] = sum_k dE/dy[n,k] . dy[n,k]/dx[n,f] = sum_k dy[n,k] . ...

and centers[k,f] in y[n,k] for every n:

    dcenters[k,f] = sum_n dy[n,k] . ...

Go on: differentiate the square, once by x and once by the center (what of the two differs?). The differences
of all images and centers at once are an array (N, K, F): x[:, None] - centers.
"""
import numpy as np


def forward(x, centers):
    return np.sum((x[:, None] - centers) ** 2, axis=2)


def backward_input(dy, x, centers):
    """dx (N, F)."""
    # reverses: y = sum_f difference^2
    return 2 * (dy[:, :, None] * (x[:, None] - centers)).sum(axis=1)


def backward_centers(dy, x, centers):
    """dcenters (K, F)."""
    # reverses: difference = x - centers
    return -2 * (dy[:, :, None] * (x[:, None] - centers)).sum(axis=0)
