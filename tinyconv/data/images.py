"""Make any picture file look like the images that a network was trained on."""

import math
import re

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..annotation import PathLike, Shape
from ..errors import DataError

SIZE = (28, 28)  # of grey images: MNIST's


def prepare_image(path: PathLike, preparation: str) -> np.ndarray:
    """Read a picture (a file's name, or an open binary file) as uint8 (C, H, W).

    preparation "digit": grey 28x28, background 0, as MNIST was made (LeCun et al. 1998, section III.A): light
    on dark, its ink scaled to fit a box of 20x20, its centre of mass in the middle. "fit": grey 28x28, scaled
    to fit, centred, background 0. "photo N": RGB, the shorter side scaled to N, of which the central NxN
    (Krizhevsky et al. 2012, section 2, with N = 256).
    Raises DataError for a file that is no image, a digit image without ink, and a preparation that does not
    exist.
    """
    check_preparation(preparation)
    if preparation.startswith("photo "):
        side = photo_side(preparation)
        return _open(path, lambda image: _photo(image, side))
    grey = _open(path, _grey)
    return (_fit(grey, SIZE) if preparation == "fit" else _digit(grey, SIZE, path))[None]


def photo_side(preparation: str) -> int | None:
    """N of "photo N"; None for another preparation."""
    return int(preparation[6:]) if preparation.startswith("photo ") else None


def prepared_shape(preparation: str) -> Shape:
    """(C, H, W) of what prepare_image gives."""
    side = photo_side(preparation)
    return (3, side, side) if side else (1, *SIZE)


def check_preparation(preparation: str, name=None):
    """Raises DataError for a preparation that prepare_image does not know."""
    if preparation not in ("digit", "fit") and not re.fullmatch("photo [1-9][0-9]{0,3}", str(preparation)):
        raise DataError(
            f"{name + ': ' if name else ''}preparation must be 'digit', 'fit', or 'photo N' with N pixels "
            "up to 9999, such as "
            f"'photo 256'; got {preparation!r}"
        )


def _open(path, work):
    """work(image) for the Pillow image in a file."""
    try:
        with Image.open(path) as image:
            return work(image)
    except (
        Exception
    ) as why:  # Pillow's decoders raise nearly anything for a damaged file, and all of it means the same here
        name = getattr(path, "name", "the picture") if hasattr(path, "read") else path
        raise DataError(f"{name} cannot be read as an image: {_say(why)}") from why


def _say(why):
    """What is wrong with the file, and what to do."""
    if isinstance(why, UnidentifiedImageError):
        return "it is in no format that Pillow knows; give a picture file such as PNG or JPEG"
    if isinstance(
        why, OSError
    ):  # the system's, such as "No such file or directory"; or Pillow's of a truncated file
        return why.strerror or f"{why}; take another copy of it"
    return f"{why}; save it anew as PNG or JPEG"


def _photo(image, N):
    scale = N / min(image.size)
    image.draft(
        None, tuple(math.ceil(side * scale) for side in image.size)
    )  # a JPEG is decoded to the next larger eighth only
    ImageOps.exif_transpose(image, in_place=True)
    image = _without_depth(image).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    # Cut first, then scaled: the same picture as the other way round, and fewer pixels to compute.
    image = image.resize((N, N), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def _grey(image):
    return _without_depth(ImageOps.exif_transpose(image)).convert("L")


def _without_depth(image):
    """The image with 8 bits a channel, and white where it is transparent."""
    if image.mode == "F":
        raise ValueError(
            "pixels are floating-point numbers, whose range is anyone's guess (save it with 8 or 16 bits)"
        )
    if image.mode.startswith(
        "I"
    ):  # 16 bits a pixel: scaled here, as Pillow would clip all above 255 to white
        return Image.fromarray((np.asarray(image) // 257).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image


def _fit(grey, size):
    height, width = size
    scale = min(width / grey.width, height / grey.height)
    small = grey.resize(
        (max(1, round(grey.width * scale)), max(1, round(grey.height * scale))), Image.Resampling.BICUBIC
    )
    out = Image.new("L", (width, height))
    out.paste(small, ((width - small.width) // 2, (height - small.height) // 2))
    return np.asarray(out)


def _digit(grey, size, path):
    ink, floor = _ink(np.asarray(grey, dtype=np.float32), path)
    ink = ink[_extent(ink.max(1) > floor), _extent(ink.max(0) > floor)]

    # Into the box by averaging areas, which changes nothing at scale 1; then full contrast, since thin lines
    # fade when scaled.
    scale = round(min(size) * 20 / 28) / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    ink = np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BOX))
    ink = ink * (255 / ink.max())

    # The pixel nearest to the centre of mass goes to pixel (14, 14) of 28x28, which is where MNIST has it.
    out = np.zeros(size, np.uint8)
    top, left = (
        int(np.clip(round(whole // 2 - centre), 0, whole - side))
        for whole, side, centre in zip(size, ink.shape, _centre_of_mass(ink))
    )
    out[top : top + height, left : left + width] = ink.round()
    return out


def _ink(grey, path):
    """(ink, floor): grey values above the background, noise removed; and the value from which on they count
    as a stroke.
    """
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    if np.median(border) > (grey.min() + grey.max()) / 2:  # dark on light
        grey, border = 255 - grey, 255 - border
    background = np.median(border)
    noise = np.median(
        np.abs(border - background)
    )  # robust: a stroke that runs over the border does not count as noise
    ink = (grey - background).clip(0)
    peak = ink.max()
    if peak < max(32, 6 * noise):
        raise DataError(
            f"{path} shows no digit: nothing stands out from its background (by {peak:.0f} of 255, "
            f"with noise of {noise:.0f}); give a picture with more contrast"
        )
    # Paper's grain, or its shadows, stay below 9 times this median deviation (6 sigma); never remove the
    # stroke itself.
    grain = min(9 * noise, peak / 2)
    # A fifth of the peak keeps JPEG's ripples out of the box, and of 60,000 MNIST digits still finds nearly
    # every edge.
    return np.where(ink > grain, ink, 0), max(grain, peak / 5)


def _extent(has_ink):
    where = has_ink.nonzero()[0]
    return slice(where[0], where[-1] + 1)


def _centre_of_mass(ink):
    return [ink.sum(1 - axis) @ np.arange(ink.shape[axis]) / ink.sum() for axis in (0, 1)]
