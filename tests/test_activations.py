"""scaled_tanh, tanh, sigmoid, relu, local_response_norm, dropout, flatten."""

import numpy as np
import pytest
from conftest import EVERYWHERE

from tinyconv.device import unpack
from tinyconv.kernels import load
from tinyconv.kernels._cpu.native import Native
from tinyconv.layers import Dropout, Flatten, LocalResponseNorm, ReLU, ScaledTanh, Sigmoid, Tanh


@EVERYWHERE
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_squashes(device, dtype):
    x = np.array([[-1e3, -1.0, 0.0, 1.0, 1e3]], dtype)
    with np.errstate(all="raise"):
        np.testing.assert_allclose(
            ScaledTanh().to(device).forward(x), [[-1.7159, -1, 0, 1, 1.7159]], atol=2e-5
        )  # f(1) = 1 by choice of A and S
        np.testing.assert_allclose(
            Tanh().to(device).forward(x), [[-1, -np.tanh(1), 0, np.tanh(1), 1]], rtol=1e-6
        )
        np.testing.assert_allclose(
            Sigmoid().to(device).forward(x), [[0, 1 / (1 + np.e), 0.5, np.e / (1 + np.e), 1]], atol=1e-7
        )
    np.testing.assert_array_equal(ReLU().to(device).forward(x), [[0, 0, 0, 1, 1e3]])


@EVERYWHERE
def test_relu_at_zero_and_nan(device):
    relu = ReLU().to(device)
    y = relu.forward(np.array([[0.0, np.nan]]))
    assert y[0, 0] == 0 and np.isnan(y[0, 1])
    assert relu.backward(np.array([[7.0, 0.0]]))[0, 0] == 0


@EVERYWHERE
def test_local_response_norm_is_the_equation_of_2012(device, rng):
    x, n, k, alpha, beta = rng.standard_normal((2, 7, 2, 3)), 5, 2.0, 0.4, 0.75
    y = LocalResponseNorm(n, k, alpha, beta).to(device).forward(x)
    for c in range(7):
        near = range(max(0, c - n // 2), min(6, c + n // 2) + 1)
        np.testing.assert_allclose(
            y[:, c], x[:, c] / (k + alpha * sum(x[:, m] ** 2 for m in near)) ** beta, rtol=1e-12
        )


@EVERYWHERE
def test_local_response_norm_with_alpha_over_size(device, rng):
    x, dy = rng.standard_normal((2, 2, 7, 2, 3))
    layer, other = (
        LocalResponseNorm(5, 2.0, 0.4, 0.75, alpha_over_size=True).to(device),
        LocalResponseNorm(5, 2.0, 0.08, 0.75).to(device),
    )
    np.testing.assert_array_equal(layer.forward(x), other.forward(x))
    np.testing.assert_array_equal(layer.backward(dy), other.backward(dy))
    assert "alpha_over_size=True" in repr(layer) and "alpha_over_size" not in repr(other)


@EVERYWHERE
def test_dropout(device):
    layer, x = Dropout(0.3, rng=5).to(device), np.ones((50, 20, 10) if device != "cuda" else (17, 5, 2))
    assert (layer.forward(x) == x).all()  # not training: nothing happens
    first, second = layer.forward(x, training=True), layer.forward(x, training=True)
    assert set(np.unique(first.round(12))) == {0, round(1 / 0.7, 12)}
    kept = (second > 0).mean()
    assert (
        abs(kept - 0.7) < 4 * np.sqrt(0.3 * 0.7 / x.size) and (first != second).any()
    )  # four standard deviations
    np.testing.assert_array_equal(layer.backward(x), second)
    again = Dropout(0.3, rng=5).to(device)
    np.testing.assert_array_equal(again.forward(x, training=True), first)


def test_dropout_draws_the_same_mask_on_every_backend_and_for_any_split(rng):
    x = rng.standard_normal((40, 3, 2))
    reference, cpu = load("dropout", "reference"), load("dropout", "cpu")
    keys = [
        kernel.draw(np.array([2**31 + 1], np.uint64), counter)
        for kernel in (reference, cpu)
        for counter in [np.array([345], np.uint64)]
    ]
    assert keys[0] == keys[1] == (2**31 + 1) * 2**32 + 345
    whole = reference.forward(x, 0.5, keys[0], 0, 2.0)
    np.testing.assert_array_equal(unpack(cpu.forward(Native.pack(x), 0.5, keys[0], 0, 2.0)), whole)
    for first in (8, 16, 24):
        np.testing.assert_array_equal(
            unpack(cpu.forward(Native.pack(x[first:]), 0.5, keys[0], first, 2.0)), whole[first:]
        )
        np.testing.assert_array_equal(reference.forward(x[first:], 0.5, keys[0], first, 2.0), whole[first:])


@EVERYWHERE
def test_dropout_scaled_at_test_time(device, rng):
    """As in 2012: training leaves what it keeps as it is, testing multiplies all by the probability of being
    kept.
    """
    layer, x = Dropout(0.3, scale="test", rng=5).to(device), rng.standard_normal((17, 4)) + 5
    y = layer.forward(x, training=True)
    assert ((y == x) | (y == 0)).all() and 0 < (y == 0).mean() < 1
    np.testing.assert_array_equal(layer.backward(x), y)
    np.testing.assert_allclose(layer.forward(x), 0.7 * x, rtol=1e-15)
    np.testing.assert_allclose(layer.backward(x), 0.7 * x, rtol=1e-15)
    with pytest.raises(ValueError, match="scale: expected 'training' or 'test', got 'none'"):
        Dropout(scale="none")


@EVERYWHERE
def test_flatten(device, rng):
    x = rng.standard_normal((17, 2, 3, 4))
    layer = Flatten().to(device)
    np.testing.assert_array_equal(layer.forward(x), x.reshape(17, 24))
    np.testing.assert_array_equal(layer.backward(x.reshape(17, 24)), x)
    assert Flatten(scan=True).forward(x).shape == x.shape and Flatten(scan=True).forward(
        x[:, :, :1, :1]
    ).shape == (17, 2)


def test_options_that_cannot_be():
    for make, message in (
        (lambda: Dropout(1.0), r"in \[0, 1\)"),
        (lambda: LocalResponseNorm(size=4), "odd"),
        (lambda: LocalResponseNorm(k=0), "k above 0"),
        (lambda: ScaledTanh(slope=0), "above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
