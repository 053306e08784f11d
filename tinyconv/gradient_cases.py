"""What `tinyconv gradcheck` and the tests check: every layer, loss and model, over shapes that are awkward on
purpose.

Batches of 1 and 17 (a block and a lane more), one channel, odd sizes, strides over the kernel, padding,
groups, maps smaller than a vector.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from . import layers, losses
from .composite import Residual, Sequential


@dataclass(frozen=True)
class Case:
    """One object at one point; build(seed) gives (obj, x, further arguments of check_gradients)."""

    title: str
    make: Callable  # rng -> the object
    x_shape: tuple
    options: dict  # of check_gradients; "labels" as a number of classes stands for random labels

    def build(self, seed):
        """Return (object, x, further arguments of check_gradients) for a seed."""
        rng = np.random.default_rng(seed)
        obj, options = self.make(rng), dict(self.options)
        x = _distinct(rng, self.x_shape) * options.pop("spread", 1.0)
        if "labels" in options:
            options["labels"] = rng.integers(options["labels"], size=self.x_shape[0])
        return obj, x, options


def _distinct(rng, shape):
    """Numbers between -2 and 2 in random order, no two alike and none near 0: away from every kink of relu
    and max-pooling.
    """
    size = int(np.prod(shape))
    return rng.permutation((np.arange(size) + 0.5) * 4 / size - 2).reshape(shape) + 0.01


def _case(build, *x_shape, **options):
    return Case(
        f"{build(np.random.default_rng(0))!r}, x {'x'.join(map(str, x_shape))}", build, x_shape, options
    )


def _lively(net):
    """At the paper's initial weights LeNet-5's output hardly depends on its input, and any gradient near 0
    would do. Four times larger, it does.
    """
    for value in net.params.values():
        value *= 4
    return net


def _model(name, head, *x_shape):
    def build(rng):
        from .models import MODELS  # models stand above this module, and are asked for only here

        return _lively(MODELS[name](**head, rng=rng))

    title = " ".join([name, *head.values()])
    return Case(
        f"{title}, x {'x'.join(map(str, x_shape))}, 10 elements of each array", build, x_shape, {"sample": 10}
    )


def _cifar_net(activation, norm, rng):
    from .models import cifar_net

    return cifar_net(activation, norm, rng=rng)


def _narrow_alexnet(rng):
    """The paper's AlexNet with few maps, on an image that leaves one pixel of each for the dense layers;
    weights so large that it is alive.
    """
    from .models.alexnet import PAPER, network

    deviations = (0.1, 0.15, 0.15, 0.2, 0.2, 0.4, 0.4, 0.4)
    return network(
        replace(PAPER, image_side=63, maps=(6, 8, 8, 8, 8), dense=(8, 12, 10), first_deviations=deviations),
        5,
        rng,
    )


def _block(rng, maps_in, maps, stride=1):
    """Two convolutions beside one of a single pixel, as in a residual network."""
    body = Sequential(
        layers.Conv2d(maps_in, maps, 3, stride=stride, padding=1, rng=rng),
        layers.Tanh(),
        layers.Conv2d(maps, maps, 3, padding=1, rng=rng),
    )
    return Residual(body, layers.Conv2d(maps_in, maps, 1, stride=stride, rng=rng))


TABLE = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1], [0, 0, 1]], bool)

CASES = {
    "conv2d": [
        _case(lambda rng: layers.Conv2d(1, 2, 3, rng=rng), 1, 1, 5, 4),
        _case(lambda rng: layers.Conv2d(3, 4, (2, 3), stride=(2, 1), padding=(1, 2), rng=rng), 17, 3, 4, 3),
        _case(lambda rng: layers.Conv2d(4, 6, 2, stride=3, groups=2, rng=rng), 2, 4, 7, 9),
        _case(lambda rng: layers.Conv2d(3, 3, 3, padding=2, groups=3, bias=False, rng=rng), 2, 3, 1, 4),
        _case(lambda rng: layers.Conv2d(2, 4, 3, stride=(4, 2), groups=2, ceil=True, rng=rng), 17, 2, 5, 6),
    ],
    "table_conv2d": [
        _case(lambda rng: layers.TableConv2d(TABLE, 3, rng=rng), 2, 3, 5, 6),
        _case(
            lambda rng: layers.TableConv2d(
                TABLE[:, :2] | np.eye(5, 2, -3, bool) | np.eye(5, 2, -4, bool), (2, 1), rng=rng
            ),
            17,
            2,
            3,
            2,
        ),
    ],
    "subsample2d": [
        _case(lambda rng: layers.Subsample2d(3, rng=rng), 2, 3, 6, 4),
        _case(lambda rng: layers.Subsample2d(1, (2, 3), rng=rng), 17, 1, 5, 7),
    ],
    "max_pool2d": [
        _case(lambda rng: layers.MaxPool2d(2), 17, 2, 4, 5),
        _case(lambda rng: layers.MaxPool2d(3, stride=2, padding=1), 2, 3, 7, 6),
        _case(lambda rng: layers.MaxPool2d((1, 2), stride=(3, 1)), 1, 1, 7, 3),
        _case(lambda rng: layers.MaxPool2d(3, stride=2, ceil=True), 17, 2, 6, 4),
    ],
    "avg_pool2d": [
        _case(lambda rng: layers.AvgPool2d(2), 17, 2, 4, 5),
        _case(lambda rng: layers.AvgPool2d(3, stride=2, padding=1), 2, 3, 7, 6),
        _case(lambda rng: layers.AvgPool2d((1, 2), stride=(3, 1), padding=(0, 1)), 1, 1, 7, 3),
        _case(lambda rng: layers.AvgPool2d(3, stride=2, padding=(0, 1), ceil=True), 17, 2, 6, 4),
    ],
    "dense": [
        _case(lambda rng: layers.Dense(7, 5, rng=rng), 17, 7),
        _case(lambda rng: layers.Dense(3, 1, bias=False, rng=rng), 1, 3),
        _case(lambda rng: layers.Dense(4, 3, rng=rng), 2, 4, 2, 3),
    ],
    "rbf": [
        _case(lambda rng: layers.RBF(rng.choice([-1, 1], (4, 9))), 17, 9),
        _case(lambda rng: layers.RBF(rng.normal(size=(3, 5))), 2, 5, 1, 2),
    ],
    "scaled_tanh": [
        _case(lambda rng: layers.ScaledTanh(), 17, 3, 2, 1),
        _case(lambda rng: layers.ScaledTanh(0.7, 1.3), 3, 5),
    ],
    "tanh": [_case(lambda rng: layers.Tanh(), 17, 3, 2, 1)],
    "sigmoid": [_case(lambda rng: layers.Sigmoid(), 17, 3, 2, 1)],
    "relu": [_case(lambda rng: layers.ReLU(), 17, 3, 2, 1)],
    "local_response_norm": [
        _case(lambda rng: layers.LocalResponseNorm(alpha=0.3), 2, 7, 3, 2),
        _case(lambda rng: layers.LocalResponseNorm(size=3, k=1.0, alpha=1.0, beta=0.5), 17, 2, 1, 3),
        _case(lambda rng: layers.LocalResponseNorm(alpha=2.0, alpha_over_size=True), 3, 6, 2, 1),
    ],
    "add": [
        _case(lambda rng: Residual(layers.ReLU()), 17, 3, 2, 1),
        _case(lambda rng: Residual(layers.Dense(4, 4, rng=rng)), 1, 4),
        _case(lambda rng: _block(rng, 2, 3, stride=2), 2, 2, 5, 4),
        _case(lambda rng: Residual(_block(rng, 3, 3)), 17, 3, 3, 1),
    ],
    "dropout": [
        _case(lambda rng: layers.Dropout(0.5, rng=rng), 17, 3, 2, 2, training=True),
        _case(lambda rng: layers.Dropout(0.2, rng=rng), 3, 5),
        _case(lambda rng: layers.Dropout(0.2, scale="test", rng=rng), 3, 5),
    ],
    "flatten": [
        _case(lambda rng: layers.Flatten(), 17, 2, 3, 1),
        _case(lambda rng: layers.Flatten(scan=True), 2, 3, 1, 2),
    ],
    "softmax_cross_entropy": [
        _case(lambda rng: losses.SoftmaxCrossEntropy(), 17, 5, labels=5),
        _case(lambda rng: losses.SoftmaxCrossEntropy(), 1, 2, labels=2, spread=5.0),
    ],
    "rbf_loss": [
        _case(lambda rng: losses.RBFLoss("mse"), 17, 10, labels=10),
        _case(lambda rng: losses.RBFLoss("map", j=10), 17, 10, labels=10, spread=5.0),
        _case(lambda rng: losses.RBFLoss("map", j=0.5), 1, 3, labels=3),
    ],
    "lenet5": [
        _model("lenet5", {"head": "rbf"}, 2, 1, 32, 32),
        _model("lenet5", {"head": "dense"}, 1, 1, 36, 32),
    ],
    "alexnet": [
        Case(
            "alexnet with 6 to 8 maps a layer, x 1x3x63x63, 3 elements of each array",
            _narrow_alexnet,
            (1, 3, 63, 63),
            {"sample": 3},
        )
    ],
    "cifar_net": [
        Case(
            f"cifar_net {activation}, x 1x3x32x32, 2 elements of each array",
            partial(_cifar_net, activation, norm),
            (1, 3, 32, 32),
            {"sample": 2},
        )
        for activation, norm in (("relu", True), ("tanh", False))
    ],
    "mlp": [_model("mlp", {}, 3, 1, 28, 28)],
}
