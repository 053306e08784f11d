"""Photographs decoded once, into files of plain bytes that the operating system maps into memory.

    shards.json        shape, class names, the shards of each part with their checksums, the files that could
                       not be read
    train-00000.bin    uint8 images (C, H, W), one behind the other      test-00000.bin …
    train-labels.npy   int64 (N,)                                        test-labels.npy
    train-names.txt    the file that each image comes from, a line each  test-names.txt

Reading an image is a copy of its bytes. Files in use stay in memory as long as nothing else needs it: a data
set need not fit.
"""

import json
import math
import zlib
from functools import cached_property
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..annotation import PathLike
from ..errors import DataError, reason
from ..files import write_atomically
from . import image_folder
from .ahead import Ahead
from .dataset import Images
from .images import prepare_image, prepared_shape

INDEX = "shards.json"
FORMAT = "tinyconv shards, format 1"
SHARD_BYTES = 2**30  # of images in one file, at most


class Shards(Images):
    """The images of one part ("train" or "test") of a folder of shards."""

    def __init__(self, folder, part, name=None):
        folder, index = Path(folder), _read_index(folder)
        if not index["complete"]:
            raise DataError(
                f"{folder} is incomplete: preparing it was interrupted; run the same tinyconv data prepare "
                "again, which continues"
            )
        if part not in index["parts"]:
            raise DataError(f"{folder} has no part {part!r}: it has {', '.join(index['parts'])}")
        shape, shards = (
            tuple(index["shape"]),
            [shard for shard in index["parts"][part]["shards"] if shard["images"]],
        )
        self._fingerprint = zlib.crc32(json.dumps([shape, index["class_names"], shards]).encode())
        counts = [shard["images"] for shard in shards]
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._maps = [_map(folder / shard["file"], (count, *shape)) for shard, count in zip(shards, counts)]
        try:
            labels = np.load(folder / f"{part}-labels.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError) as why:
            raise DataError(
                f"{folder / part}-labels.npy cannot be read ({reason(why)}); prepare the shards again"
            ) from why
        if len(labels) != self._starts[-1]:
            raise DataError(
                f"{folder}: {part} has {self._starts[-1]} images and {len(labels)} labels; prepare it again"
            )
        self._names = folder / f"{part}-names.txt"
        super().__init__(
            name or f"{folder.name} {part}", labels, index["class_names"], index["preparation"], shape
        )

    @cached_property
    def names(self):
        """The files that the images come from, each as class/file."""
        return self._names.read_bytes().decode("utf-8", "surrogateescape").split("\n")

    def read_places(self, places):
        """Return the images at these places: uint8 (n, C, H, W)."""
        images = np.empty((len(places), *self.shape), np.uint8)
        which = np.searchsorted(self._starts, places, "right") - 1
        for shard in np.unique(which):
            mine = np.flatnonzero(which == shard)
            inside = places[mine] - self._starts[shard]
            if len(mine) == len(places):
                np.take(
                    self._maps[shard], inside, axis=0, out=images, mode="clip"
                )  # in range; "raise" would copy twice
            else:
                images[mine] = self._maps[shard][inside]
        return images

    def fingerprint(self):
        """From the checksums that were taken when the shards were written."""
        return f"{zlib.crc32(self.labels, self._fingerprint):08x}"


def load(folder: PathLike) -> tuple[Images, Images]:
    """(train, test) Shards; where no images were held out, test is train, and its name says so. Raises
    DataError for what is no such folder.
    """
    train = Shards(folder, "train")
    if "test" in _read_index(folder)["parts"]:
        return train, Shards(folder, "test")
    return train, Shards(folder, "train", f"{train.name} {image_folder.NOT_HELD_OUT}")


def _map(path, shape):
    try:
        if path.stat().st_size != math.prod(shape):
            raise DataError(
                f"{path} is damaged: expected {math.prod(shape)} bytes, got {path.stat().st_size}; prepare "
                "the shards again"
            )
        return np.memmap(path, np.uint8, "r", shape=shape)
    except OSError as why:
        raise DataError(f"{path} cannot be read: {why.strerror or why}; prepare the shards again") from why


def _read_index(folder):
    path = Path(folder) / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        if index["format"] != FORMAT:
            raise ValueError(f"expected {FORMAT!r}, found {index['format']!r}")
        return index
    except FileNotFoundError:
        raise DataError(
            f"{folder} is no folder of shards: it has no {INDEX}; make one with: tinyconv data prepare DIR "
            f"--out {folder}"
        ) from None
    except (ValueError, KeyError, TypeError, OSError) as why:
        raise DataError(
            f"{path} is damaged ({reason(why)}); prepare the shards again in another folder"
        ) from None


def prepare(
    folder: PathLike,
    out: PathLike,
    size: int = 256,
    *,
    progress: bool = True,
    workers: int | None = None,
    report=lambda line: None,
    shard_bytes=SHARD_BYTES,
):
    """Decode every image of a tree of class folders (see image_folder) into shards in the folder `out`, as
    "photo `size`" prepares them.

    Gives [(file, why)] of the images that could not be read: they are left out, and report(line) is called
    for each at once. Killed or interrupted, it goes on with the shard it was at when it is called again.
    Raises DataError where `out` holds shards of other images or another size, or no image can be read;
    OSError where the disk is full.
    """
    folder, out, preparation = Path(folder), Path(out), f"photo {size}"
    shape = prepared_shape(preparation)
    if folder.resolve() in (out.resolve(), *out.resolve().parents):
        raise DataError(
            f"{out} lies in the folder of the images, {folder}, and would count as a class of them; choose "
            "another --out"
        )
    train, test = image_folder.split(folder, progress)
    parts = (
        {"train": train} if test[0].endswith(image_folder.NOT_HELD_OUT) else {"train": train, "test": test}
    )
    photos = {part: image_folder.PhotoFolder(*found, preparation) for part, found in parts.items()}
    index = _begin(
        out,
        {
            "format": FORMAT,
            "preparation": preparation,
            "shape": list(shape),
            "class_names": list(train[2]),
            "source": [part.fingerprint() for part in photos.values()],
            "images_a_shard": max(1, shard_bytes // math.prod(shape)),
            "complete": False,
            "parts": {part: {"shards": [], "skipped": []} for part in photos},
        },
    )
    if not index["complete"]:
        with tqdm(
            total=sum(map(len, photos.values())),
            desc=f"shards of {folder.name}",
            unit="image",
            disable=not progress,
        ) as bar:
            for part in photos:
                _write_part(out, index, part, photos[part], workers, bar, report)
        index["complete"] = True
        _write_index(out, index)
    return [
        (skipped["file"], skipped["why"]) for part in index["parts"].values() for skipped in part["skipped"]
    ]


def _begin(out, fresh):
    """The index to go on from: that of an interrupted call, or a fresh one."""
    if not (out / INDEX).exists():
        out.mkdir(parents=True, exist_ok=True)
        return fresh
    index = _read_index(out)
    if any(index[key] != fresh[key] for key in ("preparation", "class_names", "source")):
        raise DataError(
            f"{out} holds shards of other images or of another size ({index['preparation']}, "
            f"{len(index['class_names'])} classes); "
            "choose another --out, or delete it"
        )
    for partial in out.glob(".*.partial"):  # what a killed process left half-written
        partial.unlink(missing_ok=True)
    return index


def _write_part(out, index, part, photos, workers, bar, report):
    """The shards of a part that are not there yet, its labels and names."""

    def decode(place):
        try:
            return prepare_image(photos.path(place), photos.preparation), None
        except DataError as why:
            return None, str(why)

    together, done = index["images_a_shard"], index["parts"][part]
    for number, first in enumerate(range(0, len(photos), together)):
        places = range(first, min(first + together, len(photos)))
        if number < len(done["shards"]):  # by an earlier call
            bar.update(len(places))
            continue
        shard, skipped = {"file": f"{part}-{number:05}.bin", "images": 0, "crc32": 0}, []

        def write(file):
            with Ahead(decode, places, workers=workers, ahead=64) as decoded:
                for place, (image, why) in zip(places, decoded):
                    if image is None:
                        skipped.append(
                            {
                                "file": f"{photos.class_names[photos.labels[place]]}/{photos.files[place]}",
                                "place": place,
                                "why": why,
                            }
                        )
                        report(f"skipped: {why}")
                    else:
                        file.write(image)
                        shard["images"] += 1
                        shard["crc32"] = zlib.crc32(image, shard["crc32"])
                    bar.update()

        write_atomically(out / shard["file"], write)
        done["shards"].append(shard)
        done["skipped"] += skipped
        _write_index(out, index)
    left = np.ones(len(photos), bool)
    left[[skipped["place"] for skipped in done["skipped"]]] = False
    if not left.any():
        raise DataError(
            f"none of the {len(photos)} images of {photos.folder} can be read; the first: "
            f"{done['skipped'][0]['why']}"
        )
    places = np.flatnonzero(left)
    names = "\n".join(
        f"{photos.class_names[photos.labels[place]]}/{photos.files[place]}".replace("\n", " ")
        for place in places
    )
    write_atomically(out / f"{part}-labels.npy", lambda file: np.save(file, photos.labels[places]))
    write_atomically(
        out / f"{part}-names.txt", lambda file: file.write(names.encode("utf-8", "surrogateescape"))
    )


def _write_index(out, index):
    write_atomically(out / INDEX, lambda file: file.write((json.dumps(index, indent=1) + "\n").encode()))
