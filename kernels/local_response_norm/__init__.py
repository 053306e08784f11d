"""local_response_norm: each activation divided by the activity of its neighbours in other maps at the same
pixel.

    x, y  (N, C, H, W)      size n (odd), k, alpha, beta

forward         d[n,c,i,j]  = k + alpha sum_{c' in W(c)} x[n,c',i,j]^2,      W(c) = {c' : |c' - c| <= (size - 1)/2, 0 <= c' < C}
                y           = x d^-beta
backward_input  dx[n,c,i,j] = dy d^-beta - 2 alpha beta x[n,c,i,j] sum_{c' in W(c)} dy[n,c',i,j] x[n,c',i,j]
                d[n,c',i,j]^(-beta-1)

The window is symmetric, so "c' is a neighbour of c" and "c is a neighbour of c'" are the same and both sums
run over W(c).

alpha is not divided by the size, as in the paper's equation. The authors' own code (cuda-convnet, 2012),
Caffe, PyTorch and ONNX compute k + (alpha/size) sum: to get theirs, give alpha/size here, as the layer's
alpha_over_size=True does. With n = 5 the two differ by a factor of five.

On the CPU and the GPU d^-beta is 1 / (sqrt(d) sqrt(sqrt(d))) for beta = 0.75, and e^(-beta log d) for any
other.

Source: Krizhevsky et al. 2012, section 3.3 (k = 2, n = 5, alpha = 1e-4, beta = 0.75). dtype: float32 or
float64 (reference: complex128 too).
"""  # noqa: E501


def output_shape(x_shape: tuple[int, ...], size) -> tuple[int, ...]:
    """(N, C, H, W). Raises ValueError for an even size or an x that has no maps."""
    if size % 2 == 0 or size < 1:
        raise ValueError(f"expected an odd size (a map and as many neighbours on either side), got {size}")
    if len(x_shape) != 4:
        raise ValueError(f"expected x of shape (N, C, H, W), got {tuple(x_shape)}")
    return tuple(x_shape)
