"""The one table of the settings of a training run.

Of an entry are made: the option of `tinyconv train`, the value where it is not given, and the refusal of
another value at --resume (given.py); its place in run.json, checked when it is read, and the value of runs
that were written before there was such a setting (run_json.py).

To add a setting: its entry here, and its use. Its `before` says what runs did until then: without it, older
runs cannot be opened.
"""

from pathlib import Path

from .. import data, setting
from ..device import PRECISIONS
from ..errors import TinyconvError
from ..models import MODELS
from ..setting import REQUIRED, Setting, choice
from .optimizing import OPTIMIZERS, SCHEDULES
from .recipes import recipe


def _full_name(name):
    """A folder by its full name, so that a run is resumed from anywhere; a named data set as it is."""
    return str(Path(name).resolve()) if name not in data.NAMED and Path(name).is_dir() else name


def _full_path(folder):
    return str(Path(folder).expanduser().resolve())


LOSSES = tuple(dict.fromkeys(loss for model in MODELS.values() for loss in model.recipes))
RATES = {name: rule.training["lr"] for name, rule in OPTIMIZERS.items() if "lr" in rule.training}

_RUN = (
    Setting("model", setting.text),
    Setting(
        "data",
        setting.text,
        "data set, a folder of images with one sub-folder a class, or what "
        "tinyconv data prepare made of such a folder",
        default="mnist5k",
        group="run",
        metavar="mnist5k|mnist|cifar10|DIR",
        kept=_full_name,
    ),
    Setting(
        "data_dir",
        setting.text,
        "where the files of the data set lie, or are downloaded to",
        default=None,
        said="TINYCONV_DATA, else the user's cache folder",
        group="run",
        metavar="D",
        may_change=True,
        kept=_full_path,
    ),
    Setting(
        "seed",
        setting.natural_int,
        "of weights, order, augmentation and dropout",
        default=0,
        group="run",
        metavar="S",
    ),
    Setting(
        "threads",
        setting.positive_int,
        "processors that compute",
        said="all that the process may use",
        group="run",
        metavar="T",
        may_change=True,
    ),
    Setting(
        "device",
        choice("cpu", "cuda"),
        "where it is computed; cuda: on an NVIDIA GPU",
        default="cpu",
        before="cpu",
        group="run",
        may_change=True,
    ),
    Setting(
        "precision",
        choice(*PRECISIONS),
        "cuda: of convolutions and dense layers; float32: exact; "
        "tf32: on tensor cores, factors rounded to 10 bits behind the point",
        default="float32",
        before="float32",
        group="run",
        may_change=True,
    ),
)
_RECIPE = (
    # mnist5k has a twelfth of MNIST's images
    Setting(
        "epochs",
        setting.positive_int,
        "how often all images are seen",
        default=20,
        of_data={"mnist5k": 40},
        group="recipe",
        metavar="N",
    ),
    Setting(
        "until_error",
        setting.percentage,
        "stop after the first epoch with a training error of P per cent or less",
        default=None,
        before=None,
        group="recipe",
        metavar="P",
    ),
    Setting("batch_size", setting.positive_int, "images a step", default=64, group="recipe", metavar="B"),
    Setting(
        "optimizer",
        choice(*OPTIMIZERS),
        "the rule that changes the weights",
        default="sgd",
        before="sgd",
        group="recipe",
    ),
    Setting(
        "lr",
        setting.positive_float,
        "learning rate at the start",
        group="recipe",
        said="; ".join(["by model and loss", *(f"{name}: {rate}" for name, rate in RATES.items())]),
    ),
    Setting(
        "schedule",
        choice(*SCHEDULES),
        "how the rate goes on: "
        + "; ".join(f"{name}: {schedule.help}" for name, schedule in SCHEDULES.items()),
        default="cosine",
        before="cosine",
        group="recipe",
    ),
    Setting(
        "lr_steps",
        setting.ascending_ints,
        "divide the rate by 10 after these many epochs, such as 30,60,80 (makes --schedule steps)",
        default=None,
        before=None,
        goes_with=("schedule", "steps"),
        group="recipe",
        metavar="E,...",
    ),
    Setting(
        "patience",
        setting.positive_int,
        "plateau: epochs without a lower test error before the rate is divided, three times at most",
        default=5,
        before=5,
        goes_with=("schedule", "plateau"),
        group="recipe",
        metavar="E",
    ),
    Setting(
        "momentum",
        setting.below_one,
        "sgd: share of the last step that the next one keeps",
        default=0.9,
        goes_with=("optimizer", "sgd"),
        group="recipe",
    ),
    # no option: a recipe chooses it
    Setting("nesterov", setting.switch, default=True, before=True),
    Setting(
        "beta1",
        setting.below_one,
        "adam: share of the mean gradient that a step keeps",
        default=0.9,
        before=0.9,
        goes_with=("optimizer", "adam"),
        group="recipe",
    ),
    Setting(
        "beta2",
        setting.below_one,
        "adam: share of the mean squared gradient that a step keeps",
        default=0.999,
        before=0.999,
        goes_with=("optimizer", "adam"),
        group="recipe",
    ),
    Setting(
        "eps",
        setting.small_float,
        "adam: added to the root of that mean",
        default=1e-8,
        before=1e-8,
        goes_with=("optimizer", "adam"),
        group="recipe",
    ),
    Setting(
        "decoupled",
        setting.switch,
        "adam: weight decay apart from the gradient (AdamW), or as a part of it",
        default=True,
        before=True,
        said="apart",
        goes_with=("optimizer", "adam"),
        group="recipe",
    ),
    Setting(
        "weight_decay",
        setting.not_negative_float,
        "pull the weights towards 0 by this times the rate",
        default=0.0,
        before=0.0,
        group="recipe",
        metavar="W",
    ),
    Setting(
        "clip",
        setting.not_negative_float,
        "limit the norm of the gradient to this; 0: no limit",
        default=None,
        group="recipe",
    ),
    Setting(
        "augment",
        setting.off_switch,
        "the central part of every image, in training and testing; no random crops, reflections or colours",
        default=False,
        before=False,
        group="recipe",
    ),
)
_MODEL = (
    Setting(
        "loss",
        choice(*LOSSES),
        "map, mse: rbf output units, section II.C of the 1998 paper; softmax: dense output",
        default="softmax",
        group="model",
    ),
    # those of the model, by their names (Model.options)
    Setting("options", setting.values_by_name, default={}, before={}),
)
_IMAGES = (
    Setting("class_names", setting.texts),
    Setting("preparation", setting.text),
    Setting("fingerprint", setting.text),
)
TABLE = {entry.name: entry for entry in _RUN + _RECIPE + _MODEL + _IMAGES}


def defaults(model: str, loss: str) -> dict:
    """Return the settings of a run of which model and loss are named, and nothing else.

    Raises TinyconvError where these do not go together, or the recipe names a setting that does not exist.
    """
    chosen = recipe(model, loss)
    if unknown := sorted(chosen.training.keys() - TABLE.keys()):
        raise TinyconvError(
            f"the recipe of {model} with the loss {loss} names {', '.join(unknown)}: "
            "expected settings of the table in tinyconv/cli/settings.py"
        )
    settings = {name: entry.default for name, entry in TABLE.items() if entry.default is not REQUIRED}
    options = {option.name: option.default for option in MODELS[model].options}
    named = {"model": model, "loss": loss, "preparation": chosen.preparation, "options": options}
    return settings | chosen.training | named
