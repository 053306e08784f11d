"""Four layers with weights for CIFAR-10's 32x32 photographs, to compare ReLU with tanh, and with and without
normalisation.

Krizhevsky, Sutskever, Hinton 2012, section 3.1 and figure 1 (ReLU against tanh) and section 3.3
(normalisation), name "a four-layer convolutional network" without its sizes. These are the sizes of
cuda-convnet's "layers-18pct" (Krizhevsky 2012), all of its pools max-pools.
"""

from functools import partial

import numpy as np

from tinyconv import Sequential
from tinyconv.annotation import Rng
from tinyconv.initializers import constant, root_fan_in_uniform
from tinyconv.layers import Conv2d, Dense, Flatten, LocalResponseNorm, MaxPool2d, ReLU, Tanh
from tinyconv.losses import SoftmaxCrossEntropy
from tinyconv.recipe import Model, Recipe, photographs
from tinyconv.setting import Setting, choice, switch

ACTIVATIONS = {"relu": ReLU, "tanh": Tanh}


def cifar_net(
    activation: str = "relu", norm: bool = True, *, classes: int = 10, rng: Rng = None
) -> Sequential:
    """89,578 parameters, 12,298,240 multiply-adds. x (N, 3, 32, 32) of about unit variance; y (N, classes)
    for SoftmaxCrossEntropy.

    activation  "relu" or "tanh" after each convolution (else ValueError)
    norm        whether the pooled maps of the first two convolutions are normalised (LocalResponseNorm; it
                has no parameters): True or False (else ValueError)
    classes     1 or more (else ValueError)
    rng         numpy Generator or seed: weights uniform in +-sqrt(3/fan-in), biases 0, whatever the
                activation. Weighted sums keep the mean square of their inputs; a ReLU halves it, and the
                maximum over a window makes up for that

    The paper's alpha of 1e-4 is for inputs of pixel size, whose activations are some 30 times larger: here it
    is 0.1, and k = 1.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"cifar_net: expected the activation 'relu' or 'tanh', got {activation!r}")
    if not isinstance(norm, (bool, np.bool_)):
        raise ValueError(f"cifar_net: expected norm True or False, got {norm!r}")
    if classes < 1:
        raise ValueError(f"cifar_net: expected classes of 1 or more, got {classes!r}")
    rng, Activation = np.random.default_rng(rng), ACTIVATIONS[activation]
    start = {
        "rng": rng,
        "initial_weight": partial(root_fan_in_uniform, gain=3**0.5),
        "initial_bias": constant,
    }
    normalised = lambda name: {name: LocalResponseNorm(5, k=1.0, alpha=0.1, beta=0.75)} if norm else {}
    # fmt: off
    net = Sequential(                                                        #       3x32x32
        conv1=Conv2d(3, 32, 5, padding=2, **start), act1=Activation(),       # ->   32x32x32
        pool1=MaxPool2d(3, stride=2, padding=1), **normalised("norm1"),      # ->   32x16x16
        conv2=Conv2d(32, 32, 5, padding=2, **start), act2=Activation(),      # ->   32x16x16
        pool2=MaxPool2d(3, stride=2, padding=1), **normalised("norm2"),      # ->   32x8x8
        conv3=Conv2d(32, 64, 5, padding=2, **start), act3=Activation(),      # ->   64x8x8
        pool3=MaxPool2d(3, stride=2, padding=1),                             # ->   64x4x4
        flat=Flatten(),                                                      # -> 1024
        output=Dense(1024, classes, **start),                                # ->   10
        input_shape=(3, 32, 32),
    )
    # fmt: on
    summary = net.summary()
    assert (
        summary.parameters == 79_328 + 1025 * classes and summary.multiply_adds == 12_288_000 + 1024 * classes
    )
    return net


def _network(classes, rng, activation, norm):
    return cifar_net(activation, norm, classes=classes, rng=rng)


CIFAR_NET = Model(
    cifar_net,
    recipes={
        "softmax": Recipe(
            _network,
            SoftmaxCrossEntropy,
            photographs(1 / 64, mirror=True, shift=4, crops=10),
            preparation="photo 32",
            training={
                "data": "cifar10",
                "augment": True,
                "lr": 2e-2,
                "nesterov": False,
                "weight_decay": 5e-4,
                "batch_size": 128,
                "epochs": 30,
            },
        )
    },
    options=(
        Setting("activation", choice(*ACTIVATIONS), "after each convolution", default="relu"),
        Setting("norm", switch, "with or without response normalisation", default=True, said="with"),
    ),
)
