"""softmax_cross_entropy: minus the log probability of the right class, under a softmax of the scores.

    scores  (N, K)      labels  (N,) int, 0 <= label < K
    y       (N,), one loss an image, always a NumPy array

forward         y[n]         = -log p[n,label_n] = log sum_k e^s[n,k] - s[n,label_n],     p[n,k] = e^s[n,k] / sum_k' e^s[n,k']
backward_input  dscores[n,k] = dy[n] (p[n,k] - [k = label_n])

The largest score is subtracted before exponentiating, so nothing overflows. The mean over the batch is taken
by the caller: dy = 1/N. On the CPU a label of -1 means that there is no image: y = 0 and dscores = 0; e^s is
within 1 ulp and log within 2.9 (kernels/_cpu/math.py).

Source: Bridle 1990; Krizhevsky et al. 2012, section 3.5 (1000-way softmax). dtype: float32 or float64
(reference: complex128 too).
"""  # noqa: E501


def output_shape(scores_shape: tuple[int, ...]) -> tuple[int, ...]:
    """(N,). Raises ValueError unless scores is (N, K)."""
    if len(scores_shape) != 2:
        raise ValueError(f"expected scores of shape (N, classes), got {tuple(scores_shape)}")
    return (scores_shape[0],)
