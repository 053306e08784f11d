"""The settings in run.json: read, completed and checked by the table in settings.py."""

from collections.abc import Iterable
from typing import Any

from .. import setting
from ..models import MODELS
from ..setting import REQUIRED, Setting
from .settings import TABLE


def checked(settings: Any) -> dict:
    """Return the settings of a run.json, with those added that its run was written without.

    Raises ValueError where one is missing, unknown or has no value of its kind: its arguments are what is
    wrong and, where that can be said, what was expected.
    """
    if type(settings) is not dict:
        raise ValueError("no settings", setting.values_by_name.expected)
    if unknown := sorted(settings.keys() - TABLE.keys()):
        raise ValueError(f"with {', '.join(unknown)}", "only settings of this version of tinyconv")
    settings = _completed(settings, TABLE.values(), "")
    model, loss = settings["model"], settings["loss"]
    if model not in list(MODELS) or loss not in list(MODELS[model].recipes):
        raise ValueError(f"no {model} with the loss {loss}")
    _check_values(settings, TABLE.values(), "")
    options = MODELS[model].options
    if settings["options"].keys() - {option.name for option in options}:
        raise ValueError(f"options: {settings['options']!r}", f"options of {model}")
    settings["options"] = _completed(settings["options"], options, "options ")
    _check_values(settings["options"], options, "options: ")
    return settings


def _completed(values: dict, entries: Iterable[Setting], of: str) -> dict:
    """Return `values`, and those of before where they are missing."""
    values = {entry.name: entry.before for entry in entries if entry.before is not REQUIRED} | values
    if missing := {entry.name for entry in entries} - values.keys():
        raise ValueError(f"{of}without {', '.join(sorted(missing))}")
    return values


def _check_values(values: dict, entries: Iterable[Setting], of: str) -> None:
    for entry in entries:
        if not entry.accepts(values[entry.name]):
            raise ValueError(f"{of}{entry.name}: {values[entry.name]!r}", entry.kind.expected)
