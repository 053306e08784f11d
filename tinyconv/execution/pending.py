"""Pending: the result of a step that may still be computed."""

import math

import numpy as np

from ..device import unpack
from ..errors import DataError, DivergedError


class Pending:
    """Result of submit(), which on a GPU is still to come.

    ready      True where nobody has to wait for it
    result()   (loss, scores): the mean loss of the batch, None where none was asked for, and the scores (N,
               ...); waits for them
    checked()  the same; raises DataError where the loss is not finite because x is not, DivergedError where x
               is finite
    """

    def __init__(self, x, wait=None, *, result=None):
        self._x, self._wait, self._result = x, wait, result

    @property
    def ready(self) -> bool:
        return self._result is not None

    def result(self) -> tuple[float | None, np.ndarray]:
        if self._result is None:
            assert self._wait is not None
            self._result, self._wait = self._wait(), None
        return self._result

    def checked(self) -> tuple[float, np.ndarray]:
        loss, scores = self.result()
        if loss is None:
            raise RuntimeError("this step had no loss: ask for result()")
        if not math.isfinite(loss):
            explain(loss, unpack(self._x))
        return loss, scores


def explain(loss, x):
    """Raise DataError where x is not finite, DivergedError where it is and the loss is not."""
    wrong = ~np.isfinite(x)
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise DataError(
            f"expected finite numbers in x, got x[{', '.join(map(str, index))}] = {x[index]} "
            f"({wrong.sum()} such); clean the data"
        )
    raise DivergedError(
        f"training diverged: the loss is {loss} though the data are finite; use a smaller learning rate, "
        "or clip the gradient"
    )
