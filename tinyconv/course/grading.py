"""Credit for what a student has written: each function of a file makes one gradient, and is one credit."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..gradient_check import check_gradients
from .exercises import EXERCISES
from .hints import alike, hint, hint_of_one
from .running import Attempt, TooLong, Unreadable, at_most, load

SECONDS = 10  # that a file may take; each of ours takes under one
OF_THE_POINT = (
    "zero",
    "too many kinks",
    "no digits",
)  # refusals that say something of our points, not of what the student wrote


@dataclass(frozen=True)
class Credit:
    """One gradient."""

    name: str  # dx, dweight ...
    sentence: str = ""  # what is wrong; "" where nothing is

    @property
    def ok(self):
        """True where the gradient is right."""
        return not self.sentence


@dataclass(frozen=True)
class Grade:
    """One file."""

    exercise: object
    credits: tuple  # of Credit, one for each function of the exercise
    problem: str = ""  # of the file as a whole: not there, no Python ...

    @property
    def score(self):
        """Number of gradients that are right."""
        return sum(credit.ok for credit in self.credits)


def grade(folder, seconds=SECONDS):
    """Yield a Grade for every exercise, in order. Raises DataError where `folder` is no folder with exercises
    in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; tinyconv course new {folder} makes it")
    if not any((folder / f"{exercise.name}.py").exists() for exercise in EXERCISES):
        raise DataError(
            f"{folder}: none of the exercises is in it; give the folder that tinyconv course new has made"
        )
    for exercise in EXERCISES:
        yield grade_file(exercise, folder / f"{exercise.name}.py", seconds)


def grade_file(exercise, path, seconds=SECONDS):
    """The Grade of one file. Whatever the file does, nothing is raised: what is wrong with it is said in a
    sentence.
    """
    try:
        with at_most(seconds), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # a hint says it better than a RuntimeWarning
            return _grade(exercise, load(path))
    except TooLong:
        problem = f"takes more than {seconds} s: is there a loop that does not end?"
    except Unreadable as error:
        problem = str(error)
    return Grade(
        exercise,
        tuple(Credit(exercise.gradient_name(array), problem) for array in exercise.functions),
        problem,
    )


def _grade(exercise, module):
    attempts = {
        array: Attempt(module, name, exercise.arguments(name)) for array, name in exercise.functions.items()
    }
    found = {}
    for obj, x, options in exercise.build(attempts):
        _check(exercise, obj, x, options, attempts, found)
    found = {array: hint_of_one(exercise, attempts, array) or sentence for array, sentence in found.items()}
    credits = tuple(
        Credit(exercise.gradient_name(array), found.get(array, "")) for array in exercise.functions
    )
    return Grade(exercise, credits, _forward_changed(exercise, module, attempts))


def _check(exercise, obj, x, options, attempts, found):
    """Check one point: found[array] becomes the sentence for each array that is wrong there and was not
    explained before.
    """
    for attempt in attempts.values():
        attempt.problem = ""
    arrays = {
        f"d{array}": array for array in exercise.functions
    }  # the one function of sequential makes all gradients of the layers
    report = check_gradients(obj, x, quiet=True, diagnose=False, **options)
    wrong = {arrays.get(row.array, "x") for row in report.rows if not row.ok}
    for refusal in report.refusals:
        if refusal.name not in OF_THE_POINT:
            found.setdefault(arrays.get(refusal.array, "x"), hint(refusal.name))
    for array in wrong:
        if attempts[array].problem:
            found.setdefault(array, attempts[array].problem)
    wrong = {array for array in wrong if found.get(array, hint("")).startswith(hint(""))}
    if not wrong:
        return
    report = check_gradients(obj, x, quiet=True, **options)  # once more, to know why
    shapes = {row.array: row.note.removeprefix("WRONG: ") for row in report.rows}
    for diagnosis in report.diagnoses:
        array = arrays.get(diagnosis.array, "x")
        if array in wrong and (array not in found or diagnosis.name):
            wrong -= {array} if diagnosis.name else set()
            where = (
                f"{diagnosis.array} {diagnosis.where}"
                if diagnosis.where and diagnosis.array not in arrays
                else diagnosis.where
            )
            details = "; ".join(filter(None, (shapes.get(diagnosis.array), where)))
            found[array] = hint(diagnosis.name) + (f" ({details})" if details else "")


def _forward_changed(exercise, module, attempts):
    """A sentence where the forward of the file is no longer the one that was given: it is that one that
    gradients are graded for.
    """
    try:
        points = zip(exercise.build(attempts, module.forward), exercise.build(attempts))
        if all(
            alike(theirs.forward(x, **options), ours.forward(x, **options))
            for (theirs, x, options), (ours, *_) in points
        ):
            return ""
    except (Exception, SystemExit):
        pass
    return "its forward was changed; graded are the gradients of the one that was given"
