"""Layers, losses and optimizers in the styles of other people: they train as the same in plain
NumPy would.
"""

import numpy as np
import pytest
from conftest import EVERYWHERE

import tinyconv as tc
from tinyconv import execution
from tinyconv.device import to_host
from tinyconv.layers import Conv2d, Dense, Flatten, Tanh


class ForgetsTheBase(tc.Layer):
    """Its __init__ does not call that of Layer."""

    def __init__(self):
        self.params = {"scale": np.full(1, 1.5)}

    def _forward(self, x, training):
        self.cache = x
        return self.params["scale"] * x

    def _backward_input(self, dy):
        return self.params["scale"] * dy

    def _backward_parameters(self, dy):
        return {"scale": np.array([np.sum(dy * self.cache)])}


class ReplacesForward(tc.Layer):
    """Defines forward and backward themselves, without the underscore, and indexes its arrays."""

    def __init__(self):
        super().__init__()
        self.params = {"scale": np.full(1, 1.5)}

    def forward(self, x):
        self.x = x[:, ::-1]
        return self.params["scale"] * x[:, ::-1]

    def backward(self, dy):
        self.grads["scale"] = np.array([(dy * self.x).sum()])
        return (self.params["scale"] * dy)[:, ::-1].copy()


class ReplacesForwardOfOurs(Dense):
    """A layer of ours whose forward and backward are wrapped."""

    def forward(self, x, training=False):
        return 2 * super().forward(x, training)

    def backward(self, dy, need_dx=True):
        return super().backward(2 * dy, need_dx)


class WorksOnNativeArrays(Tanh):
    """NumPy on what a layer of ours is given, in most of the ways that there are."""

    def _forward(self, x, training):
        self.shape = len(x), x.ndim
        y = super()._forward(np.multiply(x, 0.5) + 0.5 * x, training)
        self.mask = np.asarray(y)[:, :1] > 0
        return np.where(self.mask, y, -y)

    def _backward_input(self, dy):
        return super()._backward_input(np.where(self.mask, dy, -dy) * np.ones(dy.shape))


class Squares(tc.SoftmaxCrossEntropy):
    """A loss of one's own on a base of ours: half the squared distance from the label's corner."""

    def forward(self, scores, labels):
        self.d = scores - np.eye(scores.shape[1])[labels]
        return float((self.d**2).sum() / 2 / len(scores))

    def backward(self):
        return self.d / len(self.d)


class OwnAdam(tc.Optimizer):
    """Adam as a stranger writes it."""

    slot_names = ("m", "v")

    def update(self, name, weight, gradient, m, v):
        t = self.steps + 1
        m[...] = 0.9 * m + 0.1 * gradient
        v[...] = 0.999 * v + 0.001 * gradient**2
        weight -= self.lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


def dense_of_ours():
    return ReplacesForwardOfOurs(5, 5, rng=3)


STYLES = [ForgetsTheBase, ReplacesForward, dense_of_ours, WorksOnNativeArrays]


def trained(make, device, loss, kind, N):
    rng = np.random.default_rng(N)
    net = tc.Sequential(A=Dense(6, 5, rng=0), S=make(), D=Dense(5, 4, rng=1)).astype(np.float64).to(device)
    loss, optimizer = loss.to(device), kind(net, lr=0.05)
    values = []
    for _ in range(3):
        x, labels = rng.standard_normal((N, 6)), rng.integers(4, size=N)
        values.append(net.train_step(x, labels, loss, optimizer, threads=2))
    return values, {name: to_host(value) for name, value in net.params.items()}


@EVERYWHERE
@pytest.mark.parametrize("kind", [tc.SGD, OwnAdam])
@pytest.mark.parametrize("loss", [tc.SoftmaxCrossEntropy, Squares])
@pytest.mark.parametrize("make", STYLES, ids=lambda make: make.__name__)
def test_a_style_trains_as_on_the_reference(make, loss, kind, device):
    N = 3 if device == "cuda" else 40
    values, params = trained(make, device, loss(), kind, N)
    expected, expected_params = trained(make, "reference", loss(), kind, N)
    np.testing.assert_allclose(values, expected, rtol=1e-10)
    for name, value in expected_params.items():
        np.testing.assert_allclose(params[name], value, rtol=1e-8, atol=1e-10, err_msg=name)
    assert values[0] != values[1]


@pytest.mark.parametrize("make", STYLES, ids=lambda make: make.__name__)
def test_a_style_is_checked(make):
    net = tc.Sequential(A=Dense(6, 5, rng=0), S=make(), D=Dense(5, 4, rng=1))
    report = tc.check_gradients(net, np.random.default_rng(0).standard_normal((3, 6)), quiet=True)
    assert report.ok, str(report)


def test_their_adam_is_ours():
    """In float64 and on arrays that both update: the same numbers to rounding."""
    found = []
    for kind in (OwnAdam, tc.Adam):
        net = tc.Sequential(C=Conv2d(1, 3, 3, rng=0), T=Tanh(), F=Flatten(), D=Dense(108, 4, rng=1)).astype(
            np.float64
        )
        optimizer, loss = kind(net, lr=0.01), tc.SoftmaxCrossEntropy()
        rng = np.random.default_rng(0)
        for _ in range(5):
            net.train_step(
                rng.standard_normal((20, 1, 8, 8)), rng.integers(4, size=20), loss, optimizer, threads=1
            )
        found.append({name: value.copy() for name, value in net.params.items()})
        assert execution.strategy(net, np.zeros((20, 1, 8, 8)))[0] == "images"
    for name, value in found[0].items():
        np.testing.assert_allclose(found[1][name], value, rtol=1e-10, atol=1e-13, err_msg=name)
