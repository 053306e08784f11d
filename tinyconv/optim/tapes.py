"""Tapes: updates of many small parameters, and the norm of their gradients, without Python in between."""

from operator import is_
from typing import Any

import numpy as np

from ..kernels import load
from ..kernels.recording import Tape, compiles, cut, play, recording, threads_at_hand

# of all parameters together, in elements: below it, calls from Python would take longer than the work
SMALL = 2**20


class Tapes:
    """One tape for each thread at hand (kernels/_cpu/tape.py); each thread updates its share of every
    parameter.

    They are recorded on arrays of one element, since a kernel is compiled for the dtype alone, and are then
    given the real arrays by put().

    operation   the kernel folder of the update
    rows        (weight, dweight, slots ...) of every parameter
    arguments   what the kernel takes behind the arrays, without the scale
    """

    def __init__(self, operation: str, rows: list[tuple], arguments: tuple):
        kernel = load(operation, "cpu")
        self.threads = threads_at_hand()
        self.form = _form(rows)
        # those that the tapes work on, parameter after parameter; and of each its (slot of a tape, share)
        self.arrays: list[Any] = []
        self.slots: list[list] = [[] for row in rows for _ in row]
        self.samples = [[np.zeros(1, array.dtype) for array in row] for row in rows]
        self.sum_tape, self.totals = self._record_sums()
        self.update_tapes: list[Tape] = []
        self.options: list[np.ndarray] = []
        for t in range(self.threads):
            shares = [cut(weight.size, self.threads)[t] for weight, *_ in rows]
            self._record_updates(kernel, arguments, shares)

    def _record_sums(self):
        with recording() as calls:
            for _, dweight, *_ in self.samples:
                load("sgd", "cpu").sum_of_squares(dweight)
        tape, columns = Tape(calls), len(self.samples[0])
        for place, (_, (dweight, _)) in enumerate(calls):
            self.slots[place * columns + 1].append((tape.slot(dweight), slice(None)))
        return tape, [total for _, (_, total) in calls]

    def _record_updates(self, kernel, arguments, shares):
        with recording() as calls:
            for sample in self.samples:
                kernel.update(*sample, *arguments, 0.0)
        tape, columns = Tape(calls), len(self.samples[0])
        self.update_tapes.append(tape)
        for place, (share, (_, (*arrays, options))) in enumerate(zip(shares, calls, strict=True)):
            self.options.append(options)
            for column, array in enumerate(arrays):
                self.slots[place * columns + column].append((tape.slot(array), share))

    def fit(self, rows: list[tuple]) -> bool:
        """Return True where these tapes can be given such arrays."""
        return self.threads == threads_at_hand() and self.form == _form(rows)

    def hold(self, arrays: list) -> bool:
        """Return True for the very arrays that the tapes work on, and as many threads at hand."""
        return (
            len(arrays) == len(self.arrays)
            and all(map(is_, arrays, self.arrays))
            and self.threads == threads_at_hand()
        )

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
        """Update all parameters, by the numbers of the contract page and the scale of the gradient."""
        for options in self.options:
            options[:] = numbers
        play([tape.task() for tape in self.update_tapes])


def worth_a_tape(rows: list[tuple]) -> bool:
    """Return True for NumPy arrays so small that calls from Python would take longer than the work."""
    if not compiles() or not all(isinstance(weight, np.ndarray) for weight, *_ in rows):
        return False
    return 0 < sum(weight.size for weight, *_ in rows) < SMALL


def _form(rows):
    return [(weight.size, weight.dtype) for weight, *_ in rows]
