"""conv2d and table_conv2d against the equation written out, and identities at LeNet-5's sizes."""
from itertools import product

import numpy as np
import pytest

from tinyconv.layers import Conv2d, TableConv2d
from tinyconv.models.lenet5 import C3_TABLE

SHAPES = [  # x, O, kernel, stride, padding, groups
    ((1, 1, 4, 5), 2, (3, 3), (1, 1), (0, 0), 1),
    ((2, 3, 5, 4), 4, (2, 3), (2, 1), (1, 2), 1),
    ((2, 4, 7, 6), 6, (2, 2), (3, 4), (0, 1), 2),
    ((1, 3, 1, 2), 3, (3, 3), (1, 1), (2, 2), 3),
    ((1, 2, 3, 3), 1, (3, 3), (5, 5), (0, 0), 1),
]


def equation(x, weight, bias, stride, padding, groups):
    """The contract page's line for y, term by term."""
    (N, _, H, W), (O, C, KH, KW) = x.shape, weight.shape
    OH, OW = ((size + 2 * p - k) // s + 1 for size, p, k, s in zip((H, W), padding, (KH, KW), stride))
    y = np.empty((N, O, OH, OW))
    for n, o, i, j in product(range(N), range(O), range(OH), range(OW)):
        y[n, o, i, j] = bias[o]
        for c, u, v in product(range(C), range(KH), range(KW)):
            h, w = i * stride[0] + u - padding[0], j * stride[1] + v - padding[1]
            if 0 <= h < H and 0 <= w < W:
                y[n, o, i, j] += weight[o, c, u, v] * x[n, c + o // (O // groups) * C, h, w]
    return y


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("x_shape, O, kernel, stride, padding, groups", SHAPES)
def test_forward_is_the_equation(x_shape, O, kernel, stride, padding, groups, device, rng):
    layer = Conv2d(x_shape[1], O, kernel, stride=stride, padding=padding, groups=groups, rng=rng).astype(np.float64).to(device)
    x = rng.standard_normal(x_shape)
    y = layer.forward(x)
    assert y.shape == layer.output_shape(x_shape)
    np.testing.assert_allclose(y, equation(x, layer.params["weight"], layer.params["bias"], stride, padding, groups), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_table_is_conv2d_with_filters_left_out(device, rng):
    layer = TableConv2d(C3_TABLE, 5, rng=rng).astype(np.float64).to(device)
    full = Conv2d(6, 16, 5, rng=rng).astype(np.float64)
    full.params["weight"][:] = 0
    for (o, c), kernel in zip(layer.pairs, layer.params["weight"]):
        full.params["weight"][o, c] = kernel
    full.params["bias"][:] = layer.params["bias"]
    x, dy = rng.standard_normal((3, 6, 14, 14)), rng.standard_normal((3, 16, 10, 10))
    np.testing.assert_allclose(layer.forward(x), full.forward(x), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(layer.backward(dy), full.backward(dy), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(layer.grads["weight"], full.grads["weight"][C3_TABLE], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layer, x_shape", [(Conv2d(1, 6, 5, bias=False, rng=0), (64, 1, 32, 32)),
                                            (Conv2d(16, 120, 5, bias=False, rng=0), (64, 16, 5, 5)),
                                            (Conv2d(3, 8, 11, stride=4, padding=2, bias=False, rng=0), (17, 3, 64, 61))], ids=["C1", "C5", "stride 4"])
def test_adjoint_identity_at_full_size(layer, x_shape, dtype, rng):
    """<dy, conv(x)> = <dx, x> = <dweight, weight>: a map and its transpose, whatever the size; no step, no second implementation."""
    x = rng.standard_normal(x_shape).astype(dtype)
    y = layer.forward(x)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx = layer.backward(dy)
    products = [np.sum(a.astype(np.float64) * b) for a, b in ((dy, y), (dx, x), (layer.grads["weight"], layer.params["weight"]))]
    # each product sums y.size terms of size |dy| |y|, each of which carries the error of a dot product
    tolerance = 8 * np.finfo(dtype).eps * np.sqrt(y.size) * float(np.abs(y).max()) * np.sqrt(layer.params["weight"][0].size)
    np.testing.assert_allclose(products[1:], products[0], rtol=0, atol=tolerance)
    assert abs(products[0]) > 100 * tolerance


def test_options_that_cannot_be(rng):
    for options, message in (({"groups": 2}, "must divide in_channels=3"), ({"stride": 0}, "stride: expected 1 or more"),
                             ({"padding": -1}, "padding: expected 0 or more"), ({"stride": (1, 2, 3)}, "an int or a pair")):
        with pytest.raises(ValueError, match=message):
            Conv2d(3, 4, 3, **options)
    with pytest.raises(ValueError, match="a True in every row"):
        TableConv2d([[True, False], [False, False]], 3)
