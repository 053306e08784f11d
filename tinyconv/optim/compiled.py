"""CompiledOptimizer: an optimizer whose update is a compiled kernel, and which a graph can capture."""

from functools import cache
from importlib import import_module
from typing import Any

from .. import kernels
from ..kernels import load
from . import clipping
from .base import Optimizer
from .tapes import Tapes, worth_a_tape


class CompiledOptimizer(Optimizer):
    """Base of SGD and Adam: the update of kernels/<operation>, which takes weight, dweight and the slots.

    Many small parameters are updated by tapes (tapes.py), large ones by a call for each. A class derived from
    SGD or Adam that defines update() in NumPy is updated by that instead, and one with a step() of its own is
    not captured.
    """

    operation: str
    _tapes: Tapes | None = None

    def arguments(self) -> tuple:
        """Return the settings of the step to come as the kernel takes them, between arrays and scale."""
        raise NotImplementedError(f"{type(self).__name__} must define arguments()")

    def step(self) -> None:
        """Update every parameter by its gradient; see Optimizer.step."""
        params, grads = self.net.params, self.net.grads
        columns = [params, grads, *[self.slots.get(slot, {}) for slot in self.slot_names]]
        arrays = [column.get(name) for name in params for column in columns]
        # the arrays that the tapes hold have been checked
        if self._tapes is not None and self._tapes.hold(arrays) and self._on_cpu():
            self._play(self._tapes)
            self.steps += 1
        else:
            super().step()

    def _update(self, rows):
        if type(self).update is not Optimizer.update:
            super()._update(rows)
        elif self._on_cpu() and worth_a_tape(rows):
            if self._tapes is None or not self._tapes.fit(rows):
                self._tapes = Tapes(self.operation, rows, self.arguments())
            self._tapes.put(rows)
            self._play(self._tapes)
        else:
            scale, arguments = self._scale(rows), self.arguments()
            for row in rows:
                load(self.operation, self._backend(row[0])).update(*row, *arguments, scale)

    def _on_cpu(self):
        """True where NumPy arrays are the business of the cpu's kernels, not of the reference."""
        return getattr(self.net, "device", "cpu") != "reference"

    def _play(self, tapes):
        """Update all parameters at once."""
        scale = 1.0 if self.clip is None else clipping.scale(tapes.sum_of_squares(), self.clip)
        tapes.update((*self._numbers(), scale))

    def _numbers(self):
        return _contract(self.operation).numbers(*self.arguments())

    # ---- a step that is captured (tinyconv/execution/cuda.py) and repeated with other numbers

    @property
    def capturable(self) -> bool:
        """True where a step is nothing but kernels, which a graph can repeat; any other steps from Python."""
        return type(self).update is Optimizer.update and type(self).step is CompiledOptimizer.step

    def options(self) -> tuple[float, ...]:
        """Return the numbers of the step to come as the kernels read them; last the gradient's scale, 1."""
        return (*self._numbers(), 1.0)

    def capture(self, gradients: dict[str, Any], options: Any, losses: Any) -> None:
        """Launch the update of all parameters on the GPU, where `options` and `losses` lie.

        Nobody looks in between: the kernels see to the norm, and change nothing where a loss is not finite.
        """
        rows = self._rows(gradients)
        dweights = [dweight for _, dweight, *_ in rows]
        guarded = load("sgd", "cuda").guarded_options(options, losses, dweights, self.clip)
        load(self.operation, "cuda").change(rows, guarded)

    def fingerprint(self) -> list:
        """Return the objects that a captured step is made with; where one is another, capture anew."""
        slots = [self.slots.get(slot, {}) for slot in self.slot_names]
        return [self.clip, *[slot.get(name) for slot in slots for name in self.net.params]]

    def __getstate__(self):
        # a copy has arrays of its own, and tapes work on addresses
        return vars(self) | {"_tapes": None}


@cache
def _contract(operation):
    """The contract page of an update, which has its numbers()."""
    return import_module(f"{kernels.__name__}.{operation}")
