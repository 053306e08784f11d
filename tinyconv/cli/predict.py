"""tinyconv predict: what a trained network says of image files."""
from pathlib import Path

import numpy as np

from ..data import to_input
from ..data.images import prepare_image
from ..data.dataset import Dataset
from ..losses import RBFLoss
from . import options
from .run_folder import Run


def add_parser(commands):
    command = options.parser(commands, "predict", "say what is on image files, with a trained network",
                             "tinyconv predict runs/lenet5-mnist seven.png scan.jpg")
    command.add_argument("run_folder", metavar="RUN", type=Path, help="folder of a training run")
    command.add_argument("images", metavar="IMAGE", type=Path, nargs="+", help="any image file; prepared as the training images were")
    return command


def run(args):
    this = Run.open(args.run_folder)
    net, loss = this.trained()
    names = this.settings["class_names"]
    for path in args.images:
        image = prepare_image(path, this.settings["preparation"])[None]
        image = Dataset("image", image, np.zeros(1, np.int64), ("",), this.settings["preparation"]).padded_to(*net.input_shape[1:]).images
        scores = net.forward(to_input(image))
        if isinstance(loss, RBFLoss):
            kind, values, order = "penalties", scores[0], np.argsort(scores[0])
        else:
            exponentials = np.exp(scores[0] - scores[0].max())
            kind, values = "probabilities", exponentials / exponentials.sum()
            order = np.argsort(-values)
        print(f"{path}: {names[loss.predict(scores)[0]]}   {kind} " + "  ".join(f"{names[k]}: {values[k]:.4g}" for k in order[:10]))
    return 0
