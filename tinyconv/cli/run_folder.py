"""A training run as a folder.

    run.json         settings: the model, the recipe, the data and how its images were prepared
    checkpoint.npz   the state after the last epoch, or where it was interrupted
    metrics.csv      a row an epoch              curves.png   the same as a picture
"""
import csv
import io
import json
from pathlib import Path

from .. import losses, optimizers
from ..errors import CheckpointError, TinyconvError
from ..files import write_atomically
from ..models import lenet5, mlp

SETTINGS = {"model": str, "loss": str, "lr": float, "clip": float | None, "momentum": float, "weight_decay": float, "epochs": int, "batch_size": int,
            "seed": int, "threads": int, "data": str, "data_dir": str | None, "class_names": list, "preparation": str, "fingerprint": str}

# (model, loss) -> network and loss
BUILD = {("lenet5", "map"): lambda classes, rng: (lenet5("rbf", rng, classes=classes), losses.RBFLoss("map")),
         ("lenet5", "mse"): lambda classes, rng: (lenet5("rbf", rng, classes=classes), losses.RBFLoss("mse")),
         ("lenet5", "softmax"): lambda classes, rng: (lenet5("dense", rng, classes=classes), losses.SoftmaxCrossEntropy()),
         ("mlp", "softmax"): lambda classes, rng: (mlp(classes=classes, rng=rng), losses.SoftmaxCrossEntropy())}


class Run:
    """The folder of one run, with its `settings` (a dict of JSON values)."""

    def __init__(self, folder, settings):
        self.folder, self.settings = Path(folder), settings
        self.checkpoint = self.folder / "checkpoint.npz"

    @classmethod
    def create(cls, folder, settings):
        """Make the folder and write its settings. Raises TinyconvError where a run that has got anywhere is there already."""
        run = cls(folder, settings)
        if run.checkpoint.exists():
            raise TinyconvError(f"{folder}: holds a run already; continue it with --resume, or name another folder with --out")
        run.folder.mkdir(parents=True, exist_ok=True)
        run.write_text("run.json", json.dumps(settings, indent=1) + "\n")
        return run

    @classmethod
    def open(cls, folder):
        """The run in `folder`. Raises CheckpointError where there is none, or its settings cannot be read."""
        try:
            settings = {"weight_decay": 0.0} | json.loads((Path(folder) / "run.json").read_text())      # runs of before had none
            if missing := SETTINGS.keys() - settings.keys():
                raise ValueError(f"without {', '.join(sorted(missing))}")
            if wrong := [name for name, kind in SETTINGS.items() if not isinstance(settings[name], kind)]:
                raise ValueError(f"{wrong[0]}: {settings[wrong[0]]!r}")
            if (settings["model"], settings["loss"]) not in BUILD:
                raise ValueError(f"no {settings['model']} with the loss {settings['loss']}")
            return cls(folder, settings)
        except (FileNotFoundError, NotADirectoryError):
            raise CheckpointError(f"{folder}: no training run there (no run.json); make one with: tinyconv train lenet5 --out {folder}") from None
        except (ValueError, TypeError) as error:             # TypeError: JSON, but no object
            raise CheckpointError(f"{folder}/run.json: damaged ({error})") from None

    def write_text(self, name, text):
        write_atomically(self.folder / name, lambda file: file.write(text.encode()))

    def network(self, rng=None):
        """The network and the loss that the settings name, untrained."""
        return build(self.settings, rng)

    def trained(self):
        """The network with the weights of the checkpoint, and the loss."""
        net, loss = self.network()
        return net.load(self.checkpoint), loss

    def write_metrics(self, history):
        """metrics.csv: a row an epoch."""
        text = io.StringIO()
        writer = csv.DictWriter(text, history[0])
        writer.writeheader()
        writer.writerows(history)
        self.write_text("metrics.csv", text.getvalue())

    def draw_curves(self, history):
        """curves.png: loss and error over the epochs. Gives a sentence for the user: where it is, or why it is not drawn."""
        try:
            from matplotlib.figure import Figure
            from matplotlib.ticker import LogLocator, NullFormatter
        except ImportError:
            return "no picture of the curves: matplotlib is not installed (pip install 'tinyconv[demo]')"
        figure = Figure(figsize=(9, 3.5), layout="constrained")
        epochs = [row["epoch"] for row in history]
        for axes, keys, title in zip(figure.subplots(1, 2), (("loss", "test_loss"), ("error", "test_error")), ("loss", "error")):
            for key, label in zip(keys, ("training", "test")):
                axes.plot(epochs, [row[key] * (100 if "error" in key else 1) for row in history], marker=".", label=label)
            axes.set(title=title + (" (%)" if title == "error" else ""), xlabel="epoch", yscale="log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.grid(alpha=0.3, which="both")
            axes.legend()
        write_atomically(self.folder / "curves.png", lambda file: figure.savefig(file, format="png", dpi=110))
        return f"curves: {self.folder / 'curves.png'}"


def build(settings, rng=None):
    """The network, untrained, and the loss of a run's settings."""
    return BUILD[settings["model"], settings["loss"]](len(settings["class_names"]), rng)


def sgd(settings, net, steps):
    """The optimiser of a run's settings: Nesterov momentum, its rate falling to 0 along a cosine over all `steps`."""
    return optimizers.SGD(net, optimizers.cosine(settings["lr"], steps), settings["momentum"], settings["weight_decay"], nesterov=True,
                          clip=settings["clip"] or None)
