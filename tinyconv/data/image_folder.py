"""Any folder of images with one sub-folder a class.

    pets/cat/*.png          pets/train/cat/*.png
    pets/dog/*.jpg    or    pets/train/dog/*.jpg
                            pets/test/cat/*.png   (or val)  …

Small ones are read at once, as grey 28x28 images. Photographs are decoded when they are read, so that a tree
may have millions.
"""

import os
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from ..annotation import PathLike
from ..errors import DataError
from .ahead import Ahead
from .dataset import Dataset, Images
from .images import photo_side, prepare_image, prepared_shape

NOT_HELD_OUT = "(no held-out images)"
NAMED = 10  # folders that an error names, at most
SIZES = 1000  # files whose size goes into a fingerprint, at most


class PhotoFolder(Images):
    """The images of class folders, decoded anew whenever they are read, on the thread that reads; Feeder
    reads on many.

    folder  holds a sub-folder for each class      classes  {class name: names of its files}, as `scan` gives them
    """  # noqa: E501

    def __init__(self, name, folder, classes, preparation):
        self.folder = str(folder)
        self.files = [file for files in classes.values() for file in files]
        super().__init__(name, _labels(classes), classes, preparation, prepared_shape(preparation))

    def path(self, place):
        """The file of image number `place`."""
        return os.path.join(self.folder, self.class_names[self.labels[place]], self.files[place])

    def read_places(self, places):
        """Return the images at these places, read from their files: uint8 (n, C, H, W)."""
        images = np.empty((len(places), *self.shape), np.uint8)
        for image, place in zip(images, places):
            image[:] = prepare_image(self.path(place), self.preparation)
        return images

    def fingerprint(self):
        """From the names of all files and the sizes of some, evenly spread: a million files take no
        minutes.
        """
        names = zlib.crc32(
            os.fsencode("\0".join(self.files)), zlib.crc32(self.labels, zlib.crc32(self.preparation.encode()))
        )
        some = np.linspace(0, len(self) - 1, min(SIZES, len(self))).astype(np.int64)
        try:
            return f"{zlib.crc32(str([_size(self.path(place)) for place in some]).encode(), names):08x}"
        except OSError as why:
            raise DataError(f"{why.filename} has gone: {why.strerror}; load {self.folder} again") from why


def load(folder: PathLike, progress: bool = True, preparation: str = "fit") -> tuple[Images, Images]:
    """(train, test): Datasets of grey images (N, 1, 28, 28), scaled to fit; with the preparation "photo N"
    PhotoFolders of (N, 3, N, N).

    The sorted names of the sub-folders are the classes. Sub-folders train and test (or val) are the split
    where both exist; else every fifth file of a class, by name, is for testing. Where each class has one
    image only, these are for training and for testing, and the name says so.
    Raises DataError for a tree of another form and for an image that cannot be read.
    """
    train, test = split(folder, progress)
    train, test = (PhotoFolder(*part, preparation) for part in (train, test))
    if photo_side(preparation):
        return train, test
    return _in_memory(train, progress), _in_memory(test, progress)


def split(folder: PathLike, progress: bool = True):
    """((name, folder, classes) for training, the same for testing): what PhotoFolder takes. See load."""
    folder = Path(folder)
    held_out = next((folder / name for name in ("test", "val") if (folder / name).is_dir()), None)
    if held_out and (folder / "train").is_dir():
        train, test = scan(folder / "train", progress), scan(held_out, progress)
        if list(train) != list(test):
            differing = ", ".join(sorted(train.keys() ^ test.keys()))
            raise DataError(
                f"{folder / 'train'} and {held_out} must have the same classes; only one of them has: "
                f"{differing}"
            )
        return (f"{folder.name} train", folder / "train", train), (f"{folder.name} test", held_out, test)
    classes = scan(folder, progress)
    if all(len(files) == 1 for files in classes.values()):
        return (f"{folder.name} train", folder, classes), (
            f"{folder.name} train {NOT_HELD_OUT}",
            folder,
            classes,
        )
    if single := [name for name, files in classes.items() if len(files) < 2]:
        raise DataError(
            f"{folder}: {_some(single)} {'hold' if single[1:] else 'holds'} one image only; splitting a "
            "class into training and test "
            "takes two"
        )
    test = {name: files[::5] for name, files in classes.items()}
    train = {name: [file for i, file in enumerate(files) if i % 5] for name, files in classes.items()}
    return (f"{folder.name} train", folder, train), (f"{folder.name} test", folder, test)


def scan(folder: PathLike, progress: bool = True):
    """{class name: names of its image files, sorted}, in the order of the classes: by name, or by value if
    all are numbers.

    Only folders are read, no file is touched: a million files take seconds.
    """
    readable = {
        ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN
    }  # pdf can just be written
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
        numeric = all(name.isdecimal() for name in names)
        names.sort(key=lambda name: (int(name) if numeric else 0, name))
        classes = {}
        for name in tqdm(
            names, desc=f"files of {Path(folder).name}", unit="class", delay=1, disable=not progress
        ):
            with os.scandir(os.path.join(folder, name)) as entries:
                classes[name] = sorted(entry.name for entry in entries if _is_image(entry, readable))
    except OSError as why:
        raise DataError(
            f"{folder} cannot be read as a folder of images: {why.filename}: {why.strerror}"
        ) from why
    if not any(classes.values()):
        raise DataError(
            f"{folder} holds no images: expected one sub-folder a class with image files in it, such as "
            f"{Path(folder) / 'cat' / '1.png'}; or sub-folders train and test that look so"
        )
    if empty := [name for name, files in classes.items() if not files]:
        raise DataError(
            f"{folder}: {_some(empty)} {'hold' if empty[1:] else 'holds'} no images; remove "
            f"{'them' if empty[1:] else 'it'} or put images "
            "there"
        )
    return classes


def _is_image(entry, readable):
    """A link to nothing is one too, which cannot be read: so whoever reads it will name it."""
    return (
        os.path.splitext(entry.name)[1].lower() in readable
        and not entry.name.startswith(".")
        and (entry.is_file() or entry.is_symlink() and not os.path.exists(entry.path))
    )


def _size(path):
    return 0 if os.path.islink(path) and not os.path.exists(path) else os.stat(path).st_size


def _some(names):
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _labels(classes):
    return np.repeat(np.arange(len(classes), dtype=np.int64), [len(files) for files in classes.values()])


def _in_memory(photos, progress):
    images = np.empty((len(photos), *photos.shape), np.uint8)
    with Ahead(
        lambda place: prepare_image(photos.path(place), photos.preparation), range(len(photos))
    ) as decoded:
        for place, image in enumerate(
            tqdm(
                decoded,
                desc=photos.name,
                total=len(photos),
                unit="image",
                disable=not progress or len(photos) < 500,
            )
        ):  # fewer take no time worth a bar
            images[place] = image
    return Dataset(photos.name, images, photos.labels, photos.class_names, photos.preparation)
