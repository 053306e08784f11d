"""A student's code, run so that whatever it does ends in a sentence: it may be no Python, stop, never end, or
give what is no array.
"""

import contextlib
import inspect
import signal
import tokenize
import traceback
import types
from pathlib import Path

import numpy as np

BLANK = "not written yet"


class Unreadable(Exception):
    """The file cannot be graded; the text is the sentence."""


class TooLong(BaseException):
    """Not an Exception: who catches those must not catch this."""


def load(path):
    """The file as a module, without a trace in __pycache__ or sys.modules. Raises Unreadable."""
    module = types.ModuleType(Path(path).stem)
    module.__file__ = str(path)
    try:
        with tokenize.open(path) as file:  # as Python itself would decode it
            code = compile(file.read(), str(path), "exec")
        exec(code, vars(module))
    except FileNotFoundError:
        raise Unreadable("the file is missing") from None
    except SyntaxError as error:
        raise Unreadable(
            f"is no Python: {error.msg}" + (f", line {error.lineno}" if error.lineno else "")
        ) from None
    except (Exception, SystemExit) as error:
        raise Unreadable(_stops(error, path)) from None
    return module


class Attempt:
    """One function of the student's, called with a dict of arguments: gives its gradient, or NaN where it
    gives none.

    problem  why the first call since it was last emptied gave none; "" where all did
    """

    def __init__(self, module, name, arguments):
        self.function, self.name, self.arguments, self.path = (
            getattr(module, name, None),
            name,
            arguments,
            module.__file__,
        )
        self.problem = ""

    def __call__(self, arguments):
        """Return the gradient that the student's function gives for these arguments."""
        given = [
            value.copy() if isinstance(value := arguments[name], np.ndarray) else value
            for name in self.arguments
        ]
        gradient, problem = self._call(given)
        changed = [
            name
            for name, value in zip(self.arguments, given)
            if isinstance(value, np.ndarray) and not np.array_equal(value, arguments[name])
        ]
        if changed and not problem:
            problem = (
                f"{self.name} changes {' and '.join(changed)}, which it was given; work on a copy, "
                "or in an array of its own"
            )
        self.problem = self.problem or problem
        return np.float64(np.nan) if problem else gradient

    def _call(self, given):
        """(gradient, "") or (None, what is wrong)."""
        if not inspect.isroutine(self.function):
            return None, f"{self.name} is missing"
        try:
            gradient = self.function(*given)
        except NotImplementedError:
            return None, BLANK
        except (Exception, SystemExit) as error:
            return None, f"{self.name} {_stops(error, self.path)}"
        if gradient is None:
            return None, f"{self.name} gives None: does it end with return?"
        try:
            array = np.asarray(gradient)
        except ValueError:  # arrays of different shapes in a list
            array = np.empty(0, object)
        if array.dtype.kind not in "fiu":
            return None, f"{self.name} gives {type(gradient).__name__}, and not one array of real numbers"
        return array.astype(np.float64), ""

    def __deepcopy__(self, memo):
        return self  # the checker copies what it checks; a problem is a problem of them all


def _stops(error, path):
    """stops with ValueError in line 12: ..."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    where, words = f" in line {lines[-1]}" if lines else "", " ".join(str(error).split())
    return f"stops with {type(error).__name__}{where}" + (f": {words[:160]}" if words else "")


@contextlib.contextmanager
def at_most(seconds):
    """Raise TooLong in what takes longer. Where the system has no such signal (Windows), and outside of the
    main thread, there is no limit.
    """

    def stop(number, frame):
        raise TooLong

    try:
        before = signal.signal(signal.SIGALRM, stop)
    except (AttributeError, ValueError):
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
