"""Names of mistakes: which one explains a wrong gradient? That it is wrong has been decided by the checker.

    hypotheses.py       the table of known mistakes, in the order in which they are tried
    predictions.py      the gradients that a mistake would lead to, as arrays
    predicted_calls.py  the same as calls of forward with another dy, other values or another stride
    claims.py           the form of a prediction, and what both files of predictions share
    evidence.py         one wrong array; it tells whether a claim predicts every element
    naming.py           diagnose(): hypothesis after hypothesis, until one explains the array

Imports go from the checker to this room, never back.
"""

from .naming import Diagnosis, diagnose

__all__ = ["Diagnosis", "diagnose"]
