"""Settings on the command line: their options, the settings of a new run, the check of a resumed run's."""

import argparse
from pathlib import Path
from typing import Any

from ..errors import TinyconvError
from ..models import MODELS
from ..setting import REQUIRED, Setting, off_switch
from .optimizing import OPTIMIZERS
from .recipes import default_loss
from .settings import TABLE, defaults


def add_options(command: Any, *names: str, said: str | None = None) -> None:
    """Add the options of the settings `names` to a parser or a group; `said`: the words for their default."""
    for name in names:
        setting = TABLE[name]
        setting.add_to(command, _help(setting, said or _default(setting)))


def add_group(command: Any, group: str) -> None:
    """Add the options of all settings of a group."""
    add_options(command, *(name for name, setting in TABLE.items() if setting.group == group))


def add_model_options(command: Any) -> None:
    """Add the options of all models. One that several models have is one option, with the choices of all."""
    for owners in _model_options().values():
        first, *_ = owners.values()
        words = [f"{model}: {_help(option, _own_default(option))}" for model, option in owners.items()]
        choices = dict.fromkeys(value for option in owners.values() for value in option.kind.choices)
        first.add_to(command, "; ".join(words), tuple(choices))


def given(args: argparse.Namespace) -> dict:
    """Return {setting: value} as the command line has it; the options of the model under "options"."""
    named = {name: value for name, value in vars(args).items() if value is not None}
    settings = {name: setting.kept(named[name]) for name, setting in TABLE.items() if name in named}
    return settings | {"options": {name: named[name] for name in _model_options() if name in named}}


def complete(given: dict) -> dict:
    """Return the settings of a new run, less those that its images and the machine give.

    Raises TinyconvError for settings that do not go together.
    """
    model = given["model"]
    chosen = defaults(model, given.get("loss", default_loss(model)))
    rule = given.get("optimizer", chosen["optimizer"])
    of_rule = OPTIMIZERS[rule].training if rule != chosen["optimizer"] else {}
    settings = chosen | of_rule | given | {"options": chosen["options"] | _options(model, given["options"])}
    if settings["data"] is None:
        raise TinyconvError(
            f"{model}: name its images with --data DIR, a folder with one sub-folder of photographs a class"
        )
    if "lr_steps" in given and "schedule" not in given:
        settings["schedule"] = "steps"
    for setting in (TABLE[name] for name in given if TABLE[name].goes_with):
        other, value = setting.goes_with
        if settings[other] != value:
            option = setting.option(given[setting.name])
            leave = "leave one of them out" if other in given else "leave it out"
            raise TinyconvError(
                f"{option}: goes with {TABLE[other].option()} {value}, not {settings[other]}; {leave}"
            )
    if settings["schedule"] == "steps" and settings["lr_steps"] is None:
        raise TinyconvError("--schedule steps: name the epochs with --lr-steps, such as --lr-steps 30,60,80")
    if "augment" in given and not chosen["augment"]:
        raise TinyconvError(f"{model} has no option --no-augment; leave it out")
    of_data = {
        name: setting.of_data[settings["data"]]
        for name, setting in TABLE.items()
        if settings["data"] in setting.of_data and name not in given
    }
    return settings | of_data


def check_resumed(folder: Path, settings: dict, given: dict) -> None:
    """Raises TinyconvError where an option given would make another run of the one in `folder`."""
    own = settings | settings["options"]
    entries = TABLE | {name: next(iter(owners.values())) for name, owners in _model_options().items()}
    lasting = {
        name: value
        for name, value in (given | given["options"]).items()
        if name != "options" and not entries[name].may_change
    }
    for name, value in lasting.items():
        if own.get(name) != value:
            option = "MODEL" if name == "model" else entries[name].option(value)
            unsaid = own.get(name) is None or isinstance(value, bool)
            began = f"without {option}" if unsaid else f"with {option} {own[name]}, not {value}"
            raise TinyconvError(f"{folder}: was started {began}; leave the option out, or start a new run")


def _options(model: str, given: dict) -> dict:
    """The options given, each of them one of the model's."""
    own = {option.name: option for option in MODELS[model].options}
    for name, value in given.items():
        if name not in own:
            option = next(iter(_model_options()[name].values())).option(value)
            raise TinyconvError(f"{model} has no option {option}; leave it out")
        if not own[name].accepts(value):
            expected = own[name].kind.expected
            raise TinyconvError(f"{own[name].option()}: expected {expected} with {model}, got {value}")
    return given


def _model_options() -> dict[str, dict[str, Setting]]:
    """{option: {model that has it: its Setting}}"""
    found: dict[str, dict[str, Setting]] = {}
    for model, of in MODELS.items():
        for option in of.options:
            found.setdefault(option.name, {})[model] = option
    return found


# ---- the words of the help


def _help(setting, default):
    words = setting.help
    if setting.kind is off_switch and setting.name in TABLE:
        models = [model for model, values in _by_model(setting).items() if values == {True}]
        words = f"{', '.join(models)}: {words}"
    return f"{words} (default: {default})" if default else words


def _default(setting):
    """The default of a setting: that of the table, of data sets, and of the models that have another."""
    if setting.said or setting.kind is off_switch:
        return setting.said
    by_model = _by_model(setting)
    if any(len(values) > 1 for values in by_model.values()):
        return "by model and loss"
    others: dict[Any, list] = {}
    for model, (value,) in by_model.items():
        if value != setting.default:
            others.setdefault(value, []).append(model)
    words = [] if setting.default in (None, REQUIRED) else [str(setting.default)]
    words += [f"{name}: {value}" for name, value in setting.of_data.items()]
    return "; ".join(
        words
        + [f"{', '.join(models)}: {'none' if value is None else value}" for value, models in others.items()]
    )


def _by_model(setting):
    """{model: the values that its recipes give the setting}"""
    if setting.name == "loss":
        return {model: {default_loss(model)} for model in MODELS}
    return {
        model: {defaults(model, loss).get(setting.name) for loss in of.recipes}
        for model, of in MODELS.items()
    }


def _own_default(option):
    """The default of a model's option."""
    if option.kind is off_switch:
        return None
    return option.said or option.default
