"""Fingerprint: all that a recorded step depends on, so that a change is noticed before the step is
repeated.
"""

from functools import partial
from operator import is_, itemgetter

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
        for where, names, chosen, values in self._facts:
            if tuple(where) != names or not all(map(is_, chosen(where), values)):
                return True
        return any(not np.array_equal(array, before) for array, before in self._copied)


def _facts(layer):
    """All of a layer that a recorded step depends on, as (dictionary, its names in order, a function that
    takes the values that count out of it, these values).
    """
    own = vars(layer)
    for where in (own, own.get("params", {}), own.get("state", {}), layer.named_layers):
        counts = [name for name in where if where is not own or name not in OF_ONE_CALL]
        chosen = itemgetter(*counts) if len(counts) > 1 else partial(_few, counts)
        yield where, tuple(where), chosen, chosen(where)
    for inner in layer.named_layers.values():
        yield from _facts(inner)


def _few(names, where):
    """The values of no name, or of one: itemgetter gives no tuple there."""
    return tuple(where[name] for name in names)
