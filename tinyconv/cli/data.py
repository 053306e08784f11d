"""tinyconv data: what is done with a data set once, before training."""

from pathlib import Path

from tqdm import tqdm

from ..data import shards
from ..setting import positive_int
from . import options
from .given import add_options


def add_parser(commands):
    command = options.parser(
        commands,
        "data",
        "prepare a large data set for training",
        "tinyconv data prepare photographs --out shards",
    )
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    prepare = options.parser(
        actions,
        "prepare",
        "decode a folder of images, one sub-folder a class, into shards that training reads as they are",
        "tinyconv data prepare photographs --out shards && tinyconv train alexnet --data shards",
    )
    prepare.add_argument(
        "folder",
        metavar="DIR",
        type=Path,
        help="one sub-folder of images a class, or train and test (or val) that look so",
    )
    prepare.add_argument(
        "--out",
        metavar="SHARDS",
        type=Path,
        required=True,
        help="folder of the shards; an interrupted one is continued",
    )
    prepare.add_argument(
        "--size",
        type=positive_int,
        default=256,
        metavar="N",
        help="the shorter side is scaled to N, of which the central NxN is kept (default: 256, as in 2012)",
    )
    add_options(prepare, "threads")
    return command


def run(args):
    try:
        skipped = shards.prepare(args.folder, args.out, args.size, workers=args.threads, report=tqdm.write)
    except KeyboardInterrupt:
        print(f"interrupted; the same command continues where {args.out} stands")
        return 130
    for part in shards.load(args.out):
        size, classes = (
            "x".join(map(str, part.shape)),
            options.count(len(part.class_names), "class", "classes"),
        )
        print(f"{part.name}: {options.count(len(part), 'image')} of {size} in {classes}")
    left_out = (
        f"{options.count(len(skipped), 'image')} could not be read and "
        f"{'were' if skipped[1:] else 'was'} left out"
    )
    print(f"{left_out}; see {args.out / shards.INDEX}" if skipped else "every image could be read")
    return 0
