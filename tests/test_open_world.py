"""Layers and blocks as a stranger writes them: right on every device, in a step, a test, a summary, a check,
and from one saved run to the next.
"""

import copy

import numpy as np
import pytest
from conftest import EVERYWHERE

import tinyconv as tc
from tinyconv import execution
from tinyconv.data import Dataset, Inputs
from tinyconv.device import to_host
from tinyconv.evaluation import evaluate
from tinyconv.execution import memory
from tinyconv.layers import Conv2d, Dense, Flatten, ReLU, Tanh
from tinyconv.training import Trainer


class Softplus(tc.Layer):
    """NumPy in _forward."""

    def _forward(self, x, training):
        self.cache = x
        return np.logaddexp(0, x)

    def _backward_input(self, dy):
        return dy / (1 + np.exp(-self.cache))


class Doubled(Tanh):
    """A layer of ours with one line of NumPy."""

    def _forward(self, x, training):
        return 2 * super()._forward(x, training)

    def _backward_input(self, dy):
        return super()._backward_input(2 * dy)


class PatchedInPlace(Tanh):
    """The same, written into the array."""

    def _forward(self, x, training):
        y = super()._forward(x, training)
        self.cache = copy.copy(y)
        y = y + 0.5 * np.tanh(x)
        self.z = x
        return y

    def _backward_input(self, dy):
        return super()._backward_input(dy) + 0.5 * dy * (1 - np.tanh(self.z) ** 2)


class BatchNorm(tc.Layer):
    """Statistics of the whole batch, and a running mean in state."""

    def __init__(self, channels):
        super().__init__()
        self.params = {
            "gamma": np.linspace(0.5, 1.5, channels, dtype=np.float32),
            "beta": np.zeros(channels, np.float32),
        }
        self.state = {"mean": np.zeros(channels), "variance": np.ones(channels)}

    def _forward(self, x, training):
        axes = (0, *range(2, x.ndim))
        shape = (1, -1) + (1,) * (x.ndim - 2)
        if training:
            mean, variance = x.mean(axes), x.var(axes)
            self.state["mean"] = 0.9 * self.state["mean"] + 0.1 * mean
            self.state["variance"][:] = 0.9 * self.state["variance"] + 0.1 * variance
        else:
            mean, variance = self.state["mean"], self.state["variance"]
        deviation = np.sqrt(variance + 1e-5)
        normal = (x - mean.reshape(shape)) / deviation.reshape(shape)
        self.cache = normal, deviation, axes, shape, training
        return self.params["gamma"].reshape(shape) * normal + self.params["beta"].reshape(shape)

    def _backward_input(self, dy):
        normal, deviation, axes, shape, training = self.cache
        d = dy * self.params["gamma"].reshape(shape)
        if training:
            d = d - d.mean(axes).reshape(shape) - normal * (d * normal).mean(axes).reshape(shape)
        return d / deviation.reshape(shape)

    def _backward_parameters(self, dy):
        normal, _, axes, _, _ = self.cache
        return {"gamma": (dy * normal).sum(axes), "beta": dy.sum(axes)}


class BlockOfLayers(tc.Layer):
    """A residual block that holds our layers as attributes."""

    def __init__(self, maps):
        super().__init__()
        self.a, self.b = Conv2d(maps, maps, 3, padding=1, rng=1), Conv2d(maps, maps, 1, rng=2)
        self.params = {
            f"{name}.{key}": value
            for name, layer in (("a", self.a), ("b", self.b))
            for key, value in layer.params.items()
        }

    def _forward(self, x, training):
        return x + self.b.forward(self.a.forward(x))

    def _backward(self, dy, need_dx):
        dx = dy + self.a.backward(self.b.backward(dy))
        self.grads = {
            f"{name}.{key}": value
            for name, layer in (("a", self.a), ("b", self.b))
            for key, value in layer.grads.items()
        }
        return dx


class BlockOfComposite(tc.Composite):
    """A residual block on the base class for it."""

    def __init__(self, maps):
        super().__init__(a=Conv2d(maps, maps, 3, padding=1, rng=1), t=Tanh(), b=Conv2d(maps, maps, 1, rng=2))

    def _forward(self, x, training):
        y = x
        for layer in self.layers:
            y = layer.forward(y, training)
        return x + y

    def _backward(self, dy, need_dx):
        dx = dy
        for layer in reversed(self.layers):
            dx = layer.backward(dx)
        return dy + dx


class BlockOfSequential(tc.Sequential):
    """A residual block that is a Sequential and adds x."""

    def _forward(self, x, training):
        return super()._forward(x, training) + x

    def _backward(self, dy, need_dx):
        return super()._backward(dy, True) + dy


class PlainBlock:
    """No base class at all."""

    def __init__(self, maps):
        rng = np.random.default_rng(5)
        self.params = {"w": rng.standard_normal((maps, maps)) / 4}
        self.grads, self.state = {}, {"calls": np.zeros(1)}

    def forward(self, x, training=False):
        self.x = x
        self.state["calls"] += training
        return x + np.einsum("oc,nchw->nohw", self.params["w"], x)

    def backward(self, dy):
        self.grads["w"] = np.einsum("nohw,nchw->oc", dy, self.x)
        return dy + np.einsum("oc,nohw->nchw", self.params["w"], dy)


class Halved(tc.Layer):
    """Another shape comes out, and nothing says which."""

    def _forward(self, x, training):
        return x[:, :, ::2]

    def _backward_input(self, dy):
        dx = np.zeros((*dy.shape[:2], self._made[2][2], dy.shape[3]), dy.dtype)
        dx[:, :, ::2] = dy
        return dx


STRANGERS = {
    "NumPy in _forward": Softplus,
    "ours with a line of NumPy": Doubled,
    "ours with more of it": PatchedInPlace,
    "batch statistics": lambda: BatchNorm(3),
    "a block of layers": lambda: BlockOfLayers(3),
    "a Composite": lambda: BlockOfComposite(3),
    "a Sequential that adds": lambda: BlockOfSequential(Conv2d(3, 3, 3, padding=1, rng=4), Tanh()),
    "no base class": lambda: PlainBlock(3),
    "another shape": Halved,
    "our Residual": lambda: tc.Residual(
        tc.Sequential(Conv2d(3, 3, 3, padding=1, rng=4), Tanh(), Conv2d(3, 3, 1, rng=6))
    ),
    "our Residual around a stranger": lambda: tc.Residual(Softplus(), Conv2d(3, 3, 1, rng=6)),
}
EACH = pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
RECORDED = "our Residual"


def network(stranger, dtype=np.float64):
    # without a bias: the gradient of one before batch statistics is zero, and zero proves nothing
    return tc.Sequential(
        C=Conv2d(1, 3, 3, bias=False, rng=0),
        S=stranger(),
        A=ReLU(),
        F=Flatten(),
        D=Dense(54 if stranger is Halved else 108, 4, rng=1),
        input_shape=(1, 8, 8),
    ).astype(dtype)


def batch(N, step=0, dtype=np.float64):
    rng = np.random.default_rng([N, step])
    return rng.standard_normal((N, 1, 8, 8)).astype(dtype), rng.integers(4, size=N)


def trained(stranger, device, batches, threads=2):
    """(losses, parameters, states, scores of another batch) after a step on each of the batches,
    then tested.
    """
    net, loss = network(stranger).to(device), tc.SoftmaxCrossEntropy().to(device)
    optimizer = tc.SGD(net, lr=0.1, momentum=0.9)
    losses = [net.train_step(*one, loss, optimizer, threads=threads) for one in batches]
    scores = execution.forward(net, batch(21, 99)[0], threads)
    return (
        losses,
        {name: to_host(value) for name, value in net.params.items()},
        {name: to_host(value) for name, value in net.state.items()},
        scores,
    )


@EACH
@EVERYWHERE
def test_training_and_testing_are_those_of_plain_numpy(stranger, device):
    """The expected numbers come from the reference, layer by layer; batches of 40 and 17 do not fill whole
    vectors.
    """
    batches = [batch(40, 0), batch(40, 1), batch(17, 2)] if device != "cuda" else [batch(3, 0), batch(5, 1)]
    expected, found = trained(stranger, "reference", batches), trained(stranger, device, batches)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-11)
    for ours, theirs in zip(found[1:3], expected[1:3]):
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            np.testing.assert_allclose(ours[name], value, rtol=1e-9, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(found[3], expected[3], rtol=1e-9, atol=1e-11)


@EACH
@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_gradients_are_checked(stranger, device):
    report = tc.check_gradients(network(stranger).to(device), batch(3)[0], sample=10, quiet=True)
    assert report.ok, str(report)
    report = tc.check_gradients(
        network(stranger).to(device), batch(3)[0], sample=10, training=True, quiet=True
    )
    assert report.ok, str(report)


@EACH
def test_summary_memory_and_full_size_check(stranger):
    net = network(stranger)
    summary = net.summary()
    assert summary.parameters == sum(value.size for value in net.params.values())
    assert summary.rows[-1][2] == (4,) and summary.rows[-4][0].startswith("S")
    recorded = execution.strategy(net, batch(40)[0])[0] != "calls"
    assert recorded == (stranger is STRANGERS[RECORDED])
    assert ("computed layer by layer" in str(summary)) == (not recorded)
    assert memory.needed(net, (40, 1, 8, 8)) > 4 * 40 * (64 + 108 * 3)
    report = tc.gradient_check.check_full_size(net, quiet=True)
    assert report.ok, str(report)


def test_a_residual_block_is_recorded_on_the_cpu():
    net = network(STRANGERS[RECORDED])
    assert execution.strategy(net, batch(40)[0], tc.SoftmaxCrossEntropy())[0] == "images"


def digits(N, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=N)
    pictures = rng.integers(0, 100, (N, 1, 8, 8))
    for picture, label in zip(pictures, labels):
        picture[0, 2 * label : 2 * label + 2] += 100
    return Dataset("bars", pictures.astype(np.uint8), labels.astype(np.int64), tuple("0123"), "fit")


def trainer(stranger, device):
    net = network(stranger, np.float32).to(device)
    optimizer = tc.SGD(net, lr=0.02, momentum=0.9)
    return Trainer(
        net,
        tc.SoftmaxCrossEntropy().to(device),
        optimizer,
        digits(70, 0),
        digits(30, 1),
        Inputs.digits((1, 8, 8), (1, 8, 8)),
        epochs=2,
        batch_size=32,
        seed=4,
        threads=2,
    )


@EACH
@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_a_resumed_run_ends_with_the_same_bits(stranger, device, tmp_path):
    whole, path = trainer(stranger, device), tmp_path / "checkpoint.npz"
    assert whole.run(show=False)
    asked = iter(range(1, 100))
    first = trainer(stranger, device)
    assert first.run(lambda: first.save(path), stop=lambda: next(asked) >= 2, show=False) is False
    second = trainer(stranger, device)
    second.load(path)
    assert second.run(show=False)
    for name, value in {**whole.net.params, **whole.net.state}.items():
        np.testing.assert_array_equal({**second.net.params, **second.net.state}[name], value, err_msg=name)
    result = evaluate(second.net, second.loss, second.test, second.inputs)
    assert result.error == whole.progress.history[-1]["test_error"]
