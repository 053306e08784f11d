"""Images with labels: what all sets of them can do (Images), and those in memory (Dataset)."""

import zlib
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..kernels._batches import scale_bytes
from .images import check_preparation

# LeCun et al. 1998, section II.B: background -0.1 and foreground 1.175 make the mean of a digit's pixels roughly 0 and
# their variance roughly 1.
_SCALE, _SHIFT = np.float32(1.275 / 255), np.float32(-0.1)


def to_input(images):
    """Map bytes to what a network sees: 0 → -0.1, 255 → 1.175, linear between. uint8 of any shape → float32, same shape.

    Raises DataError for any other dtype. Source: LeCun et al. 1998, section II.B.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise DataError(f"images must be uint8 (bytes 0..255), got {images.dtype}; scale them to 0..255 and convert")
    x = np.empty((1, images.size), np.float32)
    scale_bytes(np.ascontiguousarray(images).reshape(1, -1), np.zeros(1, np.int64), _SCALE, _SHIFT, x)
    return x.reshape(images.shape)


class Images:
    """Labelled images somewhere: in memory (Dataset), in mapped files (Shards), or decoded when they are read (PhotoFolder).

    name         what messages call them, such as "mnist train"
    labels       int64 (N,), each the index of a class name
    class_names  one name a class
    preparation  how a stray image file is made to look like these: "digit", "fit" or "photo N" (see images.prepare_image)
    shape        (C, H, W) of one image

    A kind of images defines read_places and fingerprint.
    """

    def __init__(self, name, labels, class_names, preparation, shape):
        self.name, self.class_names, self.preparation, self.shape = name, tuple(class_names), preparation, tuple(shape)
        self.labels = np.asarray(labels)
        self._check(len(self.labels))

    def _check(self, images):
        """Raises DataError where labels, classes or preparation do not fit so many images."""
        labels = self.labels
        if labels.dtype != np.int64 or labels.shape != (images,):
            raise DataError(f"{self.name}: labels must be int64 {(images,)}, one for each image, got {labels.dtype} {labels.shape}")
        if images == 0 or 0 in self.shape:
            raise DataError(f"{self.name}: holds no images, its shape is {(images, *self.shape)}")
        check_preparation(self.preparation, self.name)
        wrong = (labels < 0) | (labels >= len(self.class_names))
        if wrong.any():
            first = wrong.argmax()
            raise DataError(f"{self.name}: labels must be 0..{len(self.class_names) - 1}, "
                            f"label {first} is {labels[first]} ({wrong.sum()} of {len(labels)} are out of range)")

    def __len__(self):
        return len(self.labels)

    def read(self, indices=slice(None)):
        """The images at `indices` (a slice, integers (n,), or a mask (N,)): uint8 (n, C, H, W), the caller's own. Safe in any thread.

        Raises DataError, with its name, for a file that cannot be read.
        """
        return self.read_places(self._places(indices))

    def read_places(self, places):
        """read for int64 (n,) that are known to be in range."""
        raise NotImplementedError(f"{type(self).__name__} must define read_places")

    def fingerprint(self):
        """Eight hex digits that change with the images: a resumed run notices by them that it got other data."""
        raise NotImplementedError(f"{type(self).__name__} must define fingerprint")

    def subset(self, indices, name):
        """The images and labels at `indices` (a slice, integers (n,), or a mask (N,)) as Images of their own."""
        return Part(self, self._places(indices), name)

    def _places(self, indices):
        """`indices` as int64 (n,), all of them 0..N-1."""
        if isinstance(indices, slice) or np.asarray(indices).dtype == bool:
            return np.arange(len(self))[indices]
        places = np.asarray(indices, np.int64)
        if places.size and not -len(self) <= places.min() <= places.max() < len(self):
            raise IndexError(f"{self.name}: expected indices of {len(self)} images, got {places.min()} to {places.max()}")
        return np.where(places < 0, places + len(self), places)

    def __repr__(self):
        return f"{type(self).__name__}({self.name!r}, {len(self)} images of {'x'.join(map(str, self.shape))}, {len(self.class_names)} classes)"


class Part(Images):
    """Some of the images of others, which stay where they are."""

    def __init__(self, whole, places, name):
        self.whole, self.places = whole, places
        super().__init__(name, whole.labels[places], whole.class_names, whole.preparation, whole.shape)

    def read_places(self, places):
        return self.whole.read_places(self.places[places])

    def fingerprint(self):
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
            raise DataError(f"{self.name}: images must be uint8 (N, C, H, W), got {images.dtype} {images.shape}; "
                            "scale them to 0..255, convert and reshape")
        self._check(len(images))

    @property
    def shape(self):
        return np.shape(self.images)[1:]

    def read_places(self, places):
        return self.images[places]

    def padded_to(self, height, width):
        """The same images (N, C, height, width) with background 0 added evenly around; an odd pixel goes below or right.

        Raises DataError if the images are larger than that.
        """
        down, across = height - self.images.shape[2], width - self.images.shape[3]
        if down == 0 and across == 0:
            return self
        if down < 0 or across < 0:
            raise DataError(f"{self.name}: images of {self.images.shape[2]}x{self.images.shape[3]} do not fit into "
                            f"{height}x{width}; use smaller images or a model with a larger input")
        around = (0, 0), (0, 0), (down // 2, down - down // 2), (across // 2, across - across // 2)
        return Dataset(self.name, np.pad(self.images, around), self.labels, self.class_names, self.preparation)

    def subset(self, indices, name):
        return Dataset(name, self.images[indices], self.labels[indices], self.class_names, self.preparation)

    def inputs(self, indices=slice(None)):
        """What a network sees of the images at `indices` (a slice or integers): float32 (n, C, H, W) in -0.1..1.175."""
        images = np.ascontiguousarray(self.images).reshape(len(self), -1)
        chosen = self._places(indices)
        x = np.empty((len(chosen), images.shape[1]), np.float32)
        scale_bytes(images, chosen, _SCALE, _SHIFT, x)
        return x.reshape(-1, *self.images.shape[1:])

    def fingerprint(self):
        """Eight hex digits that change with any byte: a resumed run notices by them that it got other data."""
        images, labels = np.ascontiguousarray(self.images), np.ascontiguousarray(self.labels)
        return f"{zlib.crc32(labels, zlib.crc32(images)):08x}"
