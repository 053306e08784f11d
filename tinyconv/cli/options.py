"""Command-line options that several commands share, and what checks them."""
import argparse

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


def check_shape(name, images, inputs, what):
    """Raises TinyconvError unless `inputs`, those of `what`, can be made of the images of the data set `name`."""
    if tuple(images.shape) != tuple(inputs.image_shape):
        raise TinyconvError(f"{name}: has images of {say_shape(images.shape)} and {what} takes {say_shape(inputs.image_shape)}; use data of that kind")


def say_shape(shape):
    """28x28 grey, 256x256 colour"""
    return f"{shape[1]}x{shape[2]} {'grey' if shape[0] == 1 else 'colour'}"


def positive_int(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {text}")
    return value


def natural_int(text):
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected 0 or more, got {text}")
    return value


def positive_float(text):
    value = float(text)
    if not 0 < value <= 1e9:
        raise argparse.ArgumentTypeError(f"expected a number above 0 and up to 1e9, got {text}")
    return value


def not_negative_float(text):
    value = float(text)
    if not 0 <= value <= 1e9:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1e9, got {text}")
    return value


def percentage(text):
    value = float(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"expected per cent from 0 to 100, got {text}")
    return value


def ascending_ints(text):
    values = [positive_int(part) for part in text.split(",")]
    if values != sorted(set(values)):
        raise argparse.ArgumentTypeError(f"expected numbers that ascend, such as 30,60,80, got {text}")
    return values


def momentum(text):
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 up to, but not including, 1, got {text}")
    return value


Switch = argparse.BooleanOptionalAction                      # --name and --no-name
