"""Exercises from solutions: the body of every backward function is replaced by a
NotImplementedError, all else stays as it is.
"""

import ast
from importlib import resources
from pathlib import Path

from ..errors import DataError
from .exercises import EXERCISES

README = """# Backward passes

Each file here is one operation: its forward pass is given, its backward functions are blank. Read the derivation that begins at the top of the file,
finish it on paper, and write each backward function in NumPy: it gives one gradient, of the shape that its docstring says.

    tinyconv course check {folder:<{width}}   what is right, and a hint for what is not
    tinyconv course check {first}   one file only; what it prints is shown

In this order:

{order}

Arrays are float64. What a function is given it must leave as it is; leave the forward functions as they are, too.
"""  # noqa: E501


def source(name):
    """The text of a solution."""
    return (resources.files(f"{__package__}.solutions") / f"{name}.py").read_text(encoding="utf-8")


def blank(text):
    """`text`, a module, without the bodies of its functions that are called backward...; their
    docstrings stay.
    """
    lines = text.splitlines(keepends=True)
    functions = [
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("backward")
    ]
    for function in reversed(functions):  # from the end, so that the line numbers of those before stay true
        docstring = function.body[0]
        lines[docstring.end_lineno : function.end_lineno] = [
            f'    raise NotImplementedError("{function.name}")\n'
        ]
    return "".join(lines)


def write(folder):
    """Write all exercises, and a README.md that says in which order, to a new or empty folder; gives the paths.

    Raises DataError where `folder` has something in it already: nobody's work is overwritten.
    """  # noqa: E501
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: is a file; give the name of a new folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise DataError(
            f"{folder}: is not empty, and nothing in it shall be overwritten; give the name of a new folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for exercise in EXERCISES:
        paths.append(folder / f"{exercise.name}.py")
        paths[-1].write_text(blank(source(exercise.name)), encoding="utf-8")
    first = str(paths[0])
    order = "\n".join(
        f"{place}. `{exercise.name}.py`: {exercise.about}"
        for place, exercise in enumerate(EXERCISES, start=1)
    )
    (folder / "README.md").write_text(
        README.format(folder=str(folder), first=first, width=len(first), order=order), encoding="utf-8"
    )
    return paths
