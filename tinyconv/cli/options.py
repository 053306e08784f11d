"""Command-line options that several commands share, and what checks them."""
import argparse

from ..device import PRECISIONS, check_device
from ..errors import TinyconvError


def parser(commands, name, description, example, more=""):
    """A sub-parser whose help ends with an example."""
    return commands.add_parser(name, help=description, description=description[0].upper() + description[1:] + "." + (f"\n{more}" if more else ""),
                               epilog=f"example:\n  {example}", formatter_class=argparse.RawDescriptionHelpFormatter)


def add_data_options(command, default):
    command.add_argument("--data", metavar="mnist5k|mnist|cifar10|DIR",
                         help="data set, a folder of images with one sub-folder a class, or what tinyconv data prepare made of such a folder "
                              f"(default: {default})")
    command.add_argument("--data-dir", metavar="D", help="where the files of the data set lie, or are downloaded to "
                                                         "(default: TINYCONV_DATA, else the user's cache folder)")


def add_threads_option(command):
    command.add_argument("--threads", type=positive_int, metavar="T", help="default: all processors that the process may use")


def add_device_options(command, devices=("cpu", "cuda"), default="cpu"):
    command.add_argument("--device", choices=devices, help=f"where it is computed; cuda: on an NVIDIA GPU (default: {default})")
    command.add_argument("--precision", choices=PRECISIONS, help="cuda: of convolutions and dense layers; float32: exact; tf32: on tensor cores, "
                                                                 "factors rounded to 10 bits behind the point (default: float32)")


def chosen_device(args, before=("cpu", "float32")):
    """(device, precision) as the options say, or as `before`. Raises TinyconvError or DeviceError where they cannot be."""
    device = args.device or before[0]
    precision = args.precision or (before[1] if device == before[0] else "float32")
    if precision != "float32" and device != "cuda":
        raise TinyconvError(f"--precision {precision}: goes with --device cuda; leave it out, or compute there")
    check_device(device, precision)
    return device, precision


def check_shape(name, images, inputs, what):
    """Raises TinyconvError unless `inputs`, those of `what`, can be made of the images of the data set `name`."""
    if tuple(images.shape) != tuple(inputs.image_shape):
        raise TinyconvError(f"{name}: has images of {say_shape(images.shape)} and {what} takes {say_shape(inputs.image_shape)}; use data of that kind")


def say_shape(shape):
    """28x28 grey, 256x256 colour"""
    return f"{shape[1]}x{shape[2]} {'grey' if shape[0] == 1 else 'colour'}"


def count(number, one, more=None):
    """1 image, 2 images"""
    return f"{number} {one if number == 1 else more or one + 's'}"


def _number(kind, accepts, expected):
    """What makes a number of an option's text, or says what was expected."""
    def parse(text):
        try:
            value = kind(text)
            if accepts(value):
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return parse


positive_int = _number(int, lambda value: value >= 1, "a whole number of 1 or more")
natural_int = _number(int, lambda value: value >= 0, "a whole number of 0 or more")
positive_float = _number(float, lambda value: 0 < value <= 1e9, "a number above 0 and up to 1e9")
not_negative_float = _number(float, lambda value: 0 <= value <= 1e9, "a number from 0 to 1e9")
percentage = _number(float, lambda value: 0 <= value <= 100, "per cent from 0 to 100")
momentum = _number(float, lambda value: 0 <= value < 1, "a number from 0 up to, but not including, 1")
ascending_ints = _number(lambda text: [int(part) for part in text.split(",")], lambda values: values[0] >= 1 and values == sorted(set(values)),
                         "whole numbers of 1 or more that ascend, such as 30,60,80")


Switch = argparse.BooleanOptionalAction                      # --name and --no-name
