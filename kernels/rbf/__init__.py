"""rbf: Euclidean radial basis function units, the output layer of LeNet-5.

    x  (N, F) or (N, F, ...)    centers  (K, F)
    y  (N, K) or (N, K, ...)

forward           y[n,k,p]      = sum_f (x[n,f,p] - centers[k,f])^2
backward_input    dx[n,f,p]     =  2 sum_k dy[n,k,p] (x[n,f,p] - centers[k,f])
backward_centers  dcenters[k,f] = -2 sum_{n,p} dy[n,k,p] (x[n,f,p] - centers[k,f])

y is a penalty: 0 where x is the code of class k, so the answer is the smallest. p runs over further axes, as
in dense.

Source: LeCun et al. 1998, section II.B, equation 7. dtype: float32 or float64, all arrays alike (reference:
complex128 too).
"""


def output_shape(x_shape: tuple[int, ...], centers_shape: tuple[int, ...]) -> tuple[int, ...]:
    """(N, K, ...). Raises ValueError where the number of features differs."""
    K, F = centers_shape
    if len(x_shape) < 2 or x_shape[1] != F:
        raise ValueError(f"expected x of shape (N, {F}), got {tuple(x_shape)}")
    return (x_shape[0], K, *x_shape[2:])
