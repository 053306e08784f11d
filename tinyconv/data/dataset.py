"""Images with labels: what all sets of them can do (Images), and those in memory (Dataset)."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..annotation import Shape
from ..errors import DataError
from .images import check_preparation


class Images:
    """Labelled images somewhere: in memory (Dataset), in mapped files (Shards), or decoded when they are read
    (PhotoFolder).

    name         what messages call them, such as "mnist train"
    labels       int64 (N,), each the index of a class name
    class_names  one name a class
    preparation  how a stray image file is made to look like these: "digit", "fit" or "photo N" (see
                 images.prepare_image)
    shape        (C, H, W) of one image

    A kind of images defines read_places and fingerprint.
    """

    def __init__(
        self, name: str, labels: np.ndarray, class_names: Sequence[str], preparation: str, shape: Shape
    ) -> None:
        self.name, self.class_names, self.preparation, self.shape = (
            name,
            tuple(class_names),
            preparation,
            tuple(shape),
        )
        self.labels = np.asarray(labels)
        self._check(len(self.labels))

    def _check(self, images):
        """Raises DataError where labels, classes or preparation do not fit so many images."""
        labels = self.labels
        if labels.dtype != np.int64 or labels.shape != (images,):
            raise DataError(
                f"{self.name}: labels must be int64 {(images,)}, one for each image, got {labels.dtype} "
                f"{labels.shape}"
            )
        if images == 0 or 0 in self.shape:
            raise DataError(f"{self.name}: holds no images, its shape is {(images, *self.shape)}")
        check_preparation(self.preparation, self.name)
        wrong = (labels < 0) | (labels >= len(self.class_names))
        if wrong.any():
            first = wrong.argmax()
            raise DataError(
                f"{self.name}: labels must be 0..{len(self.class_names) - 1}, "
                f"label {first} is {labels[first]} ({wrong.sum()} of {len(labels)} are out of range)"
            )

    def __len__(self):
        return len(self.labels)

    def read(self, indices: Any = slice(None)) -> np.ndarray:
        """The images at `indices` (a slice, integers (n,), or a mask (N,)): uint8 (n, C, H, W), the caller's
        own. Safe in any thread.

        Raises DataError, with its name, for a file that cannot be read.
        """
        return self.read_places(self._places(indices))

    def read_places(self, places: np.ndarray) -> np.ndarray:
        """read for int64 (n,) that are known to be in range."""
        raise NotImplementedError(f"{type(self).__name__} must define read_places")

    def fingerprint(self) -> str:
        """Eight hex digits that change with the images: a resumed run notices by them that it got
        other data.
        """
        raise NotImplementedError(f"{type(self).__name__} must define fingerprint")

    def subset(self, indices: Any, name: str) -> Images:
        """The images and labels at `indices` (a slice, integers (n,), or a mask (N,)) as Images of
        their own.
        """
        return Part(self, self._places(indices), name)

    def _places(self, indices):
        """`indices` as int64 (n,), all of them 0..N-1."""
        if isinstance(indices, slice) or np.asarray(indices).dtype == bool:
            return np.arange(len(self))[indices]
        places = np.asarray(indices, np.int64)
        if places.size and not -len(self) <= places.min() <= places.max() < len(self):
            raise IndexError(
                f"{self.name}: expected indices of {len(self)} images, got {places.min()} to {places.max()}"
            )
        return np.where(places < 0, places + len(self), places)

    def __repr__(self):
        return (
            f"{type(self).__name__}({self.name!r}, {len(self)} images of "
            f"{'x'.join(map(str, self.shape))}, {len(self.class_names)} classes)"
        )


class Part(Images):
    """Some of the images of others, which stay where they are."""

    def __init__(self, whole, places, name):
        self.whole, self.places = whole, places
        super().__init__(name, whole.labels[places], whole.class_names, whole.preparation, whole.shape)

    def read_places(self, places):
        """Return the images at these places: uint8 (n, C, H, W)."""
        return self.whole.read_places(self.places[places])

    def fingerprint(self):
        """Return eight hex digits that change with the images and with the choice of them."""
        return f"{zlib.crc32(self.whole.fingerprint().encode(), zlib.crc32(self.places)):08x}"


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(Images):
    """Images in memory. Raises DataError where images and labels do not fit together.

    images       uint8 (N, C, H, W), 0 is background; the rest as in Images
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    preparation: str

    def __post_init__(self):
        images = np.asarray(self.images)
        if images.dtype != np.uint8 or images.ndim != 4:
            raise DataError(
                f"{self.name}: images must be uint8 (N, C, H, W), got {images.dtype} {images.shape}; "
                "scale them to 0..255, convert and reshape"
            )
        self._check(len(images))

    @property
    def shape(self) -> Shape:
        """(C, H, W) of an image."""
        return np.shape(self.images)[1:]

    def read_places(self, places: np.ndarray) -> np.ndarray:
        """Return the images at these places: uint8 (n, C, H, W)."""
        return self.images[places]

    def subset(self, indices: Any, name: str) -> Dataset:
        """Return the images and labels at `indices` as a Dataset of their own."""
        return Dataset(name, self.images[indices], self.labels[indices], self.class_names, self.preparation)

    def fingerprint(self) -> str:
        """Eight hex digits that change with any byte: a resumed run notices by them that it got
        other data.
        """
        images, labels = np.ascontiguousarray(self.images), np.ascontiguousarray(self.labels)
        return f"{zlib.crc32(labels, zlib.crc32(images)):08x}"
