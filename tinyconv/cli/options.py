"""Command-line options that several commands share, and the types that check them."""
import argparse


def parser(commands, name, description, example):
    """A sub-parser whose help ends with an example."""
    return commands.add_parser(name, help=description, description=description[0].upper() + description[1:] + ".",
                               epilog=f"example:\n  {example}", formatter_class=argparse.RawDescriptionHelpFormatter)


def add_data_options(command, default):
    command.add_argument("--data", metavar="mnist5k|mnist|DIR",
                         help=f"data set, or a folder of images with one sub-folder a class (default: {default})")
    command.add_argument("--data-dir", metavar="D", help="where the files of the data set lie, or are downloaded to "
                                                         "(default: TINYCONV_DATA, else the user's cache folder)")


def add_threads_option(command):
    command.add_argument("--threads", type=positive_int, metavar="T", help="default: all processors that the process may use")


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
