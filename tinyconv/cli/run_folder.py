"""A training run as a folder.

run.json         settings: the model, the recipe, the data and how its images were prepared (run_json.py)
inputs.npz       how an image becomes what the network sees: crops, mean, principal components
checkpoint.npz   the state after the last epoch, or where it was interrupted
metrics.csv      a row an epoch              curves.png, filters.png   pictures
"""

import csv
import io
import json
from pathlib import Path

from .. import data
from ..data import Inputs
from ..errors import CheckpointError, TinyconvError
from ..files import write_atomically
from .recipes import build, recipe
from .run_json import checked


class FolderTaken(TinyconvError):
    """Another run has this folder already."""


class Run:
    """The folder of one run, with its `settings` (a dict of JSON values)."""

    def __init__(self, folder, settings):
        self.folder, self.settings = Path(folder), settings
        self.checkpoint = self.folder / "checkpoint.npz"

    @classmethod
    def create(cls, folder, settings):
        """Make the folder and write its settings. Raises FolderTaken where a run is there already."""
        run = cls(folder, settings)
        run.check_free()
        run.folder.mkdir(parents=True, exist_ok=True)
        try:
            open(run.folder / "run.json", "x").close()  # of two runs that start at once, one gets it
        except FileExistsError:
            run.check_free()
        run.keep()
        return run

    def check_free(self):
        """Raises FolderTaken where the folder holds a run, wherever that has got to."""
        if self.checkpoint.exists():
            raise FolderTaken(
                f"{self.folder}: holds a run already; continue it with --resume, or name another folder "
                "with --out"
            )
        if (self.folder / "run.json").exists():
            raise FolderTaken(
                f"{self.folder}: holds a run without a checkpoint, which has just begun or never got to one; "
                "remove the folder, or name another with --out"
            )

    @classmethod
    def open(cls, folder):
        """The run in `folder`. Raises CheckpointError where there is none, or its settings cannot be read."""
        try:
            return cls(folder, checked(json.loads((Path(folder) / "run.json").read_text())))
        except (FileNotFoundError, NotADirectoryError):
            raise CheckpointError(
                f"{folder}: no training run there (no run.json); make one with: tinyconv train MODEL --out "
                f"{folder}"
            ) from None
        except UnicodeDecodeError as error:
            raise CheckpointError(f"{folder}/run.json: damaged ({error})") from None
        except ValueError as error:
            what, *expected = error.args
            advice = f"; expected {expected[0]}" if expected else ""
            raise CheckpointError(f"{folder}/run.json: damaged ({what}){advice}") from None

    def keep(self, **settings):
        """Change settings, in run.json too."""
        self.settings |= settings
        self.write_text("run.json", json.dumps(self.settings, indent=1) + "\n")

    def remove_partial(self):
        """Remove what a process that was killed while it wrote has left (files.py)."""
        for partial in self.folder.glob(".*.partial"):
            partial.unlink(missing_ok=True)

    def write_text(self, name, text):
        write_atomically(self.folder / name, lambda file: file.write(text.encode()))

    def trained(self):
        """The network with the weights of the checkpoint, and the loss."""
        net, loss = build(self.settings)
        return net.load(self.checkpoint), loss

    def data(self, name=None, data_dir=None):
        """(train, test) of the data set or folder `name`, prepared as the run's own, which is the default.
        Raises DataError.
        """
        preparation = self.settings[
            "preparation"
        ]  # "digit" is what MNIST did with its digits; a folder's images are fitted
        return data.load(
            name or self.settings["data"],
            data_dir=data_dir or self.settings["data_dir"],
            preparation="fit" if preparation == "digit" else preparation,
        )

    def inputs(self, net):
        """The Inputs that the run was trained with. Runs of before have no file of them: those of digits."""
        path = self.folder / "inputs.npz"
        if path.exists() or recipe(self.settings["model"], self.settings["loss"]).preparation != "fit":
            return Inputs.load(path)
        return Inputs.digits((1, 28, 28), net.input_shape)

    def write_metrics(self, history):
        """metrics.csv: a row an epoch."""
        text = io.StringIO()
        writer = csv.DictWriter(
            text, history[-1], restval="", extrasaction="ignore"
        )  # rows of before may have fewer columns
        writer.writeheader()
        writer.writerows(history)
        self.write_text("metrics.csv", text.getvalue())
