"""tinyconv course: backward passes to write, and to have graded."""

import contextlib
import io
from pathlib import Path

from .. import course
from ..course.exercises import BY_NAME
from ..course.running import BLANK
from ..errors import DataError
from . import options


def add_parser(commands):
    command = options.parser(
        commands,
        "course",
        "write exercises in backward passes, and grade them",
        "tinyconv course new exercises && tinyconv course check exercises",
    )
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    new = options.parser(
        actions,
        "new",
        "write the exercises: NumPy files with the forward given and the backward blank",
        "tinyconv course new exercises",
    )
    new.add_argument("folder", metavar="DIR", type=Path, help="a folder that does not exist yet, or is empty")
    check = options.parser(
        actions,
        "check",
        "grade the exercises: credit for each gradient, and a hint where one is wrong",
        "tinyconv course check exercises",
        more="Exit status 0 where all is right (extras do not count), else 1. Checking runs the files.",
    )
    check.add_argument(
        "folder",
        metavar="DIR|FILE.py",
        type=Path,
        help="the folder that was made with new, or one file of it, whose own output is then shown",
    )
    return command


def run(args):
    return _new(args.folder) if args.action == "new" else _check(args.folder)


def _new(folder):
    paths = course.write(folder)
    print(f"{len(paths)} exercises in {folder}, in the order of its README.md: begin with {paths[0]}")
    print(f"then: tinyconv course check {folder}")
    return 0


def _check(path):
    if path.is_dir() or path.suffix != ".py":
        grades = _quietly(course.grade(path))
    elif path.stem not in BY_NAME:
        raise DataError(
            f"{path}: is no exercise; expected a folder, or one of "
            f"{', '.join(f'{name}.py' for name in BY_NAME)}"
        )
    else:
        grades = [course.grade_file(BY_NAME[path.stem], path)]
    score, possible = {True: 0, False: 0}, {True: 0, False: 0}
    for grade in grades:
        extra = grade.exercise.extra
        score[extra] += grade.score
        possible[extra] += len(grade.credits)
        print("\n".join(_lines(grade)), flush=True)
    print(
        f"{score[False]} of {possible[False]} gradients are right"
        + (f", and {score[True]} of {possible[True]} extra" if possible[True] else "")
    )
    return 0 if score[False] == possible[False] else 1


def _lines(grade):
    """dense   2 of 3, and what is wrong."""
    blank = [credit.name for credit in grade.credits if credit.sentence == BLANK]
    yield (
        f"{grade.exercise.name:<27} {grade.score} of {len(grade.credits)}"
        + (f"   {grade.problem}" if grade.problem else "")
        + (f"   not written yet: {', '.join(blank)}" if blank and not grade.problem else "")
    )
    for credit in grade.credits:
        if not credit.ok and credit.name not in blank and credit.sentence != grade.problem:
            yield f"    {credit.name}: {credit.sentence}"


def _quietly(grades):
    """The same grades; what the files print while they are made is dropped."""
    while True:
        with contextlib.redirect_stdout(io.StringIO()):
            grade = next(grades, None)
        if grade is None:
            return
        yield grade
