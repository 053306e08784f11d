"""tinyconv eval: the test error of a run, its confusion matrix, and a picture of what it got wrong."""
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from .. import data
from ..errors import TinyconvError
from ..files import write_atomically
from ..training import evaluate
from . import options
from .run_folder import Run

SHOWN = 200                                                  # misclassified images in the picture


def add_parser(commands):
    command = options.parser(commands, "eval", "test a trained network", "tinyconv eval runs/lenet5-mnist --data mnist")
    command.add_argument("run_folder", metavar="RUN", type=Path, help="folder of a training run")
    options.add_data_options(command, "what the run was trained on")
    options.add_threads_option(command)
    return command


def run(args):
    this = Run.open(args.run_folder)
    net, loss = this.trained()
    name = args.data or this.settings["data"]
    _, test = data.load(name, data_dir=args.data_dir or this.settings["data_dir"])
    if list(test.class_names) != this.settings["class_names"]:
        raise TinyconvError(f"{name}: has the classes {', '.join(test.class_names)}; {args.run_folder} was trained on "
                            f"{', '.join(this.settings['class_names'])}")
    result = evaluate(net, loss, test.padded_to(*net.input_shape[1:]), args.threads)
    print("confusion matrix: rows are the labels, columns the answers")
    print(_table(result.confusion(), test.class_names))
    wrong, picture = np.flatnonzero(result.predictions != result.labels), this.folder / "misclassified.png"
    picture.unlink(missing_ok=True)                          # of an earlier test
    if len(wrong):
        _draw(test, result, wrong[:SHOWN], picture)
        print(f"{picture}: {min(len(wrong), SHOWN)} of {len(wrong)} misclassified images, label > answer")
    print(result)
    return 0


def _table(counts, names):
    names = [name[:10] for name in names]
    width = max(len(cell) for cell in [*names, *map(str, counts.ravel())]) + 2
    lines = [" " * width + "".join(name.rjust(width) for name in names)]
    lines += [name.rjust(width) + "".join((str(c) if c else ".").rjust(width) for c in row) for name, row in zip(names, counts)]
    return "\n".join(lines)


def _draw(test, result, wrong, path, columns=20, scale=2):
    """A sheet of the images `wrong`, each `scale` times enlarged, above 'label > answer'."""
    height, width = (size * scale for size in test.images.shape[2:])
    cell_width, cell_height = width + 8, height + 18
    columns = min(columns, len(wrong))
    sheet = Image.new("L", (columns * cell_width, -(-len(wrong) // columns) * cell_height), 255)
    draw = ImageDraw.Draw(sheet)
    for place, n in enumerate(wrong):
        left, top = place % columns * cell_width + 4, place // columns * cell_height + 4
        sheet.paste(Image.fromarray(test.images[n, 0]).resize((width, height), Image.Resampling.NEAREST), (left, top))
        label, answer = (test.class_names[k][:4] for k in (result.labels[n], result.predictions[n]))
        draw.text((left, top + height), f"{label} > {answer}", fill=0)
    write_atomically(path, lambda file: sheet.save(file, "PNG"))
