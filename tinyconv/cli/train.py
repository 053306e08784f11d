"""tinyconv train: from a data set to a trained network, in a folder that can be resumed, tested and used."""

import math
import signal
from itertools import count
from pathlib import Path

from ..data.image_folder import NOT_HELD_OUT
from ..device import backend
from ..errors import TinyconvError
from ..execution import available_threads
from ..models import MODELS
from ..setting import positive_float
from ..training import Trainer
from . import options
from .checks import check_classes, check_images, check_memory
from .given import add_group, add_model_options, check_resumed, complete, given
from .optimizing import optimizer
from .pictures import draw_curves, draw_filters
from .recipes import build, recipe
from .run_folder import FolderTaken, Run


def add_parser(commands):
    command = options.parser(
        commands,
        "train",
        "train a network; test it after each epoch",
        "tinyconv train lenet5 --data mnist --epochs 20 --out runs/first\n"
        "  tinyconv train alexnet --data photographs",
        "Each model has a recipe; what is not given here is taken from it (tinyconv.models), "
        "and all of it goes into RUN.",
    )
    command.add_argument("model", choices=MODELS)
    add_group(command, "run")
    command.add_argument(
        "--out",
        metavar="RUN",
        type=Path,
        help="folder of the run (default: runs/MODEL-DATA, with a number where that is taken)",
    )
    command.add_argument(
        "--resume",
        action="store_true",
        help="continue the run in --out where it stopped, with its own settings",
    )
    command.add_argument(
        "--checkpoint-minutes",
        type=positive_float,
        default=5,
        metavar="M",
        help="save within long epochs too, about every M minutes (default: 5)",
    )
    add_group(command.add_argument_group("recipe"), "recipe")
    of_model = command.add_argument_group("model")
    add_group(of_model, "model")
    add_model_options(of_model)
    return command


def run(args):
    named = given(args)
    if args.resume:
        this = _resumed(args.out, named)
        settings = this.settings
    else:
        settings = complete(named)
        this = Run(args.out or next(_folders(settings)), settings)
        if args.out:
            this.check_free()  # before anything takes its time
    train, test = this.data(data_dir=named.get("data_dir"))
    found = {
        "class_names": list(train.class_names),
        "preparation": train.preparation,
        "fingerprint": train.fingerprint(),
    }
    if args.resume and any(settings[name] != value for name, value in found.items()):
        raise TinyconvError(
            f"{settings['data']}: not the images that {this.folder} was trained on; resume with the same "
            "data, or start a new run"
        )
    settings |= found
    check_classes(settings)

    threads = args.threads or settings.get("threads") or available_threads()
    place = options.chosen_device(args, (settings["device"], settings["precision"]))
    net, loss = build(settings, rng=settings["seed"])
    check_memory(net, settings, place[0])
    net.to(*place)
    loss.to(place[0])
    if args.resume:
        inputs = this.inputs(net)
        if threads != settings["threads"]:
            print(
                f"resuming with {threads} threads instead of {settings['threads']}: the last bits of the "
                "result will differ"
            )
        if place != (settings["device"], settings["precision"]):
            print(
                f"resuming on {' in '.join(place)} instead of {settings['device']} in "
                f"{settings['precision']}: the result will differ"
            )
            this.keep(device=place[0], precision=place[1])
    else:
        check_images(settings, train, net)
        inputs = recipe(settings["model"], settings["loss"]).inputs(train, net, settings)
        this = _create(args.out, settings | {"threads": threads, "device": place[0], "precision": place[1]})
        inputs.save(this.folder / "inputs.npz")
    until = settings["until_error"]
    steps_per_epoch = math.ceil(len(train) / settings["batch_size"])
    rule = optimizer(
        settings, net, steps_per_epoch, lambda: [row["test_error"] for row in trainer.progress.history]
    )
    trainer = Trainer(
        net,
        loss,
        rule,
        train,
        test,
        inputs,
        threads=threads,
        until_error=None if until is None else until / 100,
        checkpoint_seconds=60 * args.checkpoint_minutes,
        **{name: settings[name] for name in ("epochs", "batch_size", "seed", "augment")},
    )
    if args.resume:
        this.remove_partial()
        trainer.load(this.checkpoint)
    if test.name.endswith(NOT_HELD_OUT):
        print("no held-out images: tests are on the training images")
    where = f"{threads} threads" if place[0] == "cpu" else f"{backend(place[0]).device_name()} in {place[1]}"
    print(
        f"{settings['model']}, {loss!r}: {len(train)} training and {len(test)} test images of "
        f"{settings['data']}, "
        f"{where}, run folder {this.folder}"
    )
    return _train(trainer, this)


def _train(trainer, this):
    interrupted = []
    previous = signal.signal(
        signal.SIGINT, lambda *_: interrupted.append(1) if not interrupted else signal.default_int_handler(*_)
    )

    def save():
        trainer.save(this.checkpoint)
        if trainer.progress.history:
            this.write_metrics(trainer.progress.history)

    resume = f"continue with: tinyconv train {this.settings['model']} --resume --out {this.folder}"
    try:
        finished = trainer.run(save, stop=lambda: bool(interrupted))
        history, held_out = trainer.progress.history, not trainer.test.name.endswith(NOT_HELD_OUT)
        pictures = [draw_curves(this, history, held_out), draw_filters(this, trainer.net)] if history else []
    except OSError as error:
        if not this.checkpoint.exists():
            raise
        raise TinyconvError(
            f"{error.filename}: {error.strerror}; the checkpoint before is whole: make room, and {resume}"
        ) from error
    finally:
        signal.signal(signal.SIGINT, previous)
    for picture in filter(None, pictures):
        print(picture)
    if not finished:
        print(f"interrupted; {resume}")
        return 130
    last, images = trainer.progress.history[-1], len(trainer.test)
    if trainer.until_error is not None:
        print(f"training error: {100 * last['error']:.2f}% in epoch {last['epoch']}")
    if trainer.inputs.crops > 1:
        print(f"tested with the central crop; tinyconv eval {this.folder} averages {trainer.inputs.crops}")
    print(
        f"test error: {100 * last['test_error']:.2f}% ({round(last['test_error'] * images)} of {images})"
        + (f", top-5 error: {100 * last['test_top5_error']:.2f}%" if "test_top5_error" in last else "")
    )
    return 0


def _resumed(folder, named):
    """The run to go on with. Options that would make it another run are refused."""
    if folder is None:
        raise TinyconvError("--resume: name the run with --out RUN")
    this = Run.open(folder)
    check_resumed(folder, this.settings, named)
    return this


def _create(out, settings):
    """The run in the folder `out`; where None is named, in the first of the usual ones that no
    other run has.
    """
    if out:
        return Run.create(out, settings)
    for folder in _folders(settings):
        try:
            return Run.create(folder, settings)
        except FolderTaken:
            continue


def _folders(settings):
    """runs/MODEL-DATA, runs/MODEL-DATA-2, ..."""
    name = f"{settings['model']}-{Path(settings['data']).name}"
    return (Path("runs") / (name if number == 1 else f"{name}-{number}") for number in count(1))
