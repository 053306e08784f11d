"""tinyconv train: from a data set to a trained network, in a folder that can be resumed, tested and used."""
import math
import signal
from itertools import count
from pathlib import Path

from .. import data
from ..errors import TinyconvError
from ..parallel import available_threads
from ..training import Trainer
from . import options
from .run_folder import Run, build, sgd

# What a run uses where the command line is silent. The first was chosen on a held-out tenth of MNIST's training images, five seeds a recipe.
PLAIN = {"clip": None, "weight_decay": 0.0}
RECIPES = {("lenet5", "map"): {"lr": 1e-2, "clip": 10.0, "weight_decay": 5e-3}, ("lenet5", "mse"): {"lr": 3e-3} | PLAIN,
           ("lenet5", "softmax"): {"lr": 1e-2} | PLAIN, ("mlp", "softmax"): {"lr": 2e-2} | PLAIN}
EPOCHS = {"mnist5k": 40}                                     # a twelfth of the images: more passes. Other data: 20, as in 1998
DEFAULTS = {"data": "mnist5k", "data_dir": None, "batch_size": 64, "momentum": 0.9, "seed": 0}


def add_parser(commands):
    command = options.parser(commands, "train", "train a network; test it after each epoch",
                             "tinyconv train lenet5 --data mnist --epochs 20 --out runs/first")
    command.add_argument("model", choices=["lenet5", "mlp"])
    options.add_data_options(command, "mnist5k")
    command.add_argument("--epochs", type=options.positive_int, metavar="N", help="default: 20, and 40 for mnist5k")
    command.add_argument("--batch-size", type=options.positive_int, metavar="B", help="images a step (default: 64)")
    command.add_argument("--loss", choices=["map", "mse", "softmax"],
                         help="map, mse: rbf output units, section II.C of the 1998 paper; softmax: dense output (default: map; mlp: softmax)")
    command.add_argument("--lr", type=options.positive_float,
                         help="learning rate at the start; it falls to 0 along a cosine (default: by model and loss)")
    command.add_argument("--clip", type=options.not_negative_float,
                         help="limit the norm of the gradient to this; 0: no limit (default: by model and loss)")
    command.add_argument("--weight-decay", type=options.not_negative_float, metavar="W",
                         help="pull the weights towards 0 by this times the rate (default: by model and loss)")
    command.add_argument("--seed", type=options.natural_int, metavar="S", help="of the weights and of the order of the images (default: 0)")
    options.add_threads_option(command)
    command.add_argument("--out", metavar="RUN", type=Path, help="folder of the run (default: runs/MODEL-DATA, with a number where that is taken)")
    command.add_argument("--resume", action="store_true", help="continue the run in --out where it stopped, with its own settings")
    return command


def run(args):
    given = {name: getattr(args, name) for name in ("model", "data", "data_dir", "epochs", "batch_size", "loss", "lr", "clip",
                                                  "weight_decay", "seed")
             if getattr(args, name) is not None}
    folder, settings = _resumed(args.out, given) if args.resume else (args.out, _settings(given))
    train, test = data.load(settings["data"], data_dir=given.get("data_dir", settings["data_dir"]))
    found = {"class_names": list(train.class_names), "preparation": train.preparation, "fingerprint": train.fingerprint()}
    if args.resume and any(settings[name] != value for name, value in found.items()):
        raise TinyconvError(f"{settings['data']}: not the images that {folder} was trained on; resume with the same data, or start a new run")
    settings |= found
    _check(settings)

    threads = args.threads or settings.get("threads") or available_threads()
    net, loss = build(settings, rng=settings["seed"])
    steps = settings["epochs"] * math.ceil(len(train) / settings["batch_size"])
    size = net.input_shape[1:]
    trainer = Trainer(net, loss, sgd(settings, net, steps), train.padded_to(*size), test.padded_to(*size), epochs=settings["epochs"],
                      batch_size=settings["batch_size"], seed=settings["seed"], threads=threads)
    if args.resume:
        this = Run(folder, settings)
        trainer.load(this.checkpoint)
        if threads != settings["threads"]:
            print(f"resuming with {threads} threads instead of {settings['threads']}: the last bits of the result will differ")
    else:
        this = Run.create(folder or _free_folder(settings), settings | {"threads": threads})
    print(f"{settings['model']}, {loss!r}: {len(train)} training and {len(test)} test images of {settings['data']}, {threads} threads, "
          f"run folder {this.folder}")
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
        curves = this.draw_curves(trainer.progress.history) if trainer.progress.history else None
    except OSError as error:
        if not this.checkpoint.exists():
            raise
        raise TinyconvError(f"{error.filename}: {error.strerror}; the checkpoint before is whole: make room, and {resume}") from error
    finally:
        signal.signal(signal.SIGINT, previous)
    if curves:
        print(curves)
    if not finished:
        print(f"interrupted; {resume}")
        return 130
    last = trainer.progress.history[-1]
    images = len(trainer.test)
    print(f"test error: {100 * last['test_error']:.2f}% ({round(last['test_error'] * images)} of {images})")
    return 0


def _settings(given):
    settings = DEFAULTS | given
    settings.setdefault("loss", "softmax" if settings["model"] == "mlp" else "map")
    settings.setdefault("epochs", EPOCHS.get(settings["data"], 20))
    if (settings["model"], settings["loss"]) not in RECIPES:
        raise TinyconvError(f"{settings['model']} has no rbf output units for --loss {settings['loss']}: use --loss softmax")
    settings["data"] = _full_name(settings["data"])
    settings["data_dir"] = settings["data_dir"] and str(Path(settings["data_dir"]).expanduser().resolve())
    return RECIPES[settings["model"], settings["loss"]] | settings


def _full_name(name):
    """A folder of images by its full name, so that a run is resumed and tested from anywhere; a named data set as it is."""
    return str(Path(name).resolve()) if name not in data.NAMED and Path(name).is_dir() else name


def _resumed(folder, given):
    """The folder and settings of a run to go on with. Options that would make it another run are refused."""
    if folder is None:
        raise TinyconvError("--resume: name the run with --out RUN")
    settings = Run.open(folder).settings
    for name, value in given.items():
        if name != "data_dir" and settings[name] != (_full_name(value) if name == "data" else value):
            option = "MODEL" if name == "model" else f"--{name.replace('_', '-')}"
            raise TinyconvError(f"{folder}: was started with {option} {settings[name]}, not {value}; leave the option out, or start a new run")
    return folder, settings


def _check(settings):
    classes = len(settings["class_names"])
    if settings["loss"] != "softmax" and classes > 10:
        raise TinyconvError(f"{settings['data']}: has {classes} classes and the rbf output units have codes for ten: use --loss softmax")


def _free_folder(settings):
    name = f"{settings['model']}-{Path(settings['data']).name}"
    return next(folder for number in count(1)
                if not ((folder := Path("runs") / (name if number == 1 else f"{name}-{number}")) / "checkpoint.npz").exists())
