"""Make any picture file look like the images that a network was trained on."""

import numpy as np
from PIL import Image, ImageOps

from ..errors import DataError


def prepare_image(path, preparation, size=(28, 28)):
    """Read a picture file and return it as uint8 (H, W), background 0.

    preparation "digit": as MNIST was made (LeCun et al. 1998, section III.A): light on dark, its ink scaled to fit a box of
    20x20 in 28x28 (and in proportion for another size), its centre of mass in the middle. "fit": grey, scaled to fit, centred.
    Raises DataError for a file that is no image, or a digit image without ink.
    """
    grey = _read_grey(path)
    if preparation == "fit":
        return _fit(grey, size)
    if preparation == "digit":
        return _digit(grey, size, path)
    raise DataError(f"preparation must be 'digit' or 'fit', got {preparation!r}")


def _read_grey(path):
    try:
        with Image.open(path) as image:
            image = ImageOps.exif_transpose(image)
            if image.mode == "F":
                raise ValueError("pixels are floating-point numbers, whose range is anyone's guess (save it with 8 or 16 bits)")
            if image.mode.startswith("I"):  # 16 bits a pixel: scaled here, as Pillow would clip all above 255 to white
                return Image.fromarray((np.asarray(image) // 257).clip(0, 255).astype(np.uint8))
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return image.convert("L")
    except Exception as why:  # Pillow's decoders raise nearly anything for a damaged file, and all of it means the same here
        raise DataError(f"{path} cannot be read as an image: {why}; give a picture file such as PNG or JPEG") from why


def _fit(grey, size):
    height, width = size
    scale = min(width / grey.width, height / grey.height)
    small = grey.resize((max(1, round(grey.width * scale)), max(1, round(grey.height * scale))), Image.Resampling.BICUBIC)
    out = Image.new("L", (width, height))
    out.paste(small, ((width - small.width) // 2, (height - small.height) // 2))
    return np.asarray(out)


def _digit(grey, size, path):
    ink, floor = _ink(np.asarray(grey, dtype=np.float32), path)
    ink = ink[_extent(ink.max(1) > floor), _extent(ink.max(0) > floor)]

    # Into the box by averaging areas, which changes nothing at scale 1; then full contrast, since thin lines fade when scaled.
    scale = round(min(size) * 20 / 28) / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    ink = np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BOX))
    ink = ink * (255 / ink.max())

    # The pixel nearest to the centre of mass goes to pixel (14, 14) of 28x28, which is where MNIST has it.
    out = np.zeros(size, np.uint8)
    top, left = (int(np.clip(round(whole // 2 - centre), 0, whole - side))
                 for whole, side, centre in zip(size, ink.shape, _centre_of_mass(ink)))
    out[top:top + height, left:left + width] = ink.round()
    return out


def _ink(grey, path):
    """(ink, floor): grey values above the background, noise removed; and the value from which on they count as a stroke."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    if np.median(border) > (grey.min() + grey.max()) / 2:  # dark on light
        grey, border = 255 - grey, 255 - border
    background = np.median(border)
    noise = np.median(np.abs(border - background))  # robust: a stroke that runs over the border does not count as noise
    ink = (grey - background).clip(0)
    peak = ink.max()
    if peak < max(32, 6 * noise):
        raise DataError(f"{path} shows no digit: nothing stands out from its background (by {peak:.0f} of 255, "
                        f"with noise of {noise:.0f}); give a picture with more contrast")
    # Paper's grain, or its shadows, stay below 9 times this median deviation (6 sigma); never remove the stroke itself.
    grain = min(9 * noise, peak / 2)
    # A fifth of the peak keeps JPEG's ripples out of the box, and of 60,000 MNIST digits still finds nearly every edge.
    return np.where(ink > grain, ink, 0), max(grain, peak / 5)


def _extent(has_ink):
    where = has_ink.nonzero()[0]
    return slice(where[0], where[-1] + 1)


def _centre_of_mass(ink):
    return [ink.sum(1 - axis) @ np.arange(ink.shape[axis]) / ink.sum() for axis in (0, 1)]
