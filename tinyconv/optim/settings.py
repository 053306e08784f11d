"""Settings of an optimizer: attributes that are checked when they are set, and read anew at every step."""

import functools
import math
import numbers
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

import numpy as np

Value = TypeVar("Value")


class Setting(Generic[Value]):
    """A setting as a class attribute: `momentum = Setting("of 0 or more", at_least(0))`.

    expected   the end of the sentence "expected momentum ...", said where a value cannot be taken
    convert    gives the value that is kept; raises ValueError or TypeError for one that cannot be taken
    """

    def __init__(self, expected: str, convert: Callable[[Any], Value]):
        self.expected = expected
        self.convert = convert

    def __set_name__(self, owner, name):
        self.name = name

    @overload
    def __get__(self, optimizer: None, owner: type) -> "Setting[Value]": ...

    @overload
    def __get__(self, optimizer: object, owner: type) -> Value: ...

    def __get__(self, optimizer, owner):
        return self if optimizer is None else vars(optimizer)[self.name]

    def __set__(self, optimizer, value: Any):
        before = vars(optimizer).get(self.name)
        vars(optimizer)[self.name] = self.checked(optimizer, value)
        # in the constructor the others are still to come
        if optimizer._closed:
            try:
                optimizer._check_settings()
            except ValueError:
                vars(optimizer)[self.name] = before
                raise

    def checked(self, optimizer, value: Any) -> Value:
        """Return the value to keep. Raises ValueError, with one sentence, for one that cannot be taken."""
        try:
            return self.convert(value)
        except (TypeError, ValueError):
            message = f"{type(optimizer).__name__}: expected {self.name} {self.expected}, got {value!r}"
            raise ValueError(message) from None


def closing(init: Callable) -> Callable:
    """Return the constructor `init`, which closes the optimizer: no attribute can be added any more.

    Raises TypeError where a constructor does not call that of Optimizer.
    """

    @functools.wraps(init)
    def constructor(self, *arguments, **options):
        init(self, *arguments, **options)
        # the constructor of the object's own class, not one that it calls by super()
        if type(self).__init__ is constructor:
            if "net" not in vars(self):
                name = type(self).__name__
                raise TypeError(f"{name}: its __init__ must call super().__init__(net, lr, ...)")
            self._check_settings()
            vars(self)["_closed"] = True

    return constructor


def real(value: Any) -> float:
    """Return a finite number as a Python float, which leaves arrays in their dtype.

    Raises TypeError or ValueError for anything else.
    """
    scalar = isinstance(value, np.ndarray) and value.ndim == 0
    if isinstance(value, (bool, np.bool_)) or not (scalar or isinstance(value, numbers.Real)):
        raise TypeError
    if not math.isfinite(value):
        raise ValueError
    return float(value)


def at_least(lowest: float, below: float = math.inf) -> Callable[[Any], float]:
    """Return a function that converts a number with lowest <= number < below."""

    def convert(value):
        number = real(value)
        if not lowest <= number < below:
            raise ValueError
        return number

    return convert


def truth(value: Any) -> bool:
    """Return True or False. Raises TypeError for anything else than these, or 1 and 0."""
    if not isinstance(value, (bool, np.bool_, int)) or value not in (0, 1):
        raise TypeError
    return bool(value)


def whole(value: Any) -> int:
    """Return a whole number of 0 or more. Raises TypeError or ValueError for anything else."""
    if not isinstance(value, numbers.Integral):
        raise TypeError
    if value < 0:
        raise ValueError
    return int(value)


def limit(value: Any) -> float | None:
    """Return a number above 0, or None. Raises TypeError or ValueError for anything else."""
    if value is None:
        return None
    if value != math.inf and real(value) <= 0:
        raise ValueError
    return float(value)


def function(value: Any) -> Callable:
    """Return a function. Raises TypeError for anything that cannot be called."""
    if not callable(value):
        raise TypeError
    return value
