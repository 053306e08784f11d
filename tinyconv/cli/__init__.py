"""The command `tinyconv`: one file a sub-command, each with add_parser(commands) and run(args), which gives
the exit status.

Exit status: 0 done, 1 failed, 2 bad usage, 130 interrupted. A user's mistake is one line on stderr; a
traceback is a fault of ours.
"""

import argparse
import sys

from .. import __version__
from ..errors import TinyconvError
from . import bench, course, data, doctor, eval, gradcheck, predict, similar, summary, train

COMMANDS = (train, eval, predict, similar, summary, gradcheck, course, data, bench, doctor)


def parser():
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="tinyconv",
        description="Convolutional networks whose every backward pass is written by hand.",
        epilog="example: tinyconv train lenet5",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tinyconv {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands).set_defaults(run=command.run)
    return parser


def main(arguments=None):
    """Run one command line (default: that of the process) and give its exit status."""
    args = parser().parse_args(arguments)
    try:
        return args.run(args)
    except (TinyconvError, OSError, MemoryError) as error:
        print(f"tinyconv {args.command}: {_sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"tinyconv {args.command}: interrupted", file=sys.stderr)
        return 130


def _sentence(error):
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or "out of memory"
