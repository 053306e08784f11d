"""sgd: steps worked out by hand, on both backends; clipping; rates."""

from types import SimpleNamespace

import numpy as np
import pytest

from tinyconv.kernels import load
from tinyconv.optimizers import SGD, constant, cosine, stepped


def net(weight, dweight, dtype=np.float64, device="cpu"):
    return SimpleNamespace(
        params={"w": np.array(weight, dtype)}, grads={"w": np.array(dweight, dtype)}, device=device
    )


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, [1 - 0.1 * 2, 0.8 - 0.1 * 2]),
        ({"momentum": 0.5}, [1 - 0.1 * 2, 0.8 - 0.1 * (0.5 * 2 + 2)]),
        (
            {"momentum": 0.5, "nesterov": True},
            [1 - 0.1 * (2 + 0.5 * 2), 0.7 - 0.1 * (2 + 0.5 * (0.5 * 2 + 2))],
        ),
        ({"weight_decay": 0.5}, [1 - 0.1 * (2 + 0.5), 0.75 - 0.1 * (2 + 0.375)]),
        ({"clip": 0.5}, [1 - 0.1 * 0.5, 0.95 - 0.1 * 0.5]),
    ],
    ids=str,
)
def test_two_steps_by_hand(options, expected, dtype, device):
    target = net([1.0], [2.0], dtype, device)
    weight, optimizer = target.params["w"], SGD(target, lr=0.1, **options)
    for value in expected:
        optimizer.step()
        np.testing.assert_allclose(weight, [value], rtol=1e-6)
    assert weight is target.params["w"] and weight.dtype == dtype and optimizer.steps == 2


def test_clipping_limits_the_norm_over_all_parameters():
    target = SimpleNamespace(
        params={"a": np.zeros(2), "b": np.zeros((1, 1))},
        grads={"a": np.array([3.0, 0.0]), "b": np.array([[4.0]])},
    )
    SGD(target, lr=1.0, clip=1.0).step()  # the norm is 5
    np.testing.assert_allclose(target.params["a"], [-0.6, 0])
    np.testing.assert_allclose(target.params["b"], [[-0.8]])
    assert load("sgd", "cpu").sum_of_squares(np.array([1e30], np.float32)) == pytest.approx(1e60)


def test_rates():
    assert constant(0.1)(0) == constant(0.1)(99) == 0.1
    rate = stepped(1.0, every=10, factor=0.1)
    assert [rate(step) for step in (0, 9, 10, 19, 20)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    rate = cosine(2.0, steps=100)
    assert [rate(step) for step in (0, 50, 100, 150)] == pytest.approx([2, 1, 0, 0])


def test_the_rate_follows_the_steps():
    target = net([0.0], [1.0])
    optimizer = SGD(target, lr=stepped(1.0, every=1, factor=0.5))
    for _ in range(3):
        optimizer.step()
    np.testing.assert_allclose(target.params["w"], [-1.75])


def test_mistakes_are_named():
    for options, message in (
        ({"lr": -1}, "lr of 0 or more"),
        ({"momentum": float("nan")}, "momentum of 0 or more"),
        ({"clip": 0}, "clip above 0"),
        ({"nesterov": True}, "needs momentum"),
    ):
        with pytest.raises(ValueError, match=message):
            SGD(net([1.0], [1.0]), **options)
    with pytest.raises(RuntimeError, match="no gradient for w; call backward before step"):
        SGD(SimpleNamespace(params={"w": np.zeros(1)}, grads={})).step()
    with pytest.raises(ValueError, match="w must lie contiguously"):
        SGD(SimpleNamespace(params={"w": np.zeros((2, 2)).T[:1]}, grads={}))
