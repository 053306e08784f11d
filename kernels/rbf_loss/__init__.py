"""rbf_loss: the two criteria of the 1998 paper over the penalties of rbf units.

    penalties  (N, K)       labels  (N,) int, 0 <= label < K        j > 0
    y          (N,), one loss an image, always a NumPy array

criterion "mse"   forward         y[n]            = p[n,label_n]
                  backward_input  dpenalties[n,k] = dy[n] [k = label_n]
criterion "map"   forward         y[n]            = p[n,label_n] + log(e^-j + sum_k e^-p[n,k])
                  backward_input  dpenalties[n,k] = dy[n] ([k = label_n] - e^-p[n,k] / (e^-j + sum_k'
                                  e^-p[n,k']))

"mse" pulls the output towards the code of the right class; "map" (maximum a posteriori) also pushes it away
from the others, and e^-j is the class of everything that is no digit: it keeps classes that are far away
already from being pushed further.

Penalties are of the order of 84 and e^-84 = 3e-37, so with m = min(j, min_k p[n,k]) both are computed from
log(e^-j + sum e^-p) = -m + log(e^(m-j) + sum e^(m-p)): one term is 1, none is larger. The mean over the batch
is taken by the caller: dy = 1/N. On the CPU a label of -1 means that there is no image: y = 0 and dpenalties
= 0; e^-p is within 1 ulp and log within 2.9 (kernels/_cpu/math.py).

Source: LeCun et al. 1998, section II.C, equations 8 and 9. dtype: float32 or float64 (reference: complex128
too).
"""

CRITERIA = ("mse", "map")


def output_shape(penalties_shape: tuple[int, ...]) -> tuple[int, ...]:
    """(N,). Raises ValueError unless penalties is (N, K)."""
    if len(penalties_shape) != 2:
        raise ValueError(f"expected penalties of shape (N, classes), got {tuple(penalties_shape)}")
    return (penalties_shape[0],)
