"""tinyconv eval: the test error of a run, which classes it confuses, and a picture of what it got wrong."""

from pathlib import Path

import numpy as np

from ..errors import TinyconvError
from ..evaluation import evaluate
from . import options
from .given import add_options
from .pictures import draw_filters, draw_sheet
from .run_folder import Run

SHOWN = 200  # misclassified images in the picture
FITTING = 20  # classes, of which a confusion matrix fits on the screen
WORST = 10  # classes that are listed where there are more


def add_parser(commands):
    command = options.parser(
        commands,
        "eval",
        "test a trained network",
        "tinyconv eval runs/lenet5-mnist --data mnist",
        "Images are shown to the network as the run's recipe has it; where it has ten crops of an image, "
        "the softmax "
        "probabilities of the ten are averaged. Draws misclassified.png and filters.png in the run folder.",
    )
    command.add_argument("run_folder", metavar="RUN", type=Path, help="folder of a training run")
    add_options(command, "data", said="what the run was trained on")
    add_options(command, "data_dir", "threads", "device", "precision")
    return command


def run(args):
    this, place = Run.open(args.run_folder), options.chosen_device(args)
    name = args.data or this.settings["data"]
    _, test = this.data(args.data, args.data_dir)
    _check_classes(name, test.class_names, args.run_folder, this.settings["class_names"])
    net, loss = this.trained()
    net.to(*place)
    inputs = this.inputs(net)
    options.check_shape(name, test, inputs, args.run_folder)
    result = evaluate(net, loss, test, inputs, args.threads, show=len(test) > 2048 or inputs.crops > 1)
    if len(test.class_names) <= FITTING:
        print("confusion matrix: rows are the labels, columns the answers")
        print(_table(result.confusion(), test.class_names))
    else:
        print(_worst(result, test.class_names))
    wrong, picture = np.flatnonzero(result.predictions != result.labels), this.folder / "misclassified.png"
    picture.unlink(missing_ok=True)  # of an earlier test
    if len(wrong):
        shown = wrong[
            np.linspace(0, len(wrong) - 1, min(len(wrong), SHOWN)).astype(int)
        ]  # of all classes: they may come one by one
        _draw(test, result, shown, picture)
        print(f"{picture}: {len(shown)} of {len(wrong)} misclassified images, label > answer")
    if filters := draw_filters(this, net):
        print(filters)
    print(result)
    return 0


def _check_classes(name, found, folder, expected):
    if list(found) != expected:
        say = lambda names: (
            ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
        )
        raise TinyconvError(f"{name}: has the classes {say(found)}; {folder} was trained on {say(expected)}")


def _table(counts, names):
    names = [name[:10] for name in names]
    width = max(len(cell) for cell in [*names, *map(str, counts.ravel())]) + 2
    lines = [" " * width + "".join(name.rjust(width) for name in names)]
    lines += [
        name.rjust(width) + "".join((str(c) if c else ".").rjust(width) for c in row)
        for name, row in zip(names, counts)
    ]
    return "\n".join(lines)


def _worst(result, names):
    """The classes with the largest errors, and what they are taken for."""
    images = np.bincount(result.labels, minlength=len(names))
    wrong = np.bincount(result.labels[result.predictions != result.labels], minlength=len(names))
    errors = wrong / np.maximum(images, 1)
    worst = [k for k in np.argsort(-errors, kind="stable")[:WORST] if wrong[k]]
    if not worst:
        return f"no class of {len(names)} has a mistake"
    lines = [f"the worst of {len(names)} classes:"]
    for k in worst:
        answers = np.bincount(result.predictions[(result.labels == k) & (result.predictions != k)])
        lines.append(
            f"  {names[k]}: {100 * errors[k]:.0f}% ({wrong[k]} of {images[k]}), most often taken for "
            f"{names[answers.argmax()]}"
        )
    return "\n".join(lines)


def _draw(test, result, wrong, path):
    """A sheet of the images `wrong` above 'label > answer'; small ones enlarged."""
    scale = max(1, 64 // max(test.shape[1:]))
    letters = max(4, test.shape[2] * scale // 16)
    name = lambda k: test.class_names[k][:letters]
    cells = [
        (image, f"{name(result.labels[n])} > {name(result.predictions[n])}")
        for image, n in zip(test.read(wrong), wrong)
    ]
    draw_sheet(path, cells, max(4, 1440 // (test.shape[2] * scale + 8)), scale)
