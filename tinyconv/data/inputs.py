"""How bytes become what a network sees: crops, mirror images, colour noise and the mean, in one place.

Training sees each image a little differently every time (Krizhevsky et al. 2012, section 4.1): a random crop,
mirrored or not, and with colour noise along the principal components of RGB. Testing sees the central crop,
or ten: the four corners, the centre, and their mirror images.

What is random about an image follows from its key alone (splitmix64 of seed, epoch and the image's index:
`image_keys`). So any number of threads, and a run that was interrupted, give the same bits.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from tqdm import tqdm

from ..annotation import PathLike, Shape
from ..errors import CheckpointError, DataError
from ..files import DAMAGED, write_atomically
from ..kernels.views import add_pixels, draw_keys, draw_views, take_views
from .ahead import Ahead
from .download import cache_folder

FORMAT = "tinyconv inputs, format 1"
KEPT = 2**28  # bytes of images from which on what was measured is kept: less takes a second


class Inputs:
    """x = scale (b - mean + noise), b being the bytes of an image: float32 (n, C, H, W).

    image_shape  (C, H, W) of the images
    crop         side of the square that the network sees, or (height, width); None: the whole image; what
                 lies beyond it is `outside`
    scale, mean  numbers or, for the mean, an array that broadcasts to image_shape: each pixel has its mean
                 wherever the crop is
    mirror       whether every second image is reflected, left to right
    shift        the crop lies up to so many pixels beyond the image's edges
    outside      what the network sees there (default: 0, which is the mean)
    colour       standard deviation of the multipliers a of the principal components, drawn once an image: 0.1
                 in 2012
    components   (eigenvalues (C,), vectors (C, C), one a column) of the covariance of b/255: noise = 255
                 vectors (a * eigenvalues)
    crops        1: testing sees the central crop; 10: the four corners, the centre, and these mirrored, as
                 neighbours

    The paper does not say in which unit its eigenvalues are. Of bytes as they are, ImageNet's largest would
    be 14,000 and the noise would hide every image. With pixels from 0 to 1 it is 0.22, so colour 0.1 adds
    some 5 bytes to red, green and blue alike. Common implementations read it so too: their constants 0.2175,
    0.0188 and 0.0045 (55.46, 4.794 and 1.148 where pixels go to 255) are ImageNet's eigenvalues on that
    scale.

    Raises DataError for images of another shape or dtype than these.
    """

    def __init__(
        self,
        image_shape: Shape,
        *,
        crop=None,
        scale=1.0,
        mean=0.0,
        mirror: bool = False,
        colour: float = 0.0,
        shift: int = 0,
        components=None,
        crops: int = 1,
        outside: float = 0.0,
    ) -> None:
        self.image_shape = C, H, W = tuple(map(int, image_shape))
        h, w = (H, W) if crop is None else (crop, crop) if np.ndim(crop) == 0 else crop
        self.shape, self.crops = (C, int(h), int(w)), crops
        self.scale, self.mirror, self.colour, self.shift, self.outside = (
            float(scale),
            bool(mirror),
            float(colour),
            int(shift),
            float(outside),
        )
        self.mean = np.asarray(mean, np.float32)
        self.components = (
            None if components is None else tuple(np.asarray(part, np.float64) for part in components)
        )
        self._check()
        # In float64 and rounded once: LeNet's -0.1 comes out as such.
        self._offset = np.ascontiguousarray(
            np.broadcast_to(-self.scale * self.mean.astype(np.float64), self.image_shape), np.float32
        )
        self._centre = np.array(
            [int((H - h) / 2), int((W - w) / 2)]
        )  # towards 0: an odd pixel of padding goes below, or right
        self._corner = np.minimum(self._centre, 0) - self.shift
        self._room = np.maximum([H - h, W - w], 0) + 2 * self.shift
        self._axes = (
            np.zeros((C, C))
            if not self.colour
            else self.colour * self.scale * 255 * self.components[1] * self.components[0]
        )

    def _check(self):
        C, H, W = self.image_shape

        def refuse(what):
            raise ValueError(f"Inputs of images {C}x{H}x{W}: {what}")

        if min(self.image_shape) < 1 or min(self.shape) < 1:
            refuse(f"expected sides of 1 or more, got a crop of {self.shape[1]}x{self.shape[2]}")
        if self.crops not in (1, 10):
            refuse(f"crops: expected 1 or 10, got {self.crops!r}")
        if self.crops == 10 and (self.shape[1] > H or self.shape[2] > W):
            refuse(
                f"ten crops of {self.shape[1]}x{self.shape[2]} do not fit into them; use larger images or "
                "crops=1"
            )
        if self.shift < 0 or self.colour < 0:
            refuse(f"shift and colour: expected 0 or more, got {self.shift} and {self.colour}")
        try:
            np.broadcast_to(self.mean, self.image_shape)
        except ValueError:
            refuse(f"expected a mean that broadcasts to them, got one of shape {self.mean.shape}")
        if self.components is not None and [part.shape for part in self.components] != [(C,), (C, C)]:
            refuse(
                f"components: expected eigenvalues {(C,)} and vectors {(C, C)}, got "
                f"{' and '.join(str(part.shape) for part in self.components)}"
            )
        if self.colour and self.components is None:
            refuse("colour noise needs their principal components: Inputs.measured finds them")

    @classmethod
    def digits(cls, image_shape: Shape, network_shape: Shape) -> Inputs:
        """LeNet-5's: 1.275 b/255 - 0.1, so that 0 becomes -0.1 and 255 becomes 1.175; padded evenly with
        background to the network's size.

        They make the mean of a digit's pixels roughly 0, and their variance roughly 1 (LeCun et al. 1998,
        section II.B).
        Raises DataError where the network cannot see such images.
        """
        (C, H, W), (channels, h, w) = image_shape, network_shape
        if channels != C:
            raise DataError(
                f"images of {C} channels do not suit a network that sees {channels}; use other images or "
                "another model"
            )
        if h < H or w < W:
            raise DataError(
                f"images of {H}x{W} do not fit into {h}x{w}; use smaller images or a model with a larger "
                "input"
            )
        return cls(image_shape, crop=(h, w), scale=1.275 / 255, mean=0.1 * 255 / 1.275, outside=-0.1)

    @classmethod
    def measured(cls, images, *, progress: bool = True, workers: int | None = None, **options: Any) -> Inputs:
        """Inputs(images.shape, mean=…, components=…, **options), measured over all `images`: the mean of each
        pixel, and the principal components of the colour of all pixels. The cache folder keeps what takes
        more than a moment to measure."""
        if math.prod((len(images), *images.shape)) < KEPT:
            return cls(images.shape, **_measure(images, progress, workers), **options)
        path = cache_folder() / "measured" / f"{images.fingerprint()}-{'x'.join(map(str, images.shape))}.npz"
        try:
            kept = cls.load(path)
            found = {"mean": kept.mean, "components": kept.components}
        except (CheckpointError, OSError):  # not there, or damaged
            found = _measure(images, progress, workers)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                cls(images.shape, **found).save(path)
            except OSError:  # a cache that cannot be written is done without
                pass
        return cls(images.shape, **found, **options)

    @property
    def random(self) -> bool:
        """Whether training draws anything at random, so that it needs keys."""
        return bool(self.mirror or self.colour or self._room.any())

    def training(self, images, key=None, out: np.ndarray | None = None) -> np.ndarray:
        """What the network sees of images (n, C, H, W) in training: float32 (n, *shape), in `out` where
        given.

        key  uint64 (n,), one an image: the same key gives the same crop, reflection and noise. See
             `image_keys`.
        """
        n = len(images)
        return self._take(images, np.arange(n), *self.views(n, key), out)

    def views(self, n: int, key=None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what training sees of n images, as (corners, mirrored, noise) of take_views in
        kernels/views.py: the central crops, or those drawn from the keys.
        """
        corners, mirrored, noise = self.centred(n)
        if not self.random:
            return corners, mirrored, noise
        if key is None:
            raise ValueError(
                "Inputs draw crops, reflections or noise at random: expected key, uint64 (n,), one an image"
            )
        key = np.ascontiguousarray(key, np.uint64)
        if key.shape != (n,):
            raise ValueError(f"expected key of shape {(n,)}, one an image, got {key.shape}")
        draw_views(key, self._corner, self._room, self.mirror, self._axes, corners, mirrored, noise)
        return corners, mirrored, noise

    def centred(self, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the central crops of n images, likewise."""
        corners = np.repeat(self._centre[None].astype(np.int64), n, axis=0)
        return corners, np.zeros(n, np.uint8), np.zeros((n, len(self._axes)))

    @property
    def arithmetic(self) -> tuple[np.float32, np.ndarray, np.float32]:
        """(scale, offset, outside) of take_views in kernels/views.py."""
        return np.float32(self.scale), self._offset, np.float32(self.outside)

    def testing(self, images, out: np.ndarray | None = None) -> np.ndarray:
        """What the network sees of images (n, C, H, W) in testing: float32 (n crops, *shape); the crops of
        one image are neighbours.
        """
        if self.crops == 1:
            return self._views(images, self._centre[None], [0], out)
        bottom, right = self.image_shape[1] - self.shape[1], self.image_shape[2] - self.shape[2]
        return self._views(
            images,
            np.array([(0, 0), (0, right), (bottom, 0), (bottom, right), self._centre] * 2),
            [0] * 5 + [1] * 5,
            out,
        )

    def _views(self, images, corners, mirrored, out):
        """The same views of every image, without noise."""
        n, views = len(images), len(corners)
        return self._take(
            images,
            np.repeat(np.arange(n), views),
            np.tile(corners, (n, 1)),
            np.tile(np.array(mirrored, np.uint8), n),
            np.zeros((n * views, len(self._axes))),
            out,
        )

    def _take(self, images, chosen, corners, mirrored, noise, out):
        images = np.ascontiguousarray(images)
        if images.dtype != np.uint8 or images.shape[1:] != self.image_shape:
            raise DataError(
                f"expected images uint8 (n, {', '.join(map(str, self.image_shape))}), got {images.dtype} "
                f"{images.shape}"
            )
        x = np.empty((len(chosen), *self.shape), np.float32) if out is None else out
        if x.shape != (len(chosen), *self.shape) or x.dtype != np.float32:
            raise ValueError(f"expected out float32 {(len(chosen), *self.shape)}, got {x.dtype} {x.shape}")
        take_views(
            images,
            chosen,
            corners,
            mirrored,
            noise.astype(np.float32),
            *self.arithmetic,
            x,
        )
        return x

    def save(self, path: PathLike) -> None:
        """Write all of it to `path`, a .npz file. Raises OSError."""
        options = {
            "format": FORMAT,
            "image_shape": self.image_shape,
            "crop": self.shape[1:],
            "scale": self.scale,
            "mirror": self.mirror,
            "colour": self.colour,
            "shift": self.shift,
            "crops": self.crops,
            "outside": self.outside,
        }
        eigenvalues, vectors = self.components or (np.zeros(0), np.zeros(0))
        write_atomically(
            path,
            lambda file: np.savez(
                file,
                options=np.array(json.dumps(options)),
                mean=self.mean,
                eigenvalues=eigenvalues,
                vectors=vectors,
            ),
        )

    @classmethod
    def load(cls, path: PathLike) -> Inputs:
        """What `save` wrote. Raises CheckpointError for any other file."""
        try:
            with np.load(path, allow_pickle=False) as file:
                options = json.loads(str(file["options"]))
                components = (file["eigenvalues"], file["vectors"]) if len(file["eigenvalues"]) else None
                if options.pop("format") != FORMAT:
                    raise ValueError(f"expected {FORMAT!r}")
                return cls(options.pop("image_shape"), mean=file["mean"], components=components, **options)
        except FileNotFoundError:
            raise CheckpointError(
                f"{path}: no such file; it belongs to a training run and is written when that starts"
            ) from None
        except PermissionError:
            raise
        except DAMAGED as error:
            raise CheckpointError(
                f"{path}: damaged, or not written by Inputs.save ({error}); train again or take another copy"
            ) from None

    def __repr__(self):
        parts = [
            f"{'x'.join(map(str, self.image_shape))} → {'x'.join(map(str, self.shape))}",
            *(["random crops"] if self._room.any() else []),
            *(["reflections"] if self.mirror else []),
            *([f"colour noise {self.colour:g}"] if self.colour else []),
            *(["ten crops in testing"] if self.crops == 10 else []),
        ]
        return f"Inputs({', '.join(parts)})"


def image_keys(seed: int, epoch: int, indices: np.ndarray) -> np.ndarray:
    """A key for each of the images `indices` (n,) of a data set in epoch `epoch` of a run with `seed`: uint64
    (n,), for Inputs.training.
    """
    keys = np.empty(len(indices), np.uint64)
    draw_keys(seed, epoch, np.ascontiguousarray(indices, np.int64), keys)
    return keys


def _measure(images, progress, workers):
    """The mean of each pixel, and the principal components of the colour of all pixels."""
    C, H, W = images.shape
    sums, products = np.zeros((C, H, W), np.int64), np.zeros((C, C), np.int64)
    together = max(1, 2**22 // (C * H * W))  # images, 4 MiB of them

    def measure(start):
        mine = np.zeros_like(sums), np.zeros_like(products)
        add_pixels(images.read(slice(start, start + together)), *mine)
        return mine

    with (
        tqdm(
            total=len(images),
            desc=f"mean of {images.name}",
            unit="image",
            disable=not progress or len(images) < 500,
        ) as bar,
        Ahead(measure, range(0, len(images), together), workers=workers) as parts,
    ):
        for more in parts:  # whole numbers: the order of adding makes no difference
            sums += more[0]
            products += more[1]
            bar.update(min(together, len(images) - bar.n))
    colour = sums.sum((1, 2)) / (len(images) * H * W)
    covariance = products / (len(images) * H * W) - np.outer(colour, colour)
    values, vectors = np.linalg.eigh(covariance / 255**2)  # of which it reads the lower triangle
    vectors = vectors[:, ::-1] * np.where(
        vectors.sum(0)[::-1] < 0, -1, 1
    )  # the largest first; either sign is right, one is fixed
    return {"mean": (sums / len(images)).astype(np.float32), "components": (values[::-1].clip(0), vectors)}
