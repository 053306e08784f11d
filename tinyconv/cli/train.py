"""tinyconv train: from a data set to a trained network, in a folder that can be resumed, tested and used."""
import math
import signal
from itertools import count
from pathlib import Path

from .. import data
from ..data.image_folder import NOT_HELD_OUT
from ..device import gpu_name
from ..errors import TinyconvError
from ..models import PRESETS
from ..execution import available_threads
from ..training import Trainer
from . import options
from .pictures import draw_curves, draw_filters
from .recipes import EPOCHS, MODELS, SCHEDULES, build, default_loss, recipe, sgd
from .run_folder import FolderTaken, Run

OF_THE_MODEL = ("groups", "preset", "dropout", "activation", "norm")
OF_THE_RUN = ("data", "data_dir", "epochs", "batch_size", "loss", "lr", "schedule", "lr_steps", "patience", "clip", "momentum",
              "weight_decay", "augment", "until_error", "seed")
AHEAD = 3                                                    # batches of inputs that exist beside that in the network (data/feeder.py)


def add_parser(commands):
    command = options.parser(commands, "train", "train a network; test it after each epoch",
                             "tinyconv train lenet5 --data mnist --epochs 20 --out runs/first\n  tinyconv train alexnet --data photographs",
                             "Each model has a recipe; what is not given here is taken from it (tinyconv/cli/recipes.py), and all of it goes into RUN.")
    command.add_argument("model", choices=MODELS)
    options.add_data_options(command, "mnist5k; cifar_net: cifar10; alexnet has none")
    command.add_argument("--out", metavar="RUN", type=Path, help="folder of the run (default: runs/MODEL-DATA, with a number where that is taken)")
    command.add_argument("--resume", action="store_true", help="continue the run in --out where it stopped, with its own settings")
    command.add_argument("--checkpoint-minutes", type=options.positive_float, default=5, metavar="M",
                         help="save within long epochs too, about every M minutes (default: 5)")
    command.add_argument("--seed", type=options.natural_int, metavar="S", help="of weights, order, augmentation and dropout (default: 0)")
    options.add_threads_option(command)
    options.add_device_options(command)

    of_recipe = command.add_argument_group("recipe")
    of_recipe.add_argument("--epochs", type=options.positive_int, metavar="N",
                           help="default: 20, and 40 for mnist5k; alexnet: 90; cifar_net: 30")
    of_recipe.add_argument("--until-error", type=options.percentage, metavar="P",
                           help="stop after the first epoch with a training error of P per cent or less")
    of_recipe.add_argument("--batch-size", type=options.positive_int, metavar="B", help="images a step (default: 64; alexnet, cifar_net: 128)")
    of_recipe.add_argument("--lr", type=options.positive_float, help="learning rate at the start (default: by model and loss)")
    of_recipe.add_argument("--schedule", choices=list(SCHEDULES), help="how the rate goes on: " + "; ".join(
        f"{name}: {what}" for name, what in SCHEDULES.items()) + " (default: cosine; alexnet: plateau)")
    of_recipe.add_argument("--lr-steps", type=options.ascending_ints, metavar="E,...",
                           help="divide the rate by 10 after these many epochs, such as 30,60,80 (makes --schedule steps)")
    of_recipe.add_argument("--patience", type=options.positive_int, metavar="E",
                           help="plateau: epochs without a lower test error before the rate is divided, three times at most (default: 5)")
    of_recipe.add_argument("--momentum", type=options.momentum, help="default: 0.9")
    of_recipe.add_argument("--weight-decay", type=options.not_negative_float, metavar="W",
                           help="pull the weights towards 0 by this times the rate (default: by model and loss)")
    of_recipe.add_argument("--clip", type=options.not_negative_float,
                           help="limit the norm of the gradient to this; 0: no limit (default: by model and loss)")
    of_recipe.add_argument("--no-augment", dest="augment", action="store_false", default=None,
                           help="alexnet, cifar_net: the central part of every image, in training and testing; no random crops, reflections or colours")

    of_model = command.add_argument_group("model")
    of_model.add_argument("--loss", choices=["map", "mse", "softmax"],
                          help="lenet5: map, mse: rbf output units, section II.C of the 1998 paper; softmax: dense output (default: map; "
                               "other models: softmax)")
    of_model.add_argument("--preset", choices=list(PRESETS["alexnet"]), help="alexnet: which variant (default: paper)")
    of_model.add_argument("--groups", type=int, choices=[1, 2], help="alexnet: groups of the convolutions (default: as the preset has it)")
    of_model.add_argument("--no-dropout", dest="dropout", action="store_false", default=None, help="alexnet: without dropout")
    of_model.add_argument("--activation", choices=["relu", "tanh"], help="cifar_net (default: relu)")
    of_model.add_argument("--norm", action=options.Switch, help="cifar_net: with or without response normalisation (default: with)")
    return command


def run(args):
    given = {name: getattr(args, name) for name in OF_THE_RUN if getattr(args, name) is not None} | {"model": args.model}
    given["options"] = {name: getattr(args, name) for name in OF_THE_MODEL if getattr(args, name) is not None}
    if args.resume:
        this = _resumed(args.out, given)
        settings = this.settings
    else:
        settings = _settings(given)
        this = Run(args.out or next(_folders(settings)), settings)
        if args.out:
            this.check_free()                                # before anything takes its time
    train, test = this.data(data_dir=given.get("data_dir"))
    found = {"class_names": list(train.class_names), "preparation": train.preparation, "fingerprint": train.fingerprint()}
    if args.resume and any(settings[name] != value for name, value in found.items()):
        raise TinyconvError(f"{settings['data']}: not the images that {this.folder} was trained on; resume with the same data, or start a new run")
    settings |= found
    _check(settings)

    threads = args.threads or settings.get("threads") or available_threads()
    place = options.chosen_device(args, (settings.get("device", "cpu"), settings.get("precision", "float32")))
    net, loss = build(settings, rng=settings["seed"])
    _check_memory(net, settings["batch_size"], place[0])
    net.to(*place)
    loss.to(place[0])
    if args.resume:
        inputs = this.inputs(net)
        if threads != settings["threads"]:
            print(f"resuming with {threads} threads instead of {settings['threads']}: the last bits of the result will differ")
        if place != (settings["device"], settings["precision"]):
            print(f"resuming on {' in '.join(place)} instead of {settings['device']} in {settings['precision']}: the result will differ")
            this.keep(device=place[0], precision=place[1])
    else:
        _check_images(settings, train, net)
        inputs = recipe(settings["model"], settings["loss"]).inputs(train, net, settings)
        this = _create(args.out, settings | {"threads": threads, "device": place[0], "precision": place[1]})
        inputs.save(this.folder / "inputs.npz")
    until = settings["until_error"]
    steps_per_epoch = math.ceil(len(train) / settings["batch_size"])
    optimizer = sgd(settings, net, steps_per_epoch, lambda: [row["test_error"] for row in trainer.progress.history])
    trainer = Trainer(net, loss, optimizer, train, test, inputs, threads=threads, until_error=None if until is None else until / 100,
                      checkpoint_seconds=60 * args.checkpoint_minutes,
                      **{name: settings[name] for name in ("epochs", "batch_size", "seed", "augment")})
    if args.resume:
        this.remove_partial()
        trainer.load(this.checkpoint)
    if test.name.endswith(NOT_HELD_OUT):
        print("no held-out images: tests are on the training images")
    print(f"{settings['model']}, {loss!r}: {len(train)} training and {len(test)} test images of {settings['data']}, "
          f"{f'{threads} threads' if place[0] == 'cpu' else f'{gpu_name()} in {place[1]}'}, run folder {this.folder}")
    return _train(trainer, this)


def _train(trainer, this):
    interrupted = []
    previous = signal.signal(signal.SIGINT, lambda *_: interrupted.append(1) if not interrupted else signal.default_int_handler(*_))

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
        raise TinyconvError(f"{error.filename}: {error.strerror}; the checkpoint before is whole: make room, and {resume}") from error
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
    print(f"test error: {100 * last['test_error']:.2f}% ({round(last['test_error'] * images)} of {images})"
          + (f", top-5 error: {100 * last['test_top5_error']:.2f}%" if "test_top5_error" in last else ""))
    return 0


def _settings(given):
    loss = given.get("loss", default_loss(given["model"]))
    chosen = recipe(given["model"], loss)
    settings = {"data": chosen.data, "data_dir": None, "seed": 0, "loss": loss} | chosen.settings() | given
    for name in given["options"].keys() - chosen.options.keys():
        option = f"--{'no-' if given['options'][name] is False else ''}{name}"
        raise TinyconvError(f"{given['model']} has no option {option}; leave it out")
    settings["options"] = chosen.options | given["options"]
    if settings["data"] is None:
        raise TinyconvError(f"{given['model']}: name its images with --data DIR, a folder with one sub-folder of photographs a class")
    if "lr_steps" in given:
        if given.get("schedule", "steps") != "steps":
            raise TinyconvError(f"--lr-steps: goes with --schedule steps, not {given['schedule']}; leave one of them out")
        settings["schedule"] = "steps"
    elif settings["schedule"] == "steps":
        raise TinyconvError("--schedule steps: name the epochs with --lr-steps, such as --lr-steps 30,60,80")
    if "patience" in given and settings["schedule"] != "plateau":
        raise TinyconvError(f"--patience: goes with --schedule plateau, not {settings['schedule']}; leave it out")
    if "augment" in given and not chosen.augment:
        raise TinyconvError(f"{given['model']} has no option --no-augment; leave it out")
    if "epochs" not in given:
        settings["epochs"] = EPOCHS.get(settings["data"], chosen.epochs)
    settings["data"] = _full_name(settings["data"])
    settings["data_dir"] = settings["data_dir"] and str(Path(settings["data_dir"]).expanduser().resolve())
    return settings | {"preparation": chosen.preparation}


def _full_name(name):
    """A folder of images by its full name, so that a run is resumed and tested from anywhere; a named data set as it is."""
    return str(Path(name).resolve()) if name not in data.NAMED and Path(name).is_dir() else name


def _resumed(folder, given):
    """The run to go on with. Options that would make it another run are refused."""
    if folder is None:
        raise TinyconvError("--resume: name the run with --out RUN")
    this = Run.open(folder)
    own = this.settings | this.settings["options"]
    for name, value in (given | given["options"]).items():
        if name not in ("data_dir", "options") and own.get(name) != (_full_name(value) if name == "data" else value):
            option = "MODEL" if name == "model" else f"--{'no-' if value is False else ''}{name.replace('_', '-')}"
            began = f"without {option}" if own.get(name) is None or isinstance(value, bool) else f"with {option} {own[name]}, not {value}"
            raise TinyconvError(f"{folder}: was started {began}; leave the option out, or start a new run")
    return this


def _check(settings):
    classes = len(settings["class_names"])
    if settings["loss"] != "softmax" and classes > 10:
        raise TinyconvError(f"{settings['data']}: has {classes} classes and the rbf output units have codes for ten: use --loss softmax")


def _check_memory(net, batch_size, device):
    """Say what training takes, of the GPU's memory where it computes there. Raises TinyconvError where there is less."""
    batch = 4 * batch_size * math.prod(net.input_shape)
    needed, available = memory.needed(net, (batch_size, *net.input_shape)) + AHEAD * batch, memory.available(device)
    of = "" if available is None else f" of {memory.say(available)} available"
    if available is not None and needed > available:
        raise TinyconvError(f"training with batches of {batch_size} needs about {memory.say(needed)} of memory and {memory.say(available)} is "
                            "available; use a smaller --batch-size, or end other programs")
    print(f"memory: about {memory.say(needed)}{of}")


def _check_images(settings, train, net):
    channels, *size = net.input_shape
    photographs = recipe(settings["model"], settings["loss"]).preparation != "fit"      # others are padded to the network's size
    if train.shape[0] != channels or photographs and min(train.shape[1:]) < size[0]:
        raise TinyconvError(f"{settings['data']}: has images of {options.say_shape(train.shape)} and {settings['model']} takes "
                            f"{options.say_shape(net.input_shape)}; use data of that kind, or another model")
    if photographs and min(train.shape[1:]) >= 2 * size[0]:  # a small piece of each would be seen
        raise TinyconvError(f"{settings['data']}: has images of {options.say_shape(train.shape)}, far larger than the {size[0]}x{size[1]} that "
                            f"{settings['model']} sees; make smaller ones with: tinyconv data prepare DIR --out SHARDS --size {size[0]}")


def _create(out, settings):
    """The run in the folder `out`; where None is named, in the first of the usual ones that no other run has."""
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
