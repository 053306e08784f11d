"""AlexNet. Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks, NIPS 2012, sections 3 to 5."""
from functools import partial

import numpy as np

from tinyconv import Sequential
from tinyconv.initializers import constant, gaussian
from tinyconv.layers import Conv2d, Dense, Dropout, Flatten, LocalResponseNorm, MaxPool2d, ReLU

MAPS = {"conv1": (96, 55, 55), "pool1": (96, 27, 27), "conv2": (256, 27, 27), "pool2": (256, 13, 13), "conv3": (384, 13, 13),
        "conv4": (384, 13, 13), "conv5": (256, 13, 13), "pool5": (256, 6, 6), "fc6": (4096,), "fc7": (4096,)}
CONVOLUTIONS = {2: (2_334_080, 665_784_864), 1: (3_747_200, 1_076_634_144)}      # by groups: parameters, multiply-adds
HIDDEN_DENSE = 54_534_144, 54_525_952                                            # the same of fc6 and fc7 together


def alexnet(groups=2, classes=1000, rng=None):
    """60,965,224 parameters, 724,406,816 multiply-adds. x (N, 3, 224, 224), mean subtracted; y (N, classes) for SoftmaxCrossEntropy.

    groups   2 as in the paper, where each of two GPUs held half of the maps; 1: every map sees all, 62,378,344 parameters
    rng      numpy Generator or seed: weights are Gaussian with deviation 0.01; biases are 1 in conv2, conv4, conv5, fc6 and fc7, else 0
    """
    if groups not in CONVOLUTIONS:
        raise ValueError(f"alexnet: expected 1 or 2 groups, got {groups!r}")
    rng = np.random.default_rng(rng)
    start = lambda ones: {"rng": rng, "initial_weight": partial(gaussian, deviation=0.01), "initial_bias": partial(constant, value=float(ones))}
    zeros, ones = start(0), start(1)
    net = Sequential(                                                                        #        3x224x224
        conv1=Conv2d(3, 96, 11, stride=4, padding=2, **zeros), relu1=ReLU(),                 # ->    96x55x55
        norm1=LocalResponseNorm(), pool1=MaxPool2d(3, stride=2),                             # ->    96x27x27
        conv2=Conv2d(96, 256, 5, padding=2, groups=groups, **ones), relu2=ReLU(),            # ->   256x27x27
        norm2=LocalResponseNorm(), pool2=MaxPool2d(3, stride=2),                             # ->   256x13x13
        conv3=Conv2d(256, 384, 3, padding=1, **zeros), relu3=ReLU(),                         # ->   384x13x13
        conv4=Conv2d(384, 384, 3, padding=1, groups=groups, **ones), relu4=ReLU(),           # ->   384x13x13
        conv5=Conv2d(384, 256, 3, padding=1, groups=groups, **ones), relu5=ReLU(),           # ->   256x13x13
        pool5=MaxPool2d(3, stride=2),                                                        # ->   256x6x6
        flat=Flatten(),                                                                      # ->  9216
        fc6=Dense(9216, 4096, **ones), relu6=ReLU(), drop6=Dropout(0.5, rng=rng),            # ->  4096
        fc7=Dense(4096, 4096, **ones), relu7=ReLU(), drop7=Dropout(0.5, rng=rng),            # ->  4096
        fc8=Dense(4096, classes, **zeros),                                                   # ->  1000
        input_shape=(3, 224, 224),
    )
    _assert_the_papers_counts(net, groups, classes)
    return net


def _assert_the_papers_counts(net, groups, classes):
    summary = net.summary()
    maps = {name: shape for name, _, shape, *_ in summary.rows}
    assert {name: maps[name] for name in MAPS} == MAPS, maps
    convolutions = [row for row in summary.rows if row[0].startswith("conv")]
    counts = sum(row[3] for row in convolutions), sum(row[5] for row in convolutions)
    assert counts == CONVOLUTIONS[groups], f"convolutions: {counts} parameters and multiply-adds"
    assert summary.parameters == counts[0] + HIDDEN_DENSE[0] + 4097 * classes, f"{summary.parameters} parameters"
    assert summary.multiply_adds == counts[1] + HIDDEN_DENSE[1] + 4096 * classes, f"{summary.multiply_adds} multiply-adds"
