"""Images with labels: MNIST, 5,000 of its digits without a network, CIFAR-10, any folder of images, and
shards made of one.
"""

from pathlib import Path

import numpy as np

from ..annotation import PathLike
from ..errors import DataError
from . import cifar10, image_folder, mnist, mnist5k, shards
from .dataset import Dataset, Images
from .feeder import Feeder
from .images import check_preparation, prepare_image
from .inputs import Inputs, image_keys

NAMED = {"mnist": mnist, "mnist5k": mnist5k, "cifar10": cifar10}  # a folder of such a name is written ./mnist

__all__ = [
    "NAMED",
    "Dataset",
    "Feeder",
    "Images",
    "Inputs",
    "find",
    "image_keys",
    "load",
    "prepare_image",
    "split_off",
]


def load(
    name: str, *, data_dir: PathLike | None = None, progress: bool = True, preparation: str = "fit"
) -> tuple[Images, Images]:
    """(train, test) Images of "mnist", "mnist5k", "cifar10", a folder with one sub-folder of images a class,
    or a folder of shards.

    preparation of a folder with one sub-folder a class: "fit" (grey 28x28, in memory) or "photo N" (RGB NxN,
    decoded when they are read); the others are prepared already. data_dir is searched first for the files of
    mnist or cifar10, and takes those downloaded.
    Raises DataError where there is no such data.
    """
    check_preparation(preparation)
    if name == "mnist":
        return mnist.load(data_dir, progress)
    if name == "mnist5k":
        return mnist5k.load()
    if name == "cifar10":
        return cifar10.load(data_dir, progress)
    if (Path(name) / shards.INDEX).is_file():
        return shards.load(name)
    if Path(name).is_dir():
        return image_folder.load(name, progress, preparation)
    raise DataError(
        f"there is no data set or folder {str(name)!r}; choose {', '.join(NAMED)}, a folder with one "
        "sub-folder "
        "of images a class, or a folder of shards"
    )


def find(data_dir: PathLike | None = None):
    """{name: where its files are, or why they are not there} for each data set with a name. Never
    downloads.
    """
    return {"mnist": mnist.where(data_dir), "mnist5k": mnist5k.where(), "cifar10": cifar10.where(data_dir)}


def split_off(train: Images, fraction: float = 0.1, seed: int = 0) -> tuple[Images, Images]:
    """(rest, held_out): two disjoint sets of Images that together are `train`; held_out is a random
    `fraction` of it.

    For tuning: choices made on the test set would make its error look better than it is. The same seed gives
    the same split.
    """
    count = round(fraction * len(train))
    if not 0 < count < len(train):
        raise DataError(
            f"cannot hold out {fraction} of the {len(train)} images of {train.name}: "
            "at least one image must go to either part"
        )
    chosen = np.zeros(len(train), bool)
    chosen[np.random.default_rng(seed).permutation(len(train))[:count]] = True
    return train.subset(~chosen, f"{train.name} without held-out"), train.subset(
        chosen, f"{train.name} held-out"
    )
