"""Collecting: parameters, gradients and slots, checked, as the rows that an update goes through."""

from operator import is_
from typing import Any

import numpy as np

from . import checks


class Collector:
    """Collects the arrays of an optimizer at every step, and checks those that it has not seen.

    owner        the name of the optimizer's class, for messages
    slot_names   the slots of the optimizer, in the order of the update's parameters
    params       the parameters as they are when the optimizer is made
    """

    def __init__(self, owner: str, slot_names: tuple[str, ...], params: dict[str, Any]):
        checks.check_slot_names(owner, slot_names)
        checks.check_parameters(owner, params)
        self.owner = owner
        self.slot_names = slot_names
        self.names = set(params)
        # the parameters that have been checked
        self.weights = list(params.values())

    def new_slots(self, params: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Return {slot: {name: zeros like the parameter}}."""
        return {
            slot: {name: np.zeros(weight.shape, weight.dtype) for name, weight in params.items()}
            for slot in self.slot_names
        }

    def rows(
        self, params: dict[str, Any], grads: dict[str, Any], slots: dict[str, dict[str, Any]]
    ) -> list[tuple]:
        """Return (weight, dweight, slots ...) of every parameter, in the parameter's dtype and place.

        Where an array of a slot has to be converted or moved, the slot has the new one from now on. Raises
        RuntimeError, ShapeError, DtypeError or ValueError where an array is missing or does not fit.
        """
        if changed := params.keys() ^ self.names:
            raise RuntimeError(
                f"{self.owner}: {', '.join(sorted(changed))}: added or removed since the optimizer was made; "
                "make a new one for the parameters as they are now"
            )
        if missing := params.keys() - grads.keys():
            names = ", ".join(sorted(missing))
            raise RuntimeError(f"{self.owner}: no gradient for {names}; call backward before step")
        weights = list(params.values())
        if len(weights) != len(self.weights) or not all(map(is_, weights, self.weights)):
            checks.check_parameters(self.owner, params)
            self.weights = weights
        dweights = [
            checks.ready_gradient(self.owner, name, grads[name], weight) for name, weight in params.items()
        ]
        columns = [self._column(slot, slots.get(slot, {}), params) for slot in self.slot_names]
        return list(zip(weights, dweights, *columns, strict=True))

    def _column(self, slot, arrays, params):
        """The arrays of a slot in the order of the parameters."""
        for name, weight in params.items():
            arrays[name] = checks.ready_slot(self.owner, slot, name, arrays.get(name), weight)
        return [arrays[name] for name in params]

    def __getstate__(self):
        # a copy of the optimizer has parameters of its own
        return vars(self) | {"weights": []}
