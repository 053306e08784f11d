"""Credit for what a student has written: each function of a file is one gradient, and one credit."""
import contextlib
import inspect
import signal
import tokenize
import traceback
import types
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..gradient_check import check_gradients
from .exercises import EXERCISES
from .hints import hint, hint_of_one

BLANK = "not written yet"
PROBLEM = "problem"                                         # the name of what is wrong besides the numbers: an exception, None ...
SECONDS = 10                                                # that a file may take; each of ours takes under one
OF_THE_POINT = ("zero", "too many kinks", "no digits")      # refusals that say something of our points, not of what the student wrote


@dataclass(frozen=True)
class Credit:
    """One gradient."""

    name: str                    # dx, dweight ...
    sentence: str = ""           # what is wrong; "" where nothing is

    @property
    def ok(self):
        return not self.sentence


@dataclass(frozen=True)
class Grade:
    """One file."""

    exercise: object
    credits: tuple               # of Credit, one for each function of the exercise
    problem: str = ""            # of the file as a whole: not there, no Python ...

    @property
    def score(self):
        return sum(credit.ok for credit in self.credits)


class TooLong(BaseException):
    """Not an Exception: whoever catches those must not catch this."""


def grade(folder, seconds=SECONDS):
    """Yield a Grade for every exercise, in order. Raises DataError where `folder` is no folder with exercises in it."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; tinyconv course new {folder} makes it")
    if not any((folder / f"{exercise.name}.py").exists() for exercise in EXERCISES):
        raise DataError(f"{folder}: none of the exercises is in it; give the folder that tinyconv course new has made")
    for exercise in EXERCISES:
        yield grade_file(exercise, folder / f"{exercise.name}.py", seconds)


def grade_file(exercise, path, seconds=SECONDS):
    """The Grade of one file. Whatever the file does, nothing is raised: what is wrong with it is said in a sentence."""
    sentences, problem = {}, ""
    try:
        with _at_most(seconds), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")                  # a hint says it better than a RuntimeWarning
            problem = _grade(exercise, path, sentences)
    except TooLong:
        problem = f"takes more than {seconds} s: is there a loop that does not end?"
    except _Unreadable as error:
        problem = str(error)
    failed = problem if not sentences else BLANK
    return Grade(exercise, tuple(Credit(exercise.gradient_name(array), sentences.get(array, failed)) for array in exercise.functions), problem)


class _Unreadable(Exception):
    """The file cannot be graded; the text is the sentence."""


def _grade(exercise, path, sentences):
    """Fill in what is wrong with each array, "" where nothing is; give what is wrong with the file though it can be graded, or ""."""
    module, problems = _load(path), {}
    gradients = {array: _attempt(module, path, name, exercise.arguments(name), problems, array) for array, name in exercise.functions.items()}
    found = {}
    for obj, x, options in exercise.build(gradients):
        _check(exercise, obj, x, options, problems, found)
    for array in exercise.functions:
        name, sentence = found.get(array, ("", ""))
        special = hint_of_one(exercise, gradients, array) if sentence and name != PROBLEM else None
        sentences[array] = special or sentence
    return _forward_changed(exercise, module, gradients)


def _check(exercise, obj, x, options, problems, found):
    """Check one point: found[array] becomes (name of the mistake, sentence) for each array that is wrong there, unless an earlier point has named it."""
    arrays = {f"d{array}": array for array in exercise.functions}            # the one function of sequential makes all gradients of the layers
    report = check_gradients(obj, x, quiet=True, diagnose=False, **options)
    wrong = {arrays.get(row.array, "x") for row in report.rows if not row.ok}
    found.update({array: (PROBLEM, problems[array]) for array in wrong if array in problems and array not in found})
    unnamed = {array for array in wrong if not (array in found and found[array][0])}
    for refusal in report.refusals:
        if refusal.name not in OF_THE_POINT:
            found.setdefault(arrays.get(refusal.array, "x"), (refusal.name, hint(refusal.name)))
    if not unnamed:
        return
    report = check_gradients(obj, x, quiet=True, **options)
    shapes = {row.array: row.note.removeprefix("WRONG: ") for row in report.rows}
    for diagnosis in report.diagnoses:
        array = arrays.get(diagnosis.array, "x")
        if array in unnamed and not found.get(array, ("", ""))[0]:
            place = "" if diagnosis.array in arrays else f"{diagnosis.array} "
            details = "; ".join(filter(None, (shapes.get(diagnosis.array), diagnosis.where and place + diagnosis.where)))
            found[array] = diagnosis.name, hint(diagnosis.name) + (f" ({details})" if details else "")


def _load(path):
    """The file as a module, without a trace in __pycache__ or sys.modules."""
    module = types.ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        with tokenize.open(path) as file:                    # as Python itself would decode it
            code = compile(file.read(), str(path), "exec")
        exec(code, vars(module))
    except FileNotFoundError:
        raise _Unreadable("the file is missing") from None
    except SyntaxError as error:
        raise _Unreadable(f"is no Python: {error.msg}" + (f", line {error.lineno}" if error.lineno else "")) from None
    except (Exception, SystemExit) as error:
        raise _Unreadable(_sentence(error, path)) from None
    return module


def _attempt(module, path, name, names, problems, array):
    """The student's function, called with its arguments by name; what it does wrong besides giving wrong numbers goes to problems[array]."""
    function = getattr(module, name, None)

    def attempt(arguments):
        given = [_copy(arguments[argument]) for argument in names]
        try:
            problem, gradient = "", function(*given)
        except NotImplementedError:
            problem, gradient = BLANK, None
        except (Exception, SystemExit) as error:
            problem, gradient = f"{name} {_sentence(error, path)}", None
        problem = problem or _misbehaviour(name, gradient) or _changed(name, names, given, arguments)
        if problem:
            problems.setdefault(array, problem)
            return np.float64(np.nan)
        return np.asarray(gradient, np.float64)

    if not inspect.isroutine(function):
        function = _missing
        problems[array] = f"{name} is missing"
    return attempt


def _missing(*arguments):
    raise NotImplementedError


def _misbehaviour(name, gradient):
    if gradient is None:
        return f"{name} gives None: does it end with return?"
    try:
        kind = np.asarray(gradient).dtype.kind
    except ValueError:                                       # a list of arrays of different shapes
        kind = "O"
    return "" if kind in "fiu" else f"{name} gives {type(gradient).__name__}, and not one array of real numbers"


def _copy(value):
    return value.copy() if isinstance(value, np.ndarray) else value


def _changed(name, names, given, arguments):
    changed = [argument for argument, value in zip(names, given) if isinstance(value, np.ndarray) and not np.array_equal(value, arguments[argument])]
    return f"{name} changes {' and '.join(changed)}, which it was given; work on a copy, or in an array of its own" if changed else ""


def _sentence(error, path):
    """stops with ValueError in line 12: ..."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    where, words = f" in line {lines[-1]}" if lines else "", " ".join(str(error).split())
    return f"stops with {type(error).__name__}{where}" + (f": {words[:160]}" if words else "")


def _forward_changed(exercise, module, gradients):
    """A sentence where the file's forward is no longer the one that was given: gradients are graded against that one."""
    from .exercises import BY_NAME
    try:
        for (obj, x, options), (own, *_) in zip(exercise.build(gradients), exercise.build(gradients)):
            own._forward = module.forward
            if BY_NAME[exercise.name].prefix == "backward_" and not np.allclose(obj.forward(x, **options), own.forward(x, **options)):
                return "its forward was changed; the gradients are graded for the one that was given"
    except (Exception, SystemExit):
        return "its forward was changed and stops; the gradients are graded for the one that was given"
    return ""


@contextlib.contextmanager
def _at_most(seconds):
    """Raise TooLong in what takes longer; where the system has no such signal (Windows), or outside of the main thread, there is no limit."""
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
