"""A labelled set of images in memory, and the one formula that turns its bytes into a network's input."""

import zlib
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..kernels._batches import scale_bytes

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


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with their labels. Raises DataError when the two do not fit together.

    name         what messages call it, such as "mnist train"
    images       uint8 (N, C, H, W), 0 is background
    labels       int64 (N,), each the index of a class name
    class_names  one name a class
    preparation  how a stray image file is made to look like these: "digit" or "fit" (see images.prepare_image)
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    preparation: str

    def __post_init__(self):
        images, labels = np.asarray(self.images), np.asarray(self.labels)
        if images.dtype != np.uint8 or images.ndim != 4:
            raise DataError(f"{self.name}: images must be uint8 (N, C, H, W), got {images.dtype} {images.shape}; "
                            "scale them to 0..255, convert and reshape")
        if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
            raise DataError(f"{self.name}: labels must be int64 {images.shape[:1]}, one for each image, "
                            f"got {labels.dtype} {labels.shape}")
        if images.size == 0:
            raise DataError(f"{self.name}: holds no images, its shape is {images.shape}")
        if self.preparation not in ("digit", "fit"):
            raise DataError(f"{self.name}: preparation must be 'digit' or 'fit', got {self.preparation!r}")
        wrong = (labels < 0) | (labels >= len(self.class_names))
        if wrong.any():
            first = wrong.argmax()
            raise DataError(f"{self.name}: labels must be 0..{len(self.class_names) - 1}, "
                            f"label {first} is {labels[first]} ({wrong.sum()} of {len(labels)} are out of range)")

    def __len__(self):
        return len(self.images)

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
        """The images and labels at `indices` (a slice, integers (n,), or a mask (N,)) as a Dataset of its own."""
        return Dataset(name, self.images[indices], self.labels[indices], self.class_names, self.preparation)

    def inputs(self, indices=slice(None)):
        """What a network sees of the images at `indices` (a slice or integers): float32 (n, C, H, W) in -0.1..1.175."""
        images = np.ascontiguousarray(self.images).reshape(len(self), -1)
        masked = not isinstance(indices, slice) and np.asarray(indices).dtype == bool
        chosen = np.arange(len(self))[indices] if isinstance(indices, slice) or masked else np.asarray(indices, np.int64)
        if chosen.size and not -len(self) <= chosen.min() <= chosen.max() < len(self):
            raise IndexError(f"{self.name}: expected indices of {len(self)} images, got {chosen.min()} to {chosen.max()}")
        x = np.empty((len(chosen), images.shape[1]), np.float32)
        scale_bytes(images, chosen, _SCALE, _SHIFT, x)
        return x.reshape(-1, *self.images.shape[1:])

    def fingerprint(self):
        """Eight hex digits that change with any byte: a resumed run notices by them that it got other data."""
        images, labels = np.ascontiguousarray(self.images), np.ascontiguousarray(self.labels)
        return f"{zlib.crc32(labels, zlib.crc32(images)):08x}"
