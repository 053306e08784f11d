"""Is a backward pass the derivative of its forward pass? And if not: which mistake is it?

    subjects.py     what can be checked: objects, pairs of functions, classes in the style of torch, losses; all become one Subject
    shapes.py       points to check at, where none is given
    oracles.py      the true slope of forward, from evaluations of forward alone
    check.py        the comparison of both, array by array
    habits.py       what makes a comparison worthless: a forward that changes its input, two calls that differ
    hypotheses.py   the table of known mistakes;  predictions.py, predicted_calls.py  what each would lead to (as claims.py);
                    diagnosis.py  tests each against the wrong gradient
    full_size.py    identities that need one evaluation for a whole array, for networks of full size
    mutants.py      wrong backward passes, of wrong_passes.py;  self_test.py  how many of them are found, and named, here and by other_checkers.py
"""
from .check import assert_gradients, check_gradients
from .full_size import check_full_size
from .report import Diagnosis, Refusal, Report, Row
from .subjects import from_file

__all__ = ["Diagnosis", "Refusal", "Report", "Row", "assert_gradients", "check_full_size", "check_gradients", "from_file"]
