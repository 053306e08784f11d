"""Is a backward pass the derivative of its forward pass? And if not: which mistake is it?

    subjects.py    objects, pairs of functions, classes in the style of torch and losses become a Subject
    objects.py     a Subject; layers, networks and losses of ours
    functions.py   pairs of functions, and classes in the style of torch
    passes.py      how forward and backward of a user's object are called
    stranger.py    an object of a user's own: its parameters, wherever it keeps them
    remote.py      the object of a file, whose code runs in a process of its own (tinyconv/apart.py)
    reach.py       all numbers that an object holds, and the gradients beside them
    shapes.py      points to check at, where none is given
    oracles.py     the true slope of forward, from evaluations of forward alone
    comparison.py  both slopes compared, element by element
    check.py       all arrays of a subject compared, at every point
    habits.py      what makes a comparison worthless: a forward that changes its input, two calls that differ
    report.py      the result of a check, and its table
    full_size.py   identities that need one evaluation for a whole array, for networks of full size
    diagnosis/     names the mistake behind a wrong gradient
    self_test/     wrong backward passes; how many of them are found and named, here and by other checkers

Imports go one way: self_test -> the checker -> diagnosis.
"""

from .check import assert_gradients, check_file, check_gradients
from .diagnosis import Diagnosis
from .full_size import check_full_size
from .report import Refusal, Report, Row
from .subjects import from_file

__all__ = [
    "Diagnosis",
    "Refusal",
    "Report",
    "Row",
    "assert_gradients",
    "check_file",
    "check_full_size",
    "check_gradients",
    "from_file",
]
