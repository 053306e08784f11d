"""One block computes one image, in the simulator: every operation, against the CPU."""

from importlib import import_module

import numpy as np
import pytest

from tinyconv import SGD, RBFLoss, Sequential, SoftmaxCrossEntropy, device, execution, layers
from tinyconv.execution import cuda, plans

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed: tinyconv[cuda]")

from tinyconv.execution.one_block import Unfit, one_block
from tinyconv.kernels import capturing


@pytest.fixture(autouse=True)
def tried(monkeypatch):
    """No GPU has run it yet, so the plan does not choose it by itself."""
    monkeypatch.setattr(import_module("tinyconv.execution.one_block"), "MEASURED", True)


TABLE = np.array([[1, 0], [1, 1], [0, 1]], bool)
CODES = np.random.default_rng(0).choice([-1.0, 1.0], (3, 5))


def small_lenet():
    """One channel, odd sizes, a row and a column that fill no window."""
    return Sequential(
        C1=layers.Conv2d(1, 2, 3, rng=1),
        A1=layers.ScaledTanh(),
        S2=layers.Subsample2d(2, rng=2),
        A2=layers.ScaledTanh(),
        C3=layers.TableConv2d(TABLE, 2, rng=3),
        A3=layers.Tanh(),
        C5=layers.Conv2d(3, 4, (3, 3), rng=4),
        A5=layers.Sigmoid(),
        flat=layers.Flatten(scan=True),
        F6=layers.Dense(4, 5, rng=5),
        A6=layers.ScaledTanh(1.5, 0.5),
        output=layers.RBF(CODES),
    )


def small_pools():
    """Windows that overlap, with padding and beyond the edge; layers without bias, without activation."""
    return Sequential(
        C=layers.Conv2d(2, 2, (3, 2), bias=False, rng=1),
        R=layers.ReLU(),
        P=layers.MaxPool2d(3, 2, padding=1),
        K=layers.Conv2d(2, 3, 2, rng=2),
        Q=layers.AvgPool2d(2, 1, padding=1, ceil=True),
        F=layers.Flatten(),
        D=layers.Dense(36, 5, bias=False, rng=4),
        S=layers.ReLU(),
        E=layers.Dense(5, 3, rng=5),
    )


def only_dense():
    return Sequential(F=layers.Flatten(), D=layers.Dense(7, 3, rng=0), T=layers.ScaledTanh())


def long_rows():
    """Rows that are cut into pieces, forward and back."""
    return Sequential(
        C=layers.Conv2d(1, 2, 2, rng=0),
        T=layers.Tanh(),
        K=layers.Conv2d(2, 1, (1, 3), rng=1),
        P=layers.MaxPool2d((2, 14)),
        F=layers.Flatten(),
        D=layers.Dense(2, 2, rng=2),
    )


NETWORKS = {
    "lenet": (small_lenet, (1, 11, 11), RBFLoss("map", j=2.0)),
    "lenet, mse": (small_lenet, (1, 11, 11), RBFLoss("mse")),
    "pools": (small_pools, (2, 9, 7), SoftmaxCrossEntropy()),
    "dense": (only_dense, (7, 1, 1), SoftmaxCrossEntropy()),
    "long rows": (long_rows, (1, 3, 31), SoftmaxCrossEntropy()),
}


def batch(x_shape, N, classes, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, *x_shape)).astype(np.float32), rng.integers(classes, size=N)


def close(found, expected, name):
    """As close as sums of float32 in another order are."""
    size = max(np.abs(expected).max(), 1e-3)
    np.testing.assert_allclose(
        np.asarray(found).reshape(expected.shape), expected, atol=5e-6 * size, rtol=2e-5, err_msg=name
    )


@pytest.mark.parametrize("N", [1, 5, 17])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_computed_by_one_block_an_image_is_that_of_the_cpu(name, N):
    build, x_shape, loss = NETWORKS[name]
    net, loss = build(), loss.to("cpu")
    classes = net.output_shape((N, *x_shape))[1]
    x, labels = batch(x_shape, N, classes)
    scores = net.forward(x, training=True)
    value = loss.forward(scores, labels)
    net.backward(loss.backward(), need_dx=False)

    gpu = build().to("cuda")
    one, owners = one_block(gpu, x.shape, np.float32, loss)
    put = capturing.to_gpu
    images_last = put(np.ascontiguousarray(np.moveaxis(x, 0, -1)))
    found, losses = put(np.zeros_like(scores)), put(np.zeros(N, np.float32))
    bits = []
    for _ in range(2):
        one.forward_backward(images_last, put(labels), put(np.full(N, 1 / N, np.float32)), found, losses)
        bits.append([device.to_host(array) for array in (found, losses, *one.gradients.values())])
    assert all(np.array_equal(first, again) for first, again in zip(*bits, strict=True))
    close(device.to_host(found), scores, "scores")
    assert device.to_host(losses).mean(dtype=np.float64) == pytest.approx(value, rel=2e-6)
    gradients = {
        f"{layer}.{key}": gradient
        for layer, key, gradient in (
            (next(n for n, inner in gpu.named_layers.items() if inner is owner), key, one.gradients[place])
            for place, (owner, key) in enumerate(owners)
            if place in one.gradients
        )
    }
    assert gradients.keys() == net.grads.keys()
    for key, gradient in gradients.items():
        close(device.to_host(gradient), net.grads[key], key)

    forward, _ = one_block(gpu, x.shape, np.float32)
    found = put(np.zeros_like(scores))
    forward.forward(images_last, found)
    close(device.to_host(found), scores, "scores of a prediction")


def test_steps_by_one_block_an_image_train_as_those_of_the_cpu():
    x, labels = batch((1, 11, 11), 5, 3)
    nets = small_lenet(), small_lenet().to("cuda")
    losses = RBFLoss("map"), RBFLoss("map").to("cuda")
    optimizers = [SGD(net, lr=0.1, momentum=0.9, clip=0.5) for net in nets]
    for step in range(3):
        (value, scores), (found, found_scores) = (
            execution.train_step(net, x + step, labels, loss, optimizer)
            for net, loss, optimizer in zip(nets, losses, optimizers, strict=True)
        )
        assert found == pytest.approx(value, rel=1e-5)
        close(found_scores, scores, "scores")
    for name, value in nets[0].params.items():
        close(device.to_host(nets[1].params[name]), value, name)
        assert nets[1].grads[name].shape == value.shape
    close(execution.forward(nets[1], x), execution.forward(nets[0], x), "scores")
    captured = plans._plans[nets[1]][1].values()
    assert len(captured) == 2 and all(plan.one_block and plan.why_by_layers is None for plan in captured)


def test_a_kernel_that_is_wrong_is_named_and_the_layers_compute(monkeypatch):
    """As if the second launch left a gradient out."""
    made = cuda.one_block

    def wrong(*arguments):
        one, owners = made(*arguments)
        one.gradients[2] = one.gradients[3]
        return one, owners

    monkeypatch.setattr(cuda, "one_block", wrong)
    x, labels = batch((1, 11, 11), 5, 3)
    net, gpu = small_lenet(), small_lenet().to("cuda")
    with pytest.warns(UserWarning, match="S2.coefficient differs from that of the layers"):
        execution.forward_backward(gpu, x, labels, RBFLoss("map").to("cuda"))
    execution.forward_backward(net, x, labels, RBFLoss("map"))
    for name, value in net.grads.items():
        close(device.to_host(gpu.grads[name]), value, name)


@pytest.mark.parametrize(
    "build, x_shape, why",
    [
        (
            lambda: Sequential(C=layers.Conv2d(1, 2, 3, padding=1), F=layers.Flatten()),
            (1, 4, 4),
            "C: a stride",
        ),
        (
            lambda: Sequential(C=layers.Conv2d(2, 2, 3, groups=2), F=layers.Flatten()),
            (2, 4, 4),
            "C: a stride",
        ),
        (lambda: Sequential(F=layers.Flatten(), D=layers.Dropout(0.5)), (2, 4, 4), "D = Dropout"),
        (lambda: Sequential(R=layers.ReLU(), F=layers.Flatten()), (2, 4, 4), "R: an activation behind no"),
        (lambda: Sequential(C=layers.Conv2d(1, 2, 3)), (1, 3, 3), "no scores"),
        (lambda: Sequential(C=layers.Conv2d(1, 9, 1), F=layers.Flatten()), (1, 40, 40), "bytes of one image"),
    ],
)
def test_what_does_not_fit_is_left_to_the_layers(build, x_shape, why):
    with pytest.raises(Unfit, match=why):
        one_block(build(), (3, *x_shape), np.float32)


def test_float64_and_tensor_cores_are_left_to_the_layers():
    with pytest.raises(Unfit, match="float64"):
        one_block(only_dense(), (3, 7, 1, 1), np.float64)
    with pytest.raises(Unfit, match="tf32"):
        one_block(only_dense().to("cuda", precision="tf32"), (3, 7, 1, 1), np.float32)


def test_many_images_are_left_to_the_layers():
    with pytest.raises(Unfit, match="take one block each longer"):
        one_block(small_lenet(), (10**6, 1, 11, 11), np.float32)


def test_until_a_gpu_has_run_it_the_layers_compute(monkeypatch):
    monkeypatch.setattr(import_module("tinyconv.execution.one_block"), "MEASURED", False)
    net, x = only_dense().to("cuda"), np.ones((3, 7, 1, 1), np.float32)
    plan = plans.plan_for(net, x, 1)
    assert plan.one_block is None and "no GPU has run it yet" in plan.why_by_layers
