"""MNIST: 60,000 + 10,000 grey 28x28 digits in four IDX files (LeCun, Cortes and Burges), found on disk or
downloaded.

An IDX file is a big-endian header followed by bytes: 0, 0, the element type (8 = unsigned byte), the number
of dimensions, each dimension as 4 bytes, then the elements with the last index running fastest.
"""

import gzip
import hashlib
import math
import zlib

import numpy as np

from ..annotation import PathLike
from ..errors import DataError, reason
from .dataset import Dataset
from .download import download, homes, mirrors

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

# MD5 of the unpacked bytes: mirrors may compress them differently.
CHECKSUMS = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def load(data_dir: PathLike | None = None, progress: bool = True) -> tuple[Dataset, Dataset]:
    """(train, test) Datasets of images (N, 1, 28, 28), or of the size of your own IDX files; labels 0..9.

    Searched are data_dir, $TINYCONV_DATA and the cache folder, each with its sub-folder mnist. Absent files
    are downloaded from MIRRORS, or from $TINYCONV_MNIST_MIRROR (urls with commas between). Raises DataError
    for a damaged or unobtainable file.
    """
    files = find(data_dir) or _fetch_missing(homes(data_dir)[0] / "mnist", progress)
    train, test = _pair("mnist train", *files[:2]), _pair("mnist test", *files[2:])
    if train.images.shape[2:] != test.images.shape[2:]:
        raise DataError(
            f"{files[0]} and {files[2]} must hold images of one size, "
            f"got {train.images.shape[2:]} and {test.images.shape[2:]}"
        )
    return train, test


def where(data_dir: PathLike | None = None):
    """One line that says where the files are, or where they would be downloaded to."""
    files = find(data_dir)
    return (
        f"{files[0].parent}"
        if files
        else f"not found; first use downloads it into {homes(data_dir)[0] / 'mnist'}"
    )


def find(data_dir: PathLike | None = None):
    """Paths of the four files in the order of CHECKSUMS, from the first folder that has them all; None where
    none has.
    """
    for home in homes(data_dir):
        for folder in (home, home / "mnist"):
            files = [_file(folder, name) for name in CHECKSUMS]
            if all(files):
                return files
    return None


def _file(folder, name):
    # Some archives replace the last dash, as in train-images.idx3-ubyte.
    spellings = (
        spelling + ending for spelling in (name, name.replace("-idx", ".idx")) for ending in ("", ".gz")
    )
    return next((folder / spelling for spelling in spellings if (folder / spelling).is_file()), None)


def _fetch_missing(folder, progress):
    present = {name: _file(folder, name) for name in CHECKSUMS}
    for name, path in present.items():
        if path and _md5(_unpacked(path)) != CHECKSUMS[name]:
            # Else the missing files would come from another data set than this one.
            raise DataError(
                f"{path} is damaged or not MNIST's own, so the files missing beside it cannot be downloaded; "
                "delete it, or complete the four files by hand"
            )
    for name in CHECKSUMS:
        if not present[name]:
            urls = [f"{mirror.rstrip('/')}/{name}.gz" for mirror in mirrors("TINYCONV_MNIST_MIRROR", MIRRORS)]
            download(urls, folder / f"{name}.gz", lambda content: _check(name, content), progress)
    return [_file(folder, name) for name in CHECKSUMS]


def _check(name, content):
    md5 = _md5(_unpack(content))
    if md5 != CHECKSUMS[name]:
        raise ValueError(f"not the file expected, its unpacked MD5 is {md5} and should be {CHECKSUMS[name]}")


def _md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _unpack(content):
    if content[:2] != b"\x1f\x8b":  # plain, whatever the name says: some servers unpack on the way
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as why:
        raise ValueError(f"truncated or corrupt gzip ({why})") from why


def _unpacked(path):
    try:
        return _unpack(path.read_bytes())
    except (OSError, ValueError) as why:
        raise DataError(f"{path} cannot be read: {reason(why)}; delete it to download it again") from why


def read_idx(path: PathLike, dimensions) -> np.ndarray:
    """The uint8 array of an IDX file, gz or not, with that number of dimensions. Raises DataError for any
    other file.
    """
    content = _unpacked(path)
    magic, header = bytes((0, 0, 8, dimensions)), 4 + 4 * dimensions
    if content[:4] != magic or len(content) < header:
        raise DataError(
            f"{path} is no IDX file of bytes in {dimensions} dimensions: it should begin with "
            f"{magic.hex()}, got {content[:4].hex() or 'nothing'} in a file of {len(content)} bytes; "
            "delete it to download it again"
        )
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, offset=4))
    if len(content) != header + math.prod(shape):
        raise DataError(
            f"{path} is truncated or corrupt: its header announces {shape}, so {header + math.prod(shape)} "
            "bytes, "
            f"got {len(content)}; delete it to download it again"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _pair(name, image_file, label_file):
    images, labels = read_idx(image_file, 3), read_idx(label_file, 1)
    if len(images) != len(labels):
        raise DataError(
            f"{image_file} has {len(images)} images but {label_file} has {len(labels)} labels; "
            "delete both to download them again"
        )
    if labels.size and labels.max() > 9:
        first = (labels > 9).argmax()
        raise DataError(
            f"{label_file}: labels must be 0..9, label {first} is {labels[first]}; delete it to download "
            "it again"
        )
    return Dataset(name, images[:, None], labels.astype(np.int64), tuple("0123456789"), "digit")
