"""conv2d and table_conv2d against the equation written out, and identities at LeNet-5's sizes."""

from itertools import product

import numpy as np
import pytest

from tinyconv.layers import Conv2d, TableConv2d
from tinyconv.models.lenet5 import C3_TABLE

SHAPES = [  # x, O, kernel, stride, padding, groups, ceil, map of y
    ((1, 1, 4, 5), 2, (3, 3), (1, 1), (0, 0), 1, False, (2, 3)),
    ((2, 3, 5, 4), 4, (2, 3), (2, 1), (1, 2), 1, False, (3, 6)),
    ((2, 4, 7, 6), 6, (2, 2), (3, 4), (0, 1), 2, False, (2, 2)),
    ((1, 3, 1, 2), 3, (3, 3), (1, 1), (2, 2), 3, False, (3, 4)),
    ((1, 2, 3, 3), 1, (3, 3), (5, 5), (0, 0), 1, False, (1, 1)),
    ((2, 3, 16, 15), 4, (11, 11), (4, 4), (0, 0), 1, True, (3, 2)),  # a row and no column more
    ((17, 3, 9, 7), 2, (3, 3), (3, 2), (1, 1), 1, True, (4, 4)),  # a row more
    ((17, 4, 10, 10), 6, (3, 4), (4, 5), (0, 1), 2, True, (3, 3)),  # a row and a column more
    ((2, 2, 5, 7), 2, (2, 2), (4, 6), (1, 1), 1, True, (2, 2)),  # a column would begin behind the map
    ((1, 2, 2, 2), 3, (3, 3), (2, 2), (0, 0), 1, True, (1, 1)),  # the only window reaches beyond the map
    ((17, 1, 3, 3), 2, (3, 3), (2, 2), (0, 0), 1, True, (1, 1)),
]
PARAMETERS = "x_shape, O, kernel, stride, padding, groups, ceil, map"


def equation(x, weight, bias, stride, padding, groups, map):
    """The contract page's line for y, term by term."""
    (N, _, H, W), (O, C, KH, KW), (OH, OW) = x.shape, weight.shape, map
    y = np.empty((N, O, OH, OW))
    for n, o, i, j in product(range(N), range(O), range(OH), range(OW)):
        y[n, o, i, j] = bias[o]
        for c, u, v in product(range(C), range(KH), range(KW)):
            h, w = i * stride[0] + u - padding[0], j * stride[1] + v - padding[1]
            if 0 <= h < H and 0 <= w < W:
                y[n, o, i, j] += weight[o, c, u, v] * x[n, c + o // (O // groups) * C, h, w]
    return y


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize(PARAMETERS, SHAPES)
def test_forward_is_the_equation(x_shape, O, kernel, stride, padding, groups, ceil, map, device, rng):
    layer = (
        Conv2d(x_shape[1], O, kernel, stride=stride, padding=padding, groups=groups, ceil=ceil, rng=rng)
        .astype(np.float64)
        .to(device)
    )
    x = rng.standard_normal(x_shape)
    y = layer.forward(x)
    assert y.shape == layer.output_shape(x_shape) == (x_shape[0], O, *map)
    np.testing.assert_allclose(
        y,
        equation(x, layer.params["weight"], layer.params["bias"], stride, padding, groups, map),
        rtol=1e-12,
        atol=1e-12,
    )


@pytest.mark.parametrize(PARAMETERS, [shape for shape in SHAPES if shape[-2]])
def test_ceil_is_floor_on_a_map_with_zeros_behind_it(
    x_shape, O, kernel, stride, padding, groups, ceil, map, rng
):
    """y, dx and both gradients, on the cpu; the further zeros get a dx that nobody asks for."""
    layer = Conv2d(
        x_shape[1], O, kernel, stride=stride, padding=padding, groups=groups, ceil=True, rng=0
    ).astype(np.float64)
    floor = Conv2d(x_shape[1], O, kernel, stride=stride, padding=padding, groups=groups, rng=0).astype(
        np.float64
    )
    x, dy = rng.standard_normal(x_shape), rng.standard_normal((x_shape[0], O, *map))
    behind = [
        max(0, (n - 1) * s + k - 2 * p - size)
        for n, s, k, p, size in zip(map, stride, kernel, padding, x_shape[2:])
    ]
    wide = np.pad(x, ((0, 0), (0, 0), (0, behind[0]), (0, behind[1])))
    np.testing.assert_allclose(
        layer.forward(x), floor.forward(wide)[..., : map[0], : map[1]], rtol=0, atol=1e-12
    )
    dy_of_floor = np.zeros(floor.output_shape(wide.shape))
    dy_of_floor[..., : map[0], : map[1]] = dy
    np.testing.assert_allclose(
        layer.backward(dy), floor.backward(dy_of_floor)[..., : x_shape[2], : x_shape[3]], rtol=0, atol=1e-12
    )
    for name in layer.grads:
        np.testing.assert_allclose(layer.grads[name], floor.grads[name], rtol=0, atol=1e-11)


def test_alexnets_first_map_in_three_ways():
    """224 with padding 2 by floor, 224 without padding by ceil, 227 without padding: 55."""
    for size, options in ((224, {"padding": 2}), (224, {"ceil": True}), (227, {})):
        assert Conv2d(3, 1, 11, stride=4, **options).output_shape((1, 3, size, size)) == (1, 1, 55, 55)
    assert Conv2d(3, 1, 11, stride=4).output_shape((1, 3, 224, 224)) == (1, 1, 54, 54)
    assert "ceil" not in repr(Conv2d(3, 1, 11)) and "ceil=True" in repr(Conv2d(3, 1, 11, ceil=True))


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
@pytest.mark.parametrize(
    "layer, x_shape",
    [
        (Conv2d(1, 6, 5, bias=False, rng=0), (64, 1, 32, 32)),
        (Conv2d(16, 120, 5, bias=False, rng=0), (64, 16, 5, 5)),
        (Conv2d(3, 8, 11, stride=4, padding=2, bias=False, rng=0), (17, 3, 64, 61)),
        (Conv2d(3, 8, 11, stride=4, ceil=True, bias=False, rng=0), (17, 3, 64, 61)),
    ],
    ids=["C1", "C5", "stride 4", "ceil"],
)
def test_adjoint_identity_at_full_size(layer, x_shape, dtype, rng):
    """<dy, conv(x)> = <dx, x> = <dweight, weight>: a map and its transpose, whatever the size; no step, no
    second implementation.
    """
    x = rng.standard_normal(x_shape).astype(dtype)
    y = layer.forward(x)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx = layer.backward(dy)
    products = [
        np.sum(a.astype(np.float64) * b)
        for a, b in ((dy, y), (dx, x), (layer.grads["weight"], layer.params["weight"]))
    ]
    # each product sums y.size terms of size |dy| |y|, each of which carries the error of a dot product
    tolerance = (
        8
        * np.finfo(dtype).eps
        * np.sqrt(y.size)
        * float(np.abs(y).max())
        * np.sqrt(layer.params["weight"][0].size)
    )
    np.testing.assert_allclose(products[1:], products[0], rtol=0, atol=tolerance)
    assert abs(products[0]) > 100 * tolerance


def test_options_that_cannot_be(rng):
    for options, message in (
        ({"groups": 2}, "must divide in_channels=3"),
        ({"stride": 0}, "stride: expected 1 or more"),
        ({"padding": -1}, "padding: expected 0 or more"),
        ({"stride": (1, 2, 3)}, "an int or a pair"),
    ):
        with pytest.raises(ValueError, match=message):
            Conv2d(3, 4, 3, **options)
    with pytest.raises(ValueError, match="a True in every row"):
        TableConv2d([[True, False], [False, False]], 3)
