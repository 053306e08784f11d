"""CIFAR-10: 50,000 + 10,000 RGB 32x32 images of ten classes (Krizhevsky 2009), found on disk in any of its
forms, or downloaded.

    cifar-10-batches-bin/data_batch_1.bin …    the binary version: of each image a byte for the label, then
                                               its red, green and blue bytes
    cifar-10-binary.tar.gz                     the same packed, which is what is downloaded
    train/airplane/0000.jpg …                  image files, one folder a class, in train and test
    cifar10*.tar*                              the same packed, such as cifar10-jpg.tar.xz

All but the first take seconds to unpack; the cache folder keeps what comes out, so that this happens once.
"""

import hashlib
import io
import tarfile
import zlib
from importlib import import_module
from pathlib import PurePosixPath

import numpy as np
from tqdm import tqdm

from ..annotation import PathLike
from ..errors import DataError, reason
from ..files import write_atomically
from .dataset import Dataset
from .download import cache_folder, download, homes, mirrors
from .image_folder import PhotoFolder, split
from .images import prepare_image

MIRRORS = (
    "https://www.cs.toronto.edu/~kriz/",
    "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
)
PACKED, MD5 = "cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"
BATCHES = {"train": [f"data_batch_{number}.bin" for number in range(1, 6)], "test": ["test_batch.bin"]}
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PACKINGS = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ": "lzma",
    b"BZh": "bz2",
}  # first bytes of a file, and the module that unpacks it
SHAPE = (3, 32, 32)
PREPARATION = "photo 32"


def load(data_dir: PathLike | None = None, progress: bool = True) -> tuple[Dataset, Dataset]:
    """(train, test) Datasets of images (N, 3, 32, 32).

    Searched are data_dir, $TINYCONV_DATA and the cache folder, each with its sub-folder cifar10. Where none
    has it, it is downloaded from MIRRORS, or from $TINYCONV_CIFAR10_MIRROR (urls with commas between). Raises
    DataError for a damaged or unobtainable file.
    """
    found = find(data_dir)
    if found is None:
        path = homes(data_dir)[0] / "cifar10" / PACKED
        download(
            [f"{mirror.rstrip('/')}/{PACKED}" for mirror in mirrors("TINYCONV_CIFAR10_MIRROR", MIRRORS)],
            path,
            _check,
            progress,
        )
        found = path, _read_packed
    path, read = found
    parts = read(path, progress)
    return tuple(
        Dataset(f"cifar10 {part}", images, labels, CLASSES, PREPARATION)
        for part, (images, labels) in parts.items()
    )


def where(data_dir: PathLike | None = None):
    """One line that says where the files are, or where they would be downloaded to."""
    found = find(data_dir)
    return (
        f"{found[0]}" if found else f"not found; first use downloads it into {homes(data_dir)[0] / 'cifar10'}"
    )


def find(data_dir: PathLike | None = None):
    """(path, how to read it) of the first form found; None where there is none."""
    for home in homes(data_dir):
        for folder in (home, home / "cifar10"):
            for batches in (folder / "cifar-10-batches-bin", folder):
                if all((batches / name).is_file() for names in BATCHES.values() for name in names):
                    return batches, _read_batches
            if (folder / PACKED).is_file():
                return folder / PACKED, _read_packed
            if all((folder / "train" / name).is_dir() for name in CLASSES):
                return folder, _read_tree
            for path in sorted(folder.glob("cifar10*.tar*")):
                return path, _read_tar
    return None


# ---- the binary version


def _check(content):
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 != MD5:
        raise ValueError(f"not the file expected, its MD5 is {md5} and should be {MD5}")


def _read_batches(folder, progress):
    try:
        return {
            part: _batches([(folder / name, (folder / name).read_bytes()) for name in names])
            for part, names in BATCHES.items()
        }
    except OSError as why:
        raise DataError(f"{why.filename} cannot be read: {why.strerror}") from why


def _read_packed(path, progress):
    def unpack():
        wanted, contents = {name for names in BATCHES.values() for name in names}, {}
        for name, content in tqdm(_members(path), desc=path.name, unit="file", disable=not progress):
            if name.name in wanted:
                contents[name.name] = content
        if missing := wanted - contents.keys():
            raise DataError(
                f"{path} is damaged or not CIFAR-10's: it lacks {', '.join(sorted(missing))}; delete it to "
                "download it again"
            )
        return {
            part: _batches([(f"{name} in {path}", contents[name]) for name in names])
            for part, names in BATCHES.items()
        }

    return _kept(_stamp(path), unpack)


def _batches(files):
    """(images, labels) from [(name, content)] of binary batches."""
    record = 1 + int(np.prod(SHAPE))
    for name, content in files:
        if not content or len(content) % record:
            raise DataError(
                f"{name} is damaged: expected records of {record} bytes, got {len(content)} bytes; delete "
                "it to download it again"
            )
        if max(content[::record]) > 9:
            raise DataError(
                f"{name} is damaged: labels must be 0..9, got {max(content[::record])}; delete it to "
                "download it again"
            )
    records = np.frombuffer(b"".join(content for _, content in files), np.uint8).reshape(-1, record)
    return np.ascontiguousarray(records[:, 1:]).reshape(-1, *SHAPE), records[:, 0].astype(np.int64)


# ---- image files


def _read_tree(folder, progress):
    photos = {
        part: PhotoFolder(f"cifar10 {part}", *found[1:], PREPARATION)
        for part, found in zip(BATCHES, split(folder, progress))
    }

    def unpack():
        return {
            part: _decoded(
                part,
                [
                    (images.path(place), images.class_names[images.labels[place]])
                    for place in range(len(images))
                ],
                progress,
            )
            for part, images in photos.items()
        }

    return _kept(f"{folder.resolve()} {[images.fingerprint() for images in photos.values()]}", unpack)


def _read_tar(path, progress):
    """The images of a tar whose members are …/train/airplane/0000.jpg, in the order of their names."""

    def unpack():
        found = {part: [] for part in BATCHES}
        for name, content in tqdm(_members(path), desc=path.name, unit="file", disable=not progress):
            part = name.parts[-3] if len(name.parts) > 2 else None
            if part in found and not name.name.startswith("."):
                found[part].append((name, content))
        for part, files in found.items():
            if not files:
                raise DataError(
                    f"{path} holds no images of CIFAR-10: expected members such as {part}/airplane/0000.jpg"
                )
            files.sort(key=lambda file: str(file[0]))
        return {
            part: _decoded(
                part,
                [(_named(content, f"{name} in {path}"), name.parts[-2]) for name, content in files],
                progress,
            )
            for part, files in found.items()
        }

    return _kept(_stamp(path), unpack)


def _named(content, name):
    file = io.BytesIO(content)
    file.name = name
    return file


def _members(path):
    """(name, content) of each file in a tar, plain or packed. Raises DataError where it is damaged, or cut
    off: tarfile alone would not notice.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(6)
        packing = next((module for magic, module in PACKINGS.items() if start.startswith(magic)), None)
        with (import_module(packing).open if packing else open)(path, "rb") as file:
            whole = _Watched(file)
            with tarfile.open(fileobj=whole, mode="r|") as tar:
                for member in tar:
                    if member.isfile():
                        yield PurePosixPath(member.name), tar.extractfile(member).read()
            while whole.read(tarfile.RECORDSIZE):
                pass
        if whole.last.strip(b"\0"):
            raise ValueError("it ends too early")
    except Exception as why:  # each packing has errors of its own, and all of them mean the same here
        raise DataError(
            f"{path} is damaged or no tar file ({reason(why)}); delete it or take another copy"
        ) from why


class _Watched:
    """A file that is read, with the last bytes that came: a tar ends with 1,024 zeros."""

    def __init__(self, file):
        self.file, self.last = file, b""

    def read(self, size):
        content = self.file.read(size)
        self.last = (self.last + content)[-2 * tarfile.BLOCKSIZE :]
        return content


def _decoded(part, files, progress):
    """(images, labels) of image files with their class names. One thread: opening so small a file is Python's
    work, which threads cannot share.
    """
    images, labels = np.empty((len(files), *SHAPE), np.uint8), np.empty(len(files), np.int64)
    for place, (file, name) in enumerate(
        tqdm(files, desc=f"cifar10 {part}", unit="image", disable=not progress)
    ):
        if name not in CLASSES:
            raise DataError(f"cifar10 {part}: a folder is called {name!r}; expected {', '.join(CLASSES)}")
        images[place], labels[place] = prepare_image(file, PREPARATION), CLASSES.index(name)
    return images, labels


# ---- what was unpacked before


def _stamp(path):
    state = path.stat()
    return f"{path.resolve()} {state.st_size} {state.st_mtime_ns}"


def _kept(stamp, unpack):
    """unpack(), or what it gave for the same stamp the last time. A cache that cannot be written is done
    without.
    """
    folder = cache_folder() / "cifar10" / f"unpacked-{zlib.crc32(stamp.encode()):08x}"
    files = {(part, what): folder / f"{part}-{what}.npy" for part in BATCHES for what in ("images", "labels")}
    try:
        arrays = {place: np.load(file, allow_pickle=False) for place, file in files.items()}
        return {part: (arrays[part, "images"], arrays[part, "labels"]) for part in BATCHES}
    except (OSError, ValueError, EOFError):  # not there, or damaged
        parts = unpack()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for (part, what), file in files.items():
            write_atomically(file, lambda opened: np.save(opened, parts[part][what == "labels"]))
    except OSError:
        pass
    return parts
