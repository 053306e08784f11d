"""dense and rbf: features, and the same at every pixel of a map."""

import numpy as np
from conftest import EVERYWHERE

from tinyconv import device as door
from tinyconv.kernels import load
from tinyconv.layers import RBF, Conv2d, Dense


@EVERYWHERE
def test_dense_is_a_matrix_product(device, rng):
    layer, x, dy = Dense(7, 3, rng=0).to(device), rng.standard_normal((17, 7)), rng.standard_normal((17, 3))
    weight, bias = (door.to_host(layer.params[name]).astype(float) for name in ("weight", "bias"))
    np.testing.assert_allclose(layer.forward(x), x @ weight.T + bias, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(layer.backward(dy), dy @ weight, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(layer.grads["weight"], dy.T @ x, rtol=1e-12, atol=1e-12)


@EVERYWHERE
def test_dense_over_maps_is_a_1x1_convolution(device, rng):
    dense, conv = Dense(4, 3, rng=0).to(device), Conv2d(4, 3, 1, rng=1)
    weight, bias = (door.to_host(dense.params[name]) for name in ("weight", "bias"))
    conv.params["weight"], conv.params["bias"] = weight[:, :, None, None], bias
    x, dy = rng.standard_normal((2, 4, 3, 5)), rng.standard_normal((2, 3, 3, 5))
    np.testing.assert_allclose(dense.forward(x), conv.forward(x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(dense.backward(dy), conv.backward(dy), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        dense.grads["weight"], conv.grads["weight"][:, :, 0, 0], rtol=1e-12, atol=1e-12
    )


@EVERYWHERE
def test_rbf_is_the_squared_distance(device, rng):
    centers, x = rng.choice([-1.0, 1.0], (3, 6)), rng.standard_normal((17, 6))
    x[4] = centers[1]
    y = RBF(centers).to(device).forward(x)
    np.testing.assert_allclose(
        y, [[np.sum((a - w) ** 2) for w in centers] for a in x], rtol=1e-12, atol=1e-12
    )
    assert y[4, 1] == 0 and y[4].argmin() == 1


@EVERYWHERE
def test_rbf_backward_centers(device, rng):
    """No layer trains its centers, so finite differences of the kernel itself prove their gradient."""
    kernel, native = load("rbf", device), lambda array: door.pack(array, device, "test")
    centers, x, dy = (
        rng.standard_normal((3, 4)),
        rng.standard_normal((5, 4, 2)),
        rng.standard_normal((5, 3, 2)),
    )
    dcenters = door.to_host(kernel.backward_centers(native(dy), native(x), door.move(centers, device)))
    f = lambda c: np.sum(dy * load("rbf", "reference").forward(x, c))
    for index in np.ndindex(3, 4):
        step = np.zeros_like(centers)
        step[index] = 1e-4
        np.testing.assert_allclose(
            dcenters[index], (f(centers + step) - f(centers - step)) / 2e-4, rtol=1e-8
        )  # quadratic: exact
