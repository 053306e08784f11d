"""The task of a whole network, its weights drawn once a process: AlexNet's take a second."""

import copy
from functools import cache

from ... import execution
from ...layers import Dropout
from ..networks import Task
from ..workloads import MODELS


class KeptTask(Task):
    """A Task whose networks are copies of one."""

    def network(self, checked=False):
        """Return (network, loss), as Task does."""
        net, loss = network(self.model)
        for layer in net.layers:
            if isinstance(layer, Dropout) and checked and self.trains:
                layer.rate = 0.0
        return net.astype(self.dtype), loss


def network(model):
    """Return a copy of (network, loss) of a model."""
    return copy.deepcopy(_built(model))


@cache
def _built(model):
    return MODELS[model]()


def task_of(model, images, work="training step"):
    """Return the Task of a model in float32."""
    return KeptTask(model, work, images, "float32", execution.available_threads())
