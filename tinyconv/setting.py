"""Setting: one setting of a training run, as an option of the command line and as a JSON value of run.json.

A model describes its own options with it (tinyconv/recipe.py). The settings that all runs have are in one
table (tinyconv/cli/settings.py).
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Kind:
    """The values that a setting may have.

    accepts    value -> True where the value, as JSON gives it, is one of them
    expected   the words of the sentence about a value that is none
    read       text of the command line -> value; raises ValueError where the text is none
    choices    all values, where they are few
    """

    accepts: Callable[[Any], bool]
    expected: str
    read: Callable[[str], Any] = str
    choices: tuple = ()

    def __call__(self, text: str) -> Any:
        """Return the value of an option's text. Raises argparse.ArgumentTypeError: bad usage."""
        try:
            value = self.read(text)
            if self.accepts(value):
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"expected {self.expected}, got {text!r}")


def whole(accepts: Callable[[int], bool], expected: str) -> Kind:
    """Return the kind of the whole numbers for which accepts(number) is true."""
    return Kind(lambda value: type(value) is int and accepts(value), expected, int)


def real(accepts: Callable[[float], bool], expected: str) -> Kind:
    """Return the kind of the numbers for which accepts(number) is true."""
    return Kind(lambda value: type(value) in (int, float) and accepts(value), expected, float)


def choice(*values: Any) -> Kind:
    """Return the kind of these values, all of one type."""
    kind = type(values[0])
    expected = f"one of {', '.join(map(str, values))}"
    return Kind(lambda value: type(value) is kind and value in values, expected, kind, values)


def _ascend(value):
    if type(value) is not list or not value or any(type(n) is not int or n < 1 for n in value):
        return False
    return value == sorted(set(value))


positive_int = whole(lambda value: value >= 1, "a whole number of 1 or more")
natural_int = whole(lambda value: value >= 0, "a whole number of 0 or more")
positive_float = real(lambda value: 0 < value <= 1e9, "a number above 0 and up to 1e9")
not_negative_float = real(lambda value: 0 <= value <= 1e9, "a number from 0 to 1e9")
# no smaller than the smallest normal float32
small_float = real(lambda value: 1.2e-38 <= value <= 1, "a number from 1.2e-38 to 1")
percentage = real(lambda value: 0 <= value <= 100, "per cent from 0 to 100")
below_one = real(lambda value: 0 <= value < 1, "a number from 0 up to, but not including, 1")
ascending_ints = Kind(
    _ascend,
    "whole numbers of 1 or more that ascend, such as 30,60,80",
    lambda text: [int(part) for part in text.split(",")],
)
text = Kind(lambda value: type(value) is str, "a text")
texts = Kind(lambda value: type(value) is list and all(type(one) is str for one in value), "a list of texts")
values_by_name = Kind(lambda value: type(value) is dict, "values by their names")
# --name and --no-name
switch = Kind(lambda value: type(value) is bool, "true or false")
# --no-name alone: it is on unless it is switched off
off_switch = Kind(lambda value: type(value) is bool, "true or false")


class _Required:
    def __repr__(self):
        return "REQUIRED"


REQUIRED = _Required()


@dataclass(frozen=True)
class Setting:
    """One setting.

    name        its key in run.json; its option is --name, with hyphens
    kind        the values that it may have; None is one too where it is the default
    help        the words of the option's help
    default     the value where neither the command line nor the recipe names one; REQUIRED: there is none,
                and the recipe, the data or the machine gives the value
    before      the value of runs that were written before there was this setting; REQUIRED: every run has it
    group       the heading of the option in the help; None: no option
    metavar     the word for the value in the help
    goes_with   (other setting, value): the one case in which the setting has an effect; elsewhere the option
                is refused
    of_data     {data set: value}: a default that goes before those of the table and of the recipe
    said        the words for the default in the help, where the value does not say it
    may_change  True: a run may be resumed with another value
    kept        given value -> the value that the run keeps
    """

    name: str
    kind: Kind
    help: str = ""
    default: Any = REQUIRED
    before: Any = REQUIRED
    group: str | None = None
    metavar: str | None = None
    goes_with: tuple[str, Any] | None = None
    of_data: dict[str, Any] = field(default_factory=dict)
    said: str | None = None
    may_change: bool = False
    kept: Callable[[Any], Any] = lambda value: value

    def accepts(self, value: Any) -> bool:
        """True where the setting may have the value, as JSON gives it."""
        return value is None and self.default is None or self.kind.accepts(value)

    def option(self, value: Any = None) -> str:
        """Return the option as a user writes it: --lr-steps; of a switch that is off, --no-norm."""
        return f"--{'no-' if value is False else ''}{self.name.replace('_', '-')}"

    def add_to(self, parser: Any, help: str, choices: tuple = ()) -> None:
        """Add the option to an argparse parser or group. An option that is not given is None."""
        if self.kind is off_switch:
            parser.add_argument(
                self.option(False), dest=self.name, action="store_false", default=None, help=help
            )
        elif self.kind is switch:
            parser.add_argument(self.option(), action=argparse.BooleanOptionalAction, help=help)
        elif self.kind.choices:
            parser.add_argument(
                self.option(),
                type=self.kind.read,
                choices=choices or self.kind.choices,
                metavar=self.metavar,
                help=help,
            )
        else:
            parser.add_argument(self.option(), type=self.kind, metavar=self.metavar, help=help)
