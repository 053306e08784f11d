"""Fingerprint: all that a recorded step depends on, so that a change is noticed before the step is
repeated.
"""

import numpy as np

from ..network import leaves

OF_ONE_CALL = ("cache", "grads", "_made", "_persistent")  # attributes of a layer that every call changes


class Fingerprint:
    """The options, arrays and layers of a network, as the objects that they are.

    is_stale()  True where a layer, an option or an array has been replaced since; a change inside an array is
                none, except of what a step converts
    """

    def __init__(self, net, dtype):
        self._facts = list(_facts(net))
        # a state of another dtype stands on the tape as a copy; unsigned ones (dropout's counters) no layer
        # computes with
        states = [
            array for layer in leaves(net) for array in layer.state.values() if isinstance(array, np.ndarray)
        ]
        self._copied = [
            (array, array.copy()) for array in states if array.dtype != dtype and array.dtype.kind != "u"
        ]

    def is_stale(self) -> bool:
        for where, names, values in self._facts:
            if tuple(where) != names:
                return True
            for name, value in values:
                if where[name] is not value:
                    return True
        return any(not np.array_equal(array, before) for array, before in self._copied)


def _facts(layer):
    """All of a layer that a recorded step depends on, as (dictionary, its names in order, those that count
    with their values).
    """
    own = vars(layer)
    for where in (own, own.get("params", {}), own.get("state", {}), layer.named_layers):
        yield (
            where,
            tuple(where),
            [(name, value) for name, value in where.items() if where is not own or name not in OF_ONE_CALL],
        )
    for inner in layer.named_layers.values():
        yield from _facts(inner)
