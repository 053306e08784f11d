"""Images with labels: MNIST, 5,000 of its digits without a network, and any folder of images."""

from pathlib import Path

import numpy as np

from ..errors import DataError
from . import image_folder, mnist, mnist5k
from .dataset import Dataset, to_input
from .images import prepare_image

NAMED = {"mnist": mnist, "mnist5k": mnist5k}                 # a folder of such a name is written ./mnist

__all__ = ["NAMED", "Dataset", "find", "load", "prepare_image", "split_off", "to_input"]


def load(name, *, data_dir=None, progress=True):
    """(train, test) Datasets of "mnist", "mnist5k", or a folder with one sub-folder of images a class.

    data_dir is searched first for mnist's files, and takes those downloaded. Raises DataError where there is no such data.
    """
    if name == "mnist":
        return mnist.load(data_dir, progress)
    if name == "mnist5k":
        return mnist5k.load()
    if Path(name).is_dir():
        return image_folder.load(name, progress)
    raise DataError(f"there is no data set or folder {str(name)!r}; choose mnist, mnist5k, or a folder with one sub-folder "
                    "of images a class")


def find(data_dir=None):
    """{name: where its files are, or why they are not there} for each data set with a name. Never downloads."""
    return {"mnist": mnist.where(data_dir), "mnist5k": mnist5k.where()}


def split_off(train, fraction=0.1, seed=0):
    """(rest, held_out): two disjoint Datasets that together are `train`; held_out is a random `fraction` of it.

    For tuning: choices made on the test set would make its error look better than it is. The same seed gives the same split.
    """
    count = round(fraction * len(train))
    if not 0 < count < len(train):
        raise DataError(f"cannot hold out {fraction} of the {len(train)} images of {train.name}: "
                        "at least one image must go to either part")
    chosen = np.zeros(len(train), bool)
    chosen[np.random.default_rng(seed).permutation(len(train))[:count]] = True
    return train.subset(~chosen, f"{train.name} without held-out"), train.subset(chosen, f"{train.name} held-out")
