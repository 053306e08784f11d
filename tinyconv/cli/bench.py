"""tinyconv bench: how fast the kernels are, against the machine's own ceiling and against PyTorch."""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..device import check_device
from ..errors import TinyconvError
from ..execution import available_threads
from ..kernels import BACKENDS, OPERATIONS
from ..models import MODELS
from ..setting import positive_float, positive_int
from . import options

MEASURED = tuple(name for name, model in MODELS.items() if model.bench)


def add_parser(commands):
    command = options.parser(
        commands,
        "bench",
        "measure kernels and networks, each checked before it is timed",
        "tinyconv bench lenet5 --against torch",
    )
    command.add_argument(
        "what",
        metavar="|".join(("OP", *MEASURED)),
        nargs="*",
        type=_known,
        help="operations on the layers of the models that have them (conv2d: with the ladder from textbook loops to the shipped "  # noqa: E501
        "kernel; with --backend cuda that of the GPU), or a model with all its layers (default: lenet5)",
    )
    command.add_argument(
        "--backend",
        "--device",
        metavar="B,...",
        type=_list_of(_one_of("backend", BACKENDS)),
        default=["cpu"],
        help=f"any of {','.join(BACKENDS)} (default: cpu); cpu,cuda compares the two: each in a process of its own, in turns, how "  # noqa: E501
        "many times faster the GPU is, each one's share of its own ceiling, copies apart, and the batch from which the GPU is faster",  # noqa: E501
    )
    command.add_argument(
        "--against",
        metavar="torch",
        type=_list_of(_one_of("peer", ("torch",))),
        default=[],
        help="compare with PyTorch, in the same run",
    )
    command.add_argument(
        "--batch",
        metavar="N,...",
        type=_list_of(positive_int),
        default=[256],
        help="images in a batch (default: 256)",
    )
    command.add_argument(
        "--threads",
        metavar="T,...",
        type=_list_of(positive_int),
        default=[available_threads()],
        help="default: all processors that the process may use",
    )
    command.add_argument(
        "--dtype", choices=["float32", "float64"], default="float32", help="default: float32"
    )
    command.add_argument(
        "--kernel",
        metavar="FILE.py:function",
        help="a conv2d kernel of your own, put on the ladder: a function with the parameters of forward, backward_input or "  # noqa: E501
        "backward_weight in kernels/conv2d/reference.py",
    )
    command.add_argument(
        "--seconds",
        type=positive_float,
        default=0.3,
        metavar="S",
        help="time spent on each row (default: 0.3)",
    )
    command.add_argument(
        "--whole", action="store_true", help="of a model the whole network only, not each layer"
    )
    command.add_argument(
        "--json", metavar="FILE", type=Path, help="write machine, versions, arguments, rows and every sample"
    )
    command.add_argument(
        "--plot",
        metavar="FILE",
        type=Path,
        help="draw it: the ladder, the rows under the roofs, or where the GPU overtakes the CPU (.png, .svg or .pdf; needs "  # noqa: E501
        "matplotlib)",
    )
    return command


def run(args):
    from ..benchmarks import report  # here, since no other command needs them
    from ..benchmarks.session import Session

    for backend in args.backend:
        check_device(backend)
    for path in filter(None, (args.json, args.plot)):
        if not path.absolute().parent.is_dir():
            raise TinyconvError(f"{path}: there is no folder {path.parent}; make it first")
    if args.plot:
        from ..benchmarks import plot

        plot.check(args.plot)
    what = args.what or ([] if not args.kernel else ["conv2d"])
    session = Session(
        what,
        backends=args.backend,
        against=args.against,
        batches=args.batch,
        threads=args.threads,
        dtype=np.dtype(args.dtype),
        kernel=args.kernel,
        seconds=args.seconds,
        whole=args.whole,
        show=report.Printer(tqdm.write),
    )
    result = session.run()
    print("\n".join(report.closing(result)))
    if args.json:
        session.write(args.json)
    if args.plot:
        plot.draw(result, args.plot)
    return 1 if any(row["status"] == "wrong" for row in result["rows"]) else 0


def _known(name):
    return _one_of("model or operation", (*MEASURED, *OPERATIONS))(name)


def _one_of(kind, names):
    def check(name):
        if name not in names:
            raise argparse.ArgumentTypeError(f"unknown {kind} {name!r}: expected one of {', '.join(names)}")
        return name

    return check


def _list_of(convert):
    """A type for "a,b,c"."""

    def items(text):
        return list(dict.fromkeys(convert(item) for item in text.split(",")))

    return items
