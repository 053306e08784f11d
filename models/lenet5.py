"""LeNet-5 as of 1998. LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document
Recognition, section II.B.
"""

import numpy as np

from tinyconv import Sequential
from tinyconv.annotation import Rng
from tinyconv.layers import RBF, Conv2d, Dense, Flatten, ScaledTanh, Subsample2d, TableConv2d
from tinyconv.losses import RBFLoss, SoftmaxCrossEntropy
from tinyconv.recipe import Bench, Model, Recipe, digits

from .digit_codes import digit_codes

# Table I: which maps of S2 (rows) feed which maps of C3 (columns).
#              0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15
TABLE_I = """  X  O  O  O  X  X  X  O  O  X  X  X  X  O  X  X
               X  X  O  O  O  X  X  X  O  O  X  X  X  X  O  X
               X  X  X  O  O  O  X  X  X  O  O  X  O  X  X  X
               O  X  X  X  O  O  X  X  X  X  O  O  X  O  X  X
               O  O  X  X  X  O  O  X  X  X  X  O  X  X  O  X
               O  O  O  X  X  X  O  O  X  X  X  X  O  X  X  X"""
C3_TABLE = np.array(
    [[cell == "X" for cell in row.split()] for row in TABLE_I.splitlines()]
).T  # (16 maps of C3, 6 of S2)

PARAMETERS = {"C1": 156, "S2": 12, "C3": 1516, "S4": 32, "C5": 48120, "F6": 10164}
CONNECTIONS = {"C1": 122304, "S2": 5880, "C3": 151600, "S4": 2000, "C5": 48120, "F6": 10164}
HEADS = {"rbf": (0, 84), "dense": (85, 85)}  # the same of the output layer, for each class


def lenet5(head: str = "rbf", rng: Rng = None, *, classes: int = 10) -> Sequential:
    """60,000 parameters, 340,908 connections. x (N, 1, 32, 32), background -0.1 and ink 1.175; y (N, 10).

    head     "rbf": penalties of ten units with fixed codes, smallest for the answer; train with RBFLoss.
             "dense": scores; train with SoftmaxCrossEntropy (850 parameters more).
    rng      numpy Generator or seed for the weights, all uniform in +-2.4/fan-in
    classes  10 in the paper. Fewer take the first codes; more have no codes and need the dense head (else
             ValueError)

    A larger image is scanned: x (N, 1, 32, 64) gives y (N, 10, 1, 9), one column for every window 4 pixels
    further to the right.
    """
    if head not in HEADS:
        raise ValueError(f"lenet5: expected head 'rbf' or 'dense', got {head!r}")
    if head == "rbf" and not 1 <= classes <= 10:
        raise ValueError(
            f"lenet5: the rbf head has codes for 1 to 10 classes, got {classes}; use head='dense' (--loss "
            "softmax)"
        )
    rng = np.random.default_rng(rng)
    # fmt: off
    net = Sequential(                                                        #       1x32x32
        C1=Conv2d(1, 6, 5, rng=rng), A1=ScaledTanh(),                        # ->    6x28x28
        S2=Subsample2d(6, rng=rng), A2=ScaledTanh(),                         # ->    6x14x14
        C3=TableConv2d(C3_TABLE, 5, rng=rng), A3=ScaledTanh(),               # ->   16x10x10
        S4=Subsample2d(16, rng=rng), A4=ScaledTanh(),                        # ->   16x5x5
        C5=Conv2d(16, 120, 5, rng=rng), A5=ScaledTanh(),                     # ->  120x1x1
        flat=Flatten(scan=True),                                             # ->  120
        F6=Dense(120, 84, rng=rng), A6=ScaledTanh(),                         # ->   84
        output=RBF(digit_codes()[:classes]) if head == "rbf" else Dense(84, classes, rng=rng),
        input_shape=(1, 32, 32),
    )
    # fmt: on
    _assert_the_papers_counts(net, head, classes)
    return net


def _assert_the_papers_counts(net, head, classes):
    rows = {name: (parameters, connections) for name, _, _, parameters, connections, _ in net.summary().rows}
    for name in PARAMETERS:
        assert rows[name] == (PARAMETERS[name], CONNECTIONS[name]), (
            f"{name}: {rows[name]} parameters and connections"
        )
    assert rows["output"] == tuple(classes * count for count in HEADS[head]), (
        f"output: {rows['output']} parameters and connections"
    )


def _with_head(head):
    return lambda classes, rng: lenet5(head, rng, classes=classes)


# The rate, clipping and weight decay of the first recipe were chosen on a held-out tenth of MNIST's training
# images, five seeds a recipe.
LENET5 = Model(
    lenet5,
    recipes={
        "map": Recipe(
            _with_head("rbf"),
            lambda: RBFLoss("map"),
            digits,
            training={"lr": 1e-2, "clip": 10.0, "weight_decay": 5e-3},
        ),
        "mse": Recipe(_with_head("rbf"), lambda: RBFLoss("mse"), digits, training={"lr": 3e-3}),
        "softmax": Recipe(_with_head("dense"), SoftmaxCrossEntropy, digits, training={"lr": 1e-2}),
    },
    bench=Bench(
        lambda: RBFLoss("map", j=10), {"lr": 1e-4, "momentum": 0.9, "nesterov": True}, predictions=(10_000,)
    ),
)
