"""tinyconv predict: what a trained network says of image files."""

from pathlib import Path

import numpy as np

from .. import execution
from ..data import prepare_image
from ..errors import TinyconvError
from ..evaluation import MANY_CLASSES, average_crops
from ..losses import RBFLoss
from . import options
from .given import add_options
from .run_folder import Run

BEST = 5  # answers of a network for many classes


def add_parser(commands):
    command = options.parser(
        commands,
        "predict",
        "say what is on image files, with a trained network",
        "tinyconv predict runs/lenet5-mnist seven.png scan.jpg",
        "Up to ten classes: all of them, the best first; more: the best five, in per cent.",
    )
    command.add_argument("run_folder", metavar="RUN", type=Path, help="folder of a training run")
    command.add_argument(
        "images",
        metavar="IMAGE",
        type=Path,
        nargs="+",
        help="any image file; prepared as the training images were",
    )
    add_options(command, "threads", "device", "precision")
    return command


def run(args):
    this, place = Run.open(args.run_folder), options.chosen_device(args)
    if missing := [
        str(path) for path in args.images if not path.exists()
    ]:  # before the network, which may be large
        raise TinyconvError(f"no such file: {', '.join(missing)}; name pictures that are there")
    net, loss = this.trained()
    net.to(*place)
    inputs, names = this.inputs(net), this.settings["class_names"]
    for path in args.images:
        x = inputs.testing(prepare_image(path, this.settings["preparation"])[None])
        scores = average_crops(execution.forward(net, x, args.threads), inputs.crops)
        if isinstance(loss, RBFLoss):
            kind, values, order = "penalties", scores[0], np.argsort(scores[0])
        else:
            exponentials = np.exp(scores[0] - scores[0].max())
            kind, values = "probabilities", exponentials / exponentials.sum()
            order = np.argsort(-values)
        if len(names) <= MANY_CLASSES:
            print(
                f"{path}: {names[loss.predict(scores)[0]]}   {kind} "
                + "  ".join(f"{names[k]}: {values[k]:.4g}" for k in order)
            )
        else:
            print(f"{path}: " + "  ".join(f"{names[k]} {100 * values[k]:.1f} %" for k in order[:BEST]))
    return 0
