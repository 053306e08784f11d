"""The network and the run that are saved in this folder; README.md beside this file says with which code."""

import dataclasses
import shutil
import sys
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

import tinyconv as tc
from tinyconv.cli import main
from tinyconv.layers import (
    RBF,
    AvgPool2d,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    ScaledTanh,
    Subsample2d,
    TableConv2d,
)
from tinyconv.models import MODELS
from tinyconv.training import Trainer

FOLDER = Path(__file__).parent
SAVED_EPOCH, EPOCHS = 2, 4


class Shift:
    """A layer of a user's own, without a base class and without a repr."""

    def __init__(self):
        self.params, self.grads = {"shift": np.zeros(3)}, {}

    def forward(self, x):
        return x + self.params["shift"][:, None, None]

    def backward(self, dy):
        self.grads["shift"] = dy.sum(axis=(0, 2, 3))
        return dy


def network(seed):
    """A small network with a layer of most kinds, other settings than the defaults, and a network inside it.

    x (N, 2, 12, 12), y (N, 2)."""
    rng = np.random.default_rng(seed)
    table = [[1, 0, 1, 0], [0, 1, 1, 1], [1, 1, 0, 0]]
    return tc.Sequential(
        C1=Conv2d(2, 4, 3, padding=1, groups=2, rng=rng),
        A1=ScaledTanh(),
        N1=LocalResponseNorm(3, alpha=0.5, alpha_over_size=True),
        P1=MaxPool2d(3, 2, ceil=True),
        P2=AvgPool2d(2, 1),
        C3=TableConv2d(table, 2, rng=rng),
        own=Shift(),
        block=tc.Sequential(C=Conv2d(3, 3, 1, bias=False, ceil=True, rng=rng), A=ReLU()),
        S4=Subsample2d(3, rng=rng),
        flat=Flatten(),
        drop=Dropout(0.25, scale="test", rng=rng),
        F5=Dense(12, 5, rng=rng),
        out=RBF(rng.choice([-1.0, 1.0], (2, 5))),
    )


def images():
    return np.random.default_rng(7).standard_normal((3, 2, 12, 12))


def classifier(classes, rng):
    rng = np.random.default_rng(rng)
    return tc.Sequential(
        C1=Conv2d(1, 3, 5, stride=2, rng=rng),
        A1=ReLU(),
        P2=MaxPool2d(2),
        flat=Flatten(),
        drop=Dropout(0.1, rng=rng),
        F3=Dense(108, classes, rng=rng),
        input_shape=(1, 28, 28),
    )


def tiny_recipe():
    """The recipe of mlp with a tiny network in its place, until the context ends."""
    recipes = MODELS["mlp"].recipes
    small = dataclasses.replace(
        recipes["softmax"], network=classifier, training={"batch_size": 4, "epochs": EPOCHS, "lr": 0.01}
    )
    return mock.patch.dict(recipes, softmax=small)


def write_digits(folder):
    """Three classes of ten images, whose fingerprint is the same on every machine."""
    for k, name in enumerate(("bar", "cross", "ring")):
        (folder / name).mkdir(parents=True)
        for n in range(10):
            picture = np.zeros((28, 28), np.uint8)
            picture[4:24, 10 + n % 5 : 14 + n % 5] = 255 if k < 2 else 0
            picture[10 + n % 5 : 14 + n % 5, 4:24] = 255 if k == 1 else 0
            picture[4:24, 4:24] |= np.uint8(0 if k < 2 else 200 + n)
            Image.fromarray(picture).save(folder / name / f"{n}.bmp")


def train(*options):
    with tiny_recipe():
        return main(["train", "mlp", *map(str, options)])


def make():
    net = network(1)
    net.forward(images(), training=True)  # one draw of the dropout
    net.params["own.shift"][:] = 0.5, -0.5, 1.0
    net.save(FOLDER / "network.npz")
    np.save(FOLDER / "network_y.npy", net.forward(images()))

    def save(trainer, path, save=Trainer.save):
        save(trainer, path)
        if trainer.progress.epoch == SAVED_EPOCH:
            shutil.copytree(Path(path).parent, FOLDER / "run", dirs_exist_ok=True)

    with tempfile.TemporaryDirectory() as folder, mock.patch.object(Trainer, "save", save):
        write_digits(Path(folder) / "digits")
        train(
            "--data",
            Path(folder) / "digits",
            "--threads",
            2,
            "--seed",
            3,
            "--weight-decay",
            1e-3,
            "--out",
            Path(folder) / "run",
        )
        shutil.copy(Path(folder) / "run" / "checkpoint.npz", FOLDER / "run_ended.npz")


if __name__ == "__main__":
    sys.exit(make())
