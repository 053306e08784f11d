"""Any folder of images with one sub-folder a class, as grey 28x28 images.

    pets/cat/*.png          pets/train/cat/*.png
    pets/dog/*.jpg    or    pets/train/dog/*.jpg
                            pets/test/cat/*.png   (or val)  …
"""

from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from ..errors import DataError
from .dataset import Dataset
from .images import prepare_image


def load(folder, progress=True):
    """(train, test) Datasets of images (N, 1, 28, 28), scaled to fit; the sorted names of the sub-folders are the classes.

    Sub-folders train and test (or val) are the split where both exist; else every fifth file of a class, by name, is for testing.
    Raises DataError for a tree of another form and for an image that cannot be read.
    """
    folder = Path(folder)
    held_out = next((folder / name for name in ("test", "val") if (folder / name).is_dir()), None)
    if held_out and (folder / "train").is_dir():
        train, test = _classes(folder / "train"), _classes(held_out)
        if list(train) != list(test):
            differing = ", ".join(sorted(train.keys() ^ test.keys()))
            raise DataError(f"{folder / 'train'} and {held_out} must have the same classes; only one of them has: {differing}")
    else:
        classes = _classes(folder)
        for name, files in classes.items():
            if len(files) < 2:
                raise DataError(f"{folder / name} holds one image only; splitting a class into training and test takes two")
        test = {name: files[::5] for name, files in classes.items()}
        train = {name: [file for i, file in enumerate(files) if i % 5] for name, files in classes.items()}
    return _read(f"{folder.name} train", train, progress), _read(f"{folder.name} test", test, progress)


def _classes(folder):
    """{class name: its image files sorted by name}, in the order of the classes: by name, or by value if all are numbers."""
    try:
        folders = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
        numeric = all(entry.name.isdecimal() for entry in folders)
        folders.sort(key=lambda entry: (int(entry.name) if numeric else 0, entry.name))
        classes = {entry.name: sorted(file for file in entry.iterdir() if _is_image(file)) for entry in folders}
    except OSError as why:
        raise DataError(f"{folder} cannot be read as a folder of images: {why}") from why
    if not any(classes.values()):
        raise DataError(f"{folder} holds no images: expected one sub-folder a class with image files in it, such as "
                        f"{folder / 'cat' / '1.png'}; or sub-folders train and test that look so")
    for name, files in classes.items():
        if not files:
            raise DataError(f"{folder / name} holds no images; remove it or put images into it")
    return classes


def _is_image(file):
    # Only formats that Pillow can open: its list has some, such as pdf, that it can just write.
    readable = Image.registered_extensions().get(file.suffix.lower()) in Image.OPEN
    return readable and not file.name.startswith(".") and file.is_file()


def _read(name, classes, progress):
    files = [file for files in classes.values() for file in files]
    bar = tqdm(files, desc=name, unit="image", disable=not progress or len(files) < 500)  # fewer take no time worth a bar
    images = [prepare_image(file, "fit") for file in bar]
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(files) for files in classes.values()])
    return Dataset(name, np.stack(images)[:, None], labels, tuple(classes), "fit")
