"""Tapes: the update of many small parameters, and the norm of their gradients, without Python between the kernels."""
from operator import is_
from typing import Any

import numba
import numpy as np

from ..kernels import load
from ..kernels._kernel import threads_at_hand
from ..kernels._tape import Tape, recording
from ..kernels._threads import cut, play

# of all parameters together, in elements: below it, calls from Python would take longer than the work
SMALL = 2 ** 20


class Tapes:
    """One tape for each thread at hand (kernels/_tape.py); each thread updates its share of every parameter.

    They are recorded on arrays of one element, which only tell the kernels' dtypes, and are then given the real ones by put().

    operation   the kernel folder of the update
    rows        (weight, dweight, slots ...) of every parameter; only sizes and dtypes count
    """

    def __init__(self, operation: str, rows: list[tuple], arguments: tuple):
        kernel, norm = load(operation, "cpu"), load("sgd", "cpu")
        self.threads = threads_at_hand()
        self.form = _form(rows)
        self.arrays: list[Any] = []
        samples = [[np.zeros(1, array.dtype) for array in row] for row in rows]
        with recording() as sums:
            for _, dweight, *_ in samples:
                norm.sum_of_squares(dweight)
        self.sum_tape = Tape(sums)
        self.totals = [total for _, (_, total) in sums]
        self.update_tapes = []
        self.options = []
        # of every array, parameter after parameter: where tapes work on it, as (slot of a tape, share of the array)
        self.slots: list[list] = [[] for row in rows for _ in row]
        columns = len(rows[0])
        for place, (_, (dweight, _)) in enumerate(sums):
            self.slots[place * columns + 1].append((self.sum_tape.slot(dweight), slice(None)))
        for t in range(self.threads):
            with recording() as updates:
                for sample in samples:
                    kernel.update(*sample, *arguments, 0.0)
            tape = Tape(updates)
            self.update_tapes.append(tape)
            for place, ((weight, *_), (_, (*arrays, options))) in enumerate(zip(rows, updates, strict=True)):
                share = cut(weight.size, self.threads)[t]
                self.options.append(options)
                for column, array in enumerate(arrays):
                    self.slots[place * columns + column].append((tape.slot(array), share))

    def fit(self, rows: list[tuple]) -> bool:
        """Return True where these tapes can be given such arrays."""
        return self.threads == threads_at_hand() and self.form == _form(rows)

    def hold(self, arrays: list) -> bool:
        """Return True where these are the very arrays that the tapes work on, and as many threads are at hand."""
        return len(arrays) == len(self.arrays) and all(map(is_, arrays, self.arrays)) and self.threads == threads_at_hand()

    def put(self, rows: list[tuple]) -> None:
        """Work on the arrays of these rows from now on."""
        arrays = [array for row in rows for array in row]
        known = self.arrays or [None] * len(arrays)
        for slots, array, before in zip(self.slots, arrays, known, strict=True):
            if array is not before:
                flat = array.reshape(-1)
                for slot, share in slots:
                    slot.put(flat[share])
        self.arrays = arrays

    def sum_of_squares(self) -> float:
        """Return the sum of all dweight^2."""
        self.sum_tape.play()
        return sum(float(total[0]) for total in self.totals)

    def update(self, numbers: tuple) -> None:
        """Update all parameters, with the numbers that the kernel's contract page lists, the scale of the gradient last."""
        for options in self.options:
            options[:] = numbers
        play([tape.task() for tape in self.update_tapes])


def worth_a_tape(rows: list[tuple]) -> bool:
    """Return True where the parameters are NumPy arrays, so small that calls from Python would take longer than the work."""
    if numba.config.DISABLE_JIT or not all(isinstance(weight, np.ndarray) for weight, *_ in rows):
        return False
    return 0 < sum(weight.size for weight, *_ in rows) < SMALL


def _form(rows):
    return [(weight.size, weight.dtype) for weight, *_ in rows]
