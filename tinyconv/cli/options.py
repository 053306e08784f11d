"""Parts of the command line that several commands share."""

import argparse

from ..device import check_device
from ..errors import TinyconvError


def parser(commands, name, description, example, more=""):
    """A sub-parser whose help ends with an example."""
    return commands.add_parser(
        name,
        help=description,
        description=description[0].upper() + description[1:] + "." + (f"\n{more}" if more else ""),
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def chosen_device(args, before=("cpu", "float32")):
    """(device, precision) as the options say, or as `before`. Raises TinyconvError or DeviceError where they
    cannot be.
    """
    device = args.device or before[0]
    precision = args.precision or (before[1] if device == before[0] else "float32")
    if precision != "float32" and device != "cuda":
        raise TinyconvError(
            f"--precision {precision}: goes with --device cuda; leave it out, or compute there"
        )
    check_device(device, precision)
    return device, precision


def check_shape(name, images, inputs, what):
    """Raises TinyconvError unless `inputs`, those of `what`, can be made of the images of the data set
    `name`.
    """
    if tuple(images.shape) != tuple(inputs.image_shape):
        raise TinyconvError(
            f"{name}: has images of {say_shape(images.shape)} and {what} takes "
            f"{say_shape(inputs.image_shape)}; use data of that kind"
        )


def say_shape(shape):
    """28x28 grey, 256x256 colour"""
    return f"{shape[1]}x{shape[2]} {'grey' if shape[0] == 1 else 'colour'}"


def count(number, one, more=None):
    """1 image, 2 images"""
    return f"{number} {one if number == 1 else more or one + 's'}"
