"""The baseline: one hidden layer between pixels and classes."""

import numpy as np

from tinyconv import Sequential
from tinyconv.annotation import Rng
from tinyconv.layers import Dense, Flatten, ScaledTanh
from tinyconv.losses import SoftmaxCrossEntropy
from tinyconv.recipe import Model, Recipe, digits


def mlp(hidden: int = 100, classes: int = 10, rng: Rng = None) -> Sequential:
    """784 pixels, `hidden` scaled tanh units, `classes` scores for SoftmaxCrossEntropy. x (N, 1, 28, 28), y
    (N, classes).

    Parameters: 785 hidden + (hidden + 1) classes; 79,510 with 100 hidden units.
    Source: the two-layer networks of LeCun et al. 1998, section III.C.5.
    """
    rng = np.random.default_rng(rng)
    # fmt: off
    net = Sequential(
        flat=Flatten(),                                    # 1x28x28 -> 784
        F1=Dense(784, hidden, rng=rng), A1=ScaledTanh(),
        output=Dense(hidden, classes, rng=rng),
        input_shape=(1, 28, 28),
    )
    # fmt: on
    assert net.summary().parameters == 785 * hidden + (hidden + 1) * classes
    return net


MLP = Model(
    mlp,
    recipes={
        "softmax": Recipe(
            lambda classes, rng: mlp(classes=classes, rng=rng),
            SoftmaxCrossEntropy,
            digits,
            training={"lr": 2e-2},
        ),
    },
)
