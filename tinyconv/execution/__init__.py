"""A step of a network on a batch: forward, loss, backward and update, shared out among threads or given to a
GPU (strategy.py).

    submit           start a step: its Pending result
    train_step       forward, loss, backward and update          forward_backward   the same without the update
    forward          the scores of a batch

Threads are plain Python threads, since the kernels release Python's global lock. The same number of threads
gives the same bits.
"""  # noqa: E501

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from .. import device
from ..kernels.recording import images_together, shared
from ..losses import Loss
from .pending import Pending
from .plans import plan_for
from .strategy import Strategy, strategy

if TYPE_CHECKING:
    from ..layer import Layer
    from ..optim import Optimizer

__all__ = [
    "Pending",
    "Strategy",
    "available_threads",
    "forward",
    "forward_backward",
    "strategy",
    "submit",
    "train_step",
]


def available_threads() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def forward(net: Layer, x: np.ndarray, threads: int | None = None) -> np.ndarray:
    """Return y = net.forward(x) as a NumPy array, the batch shared among `threads` (default: all
    available).
    """
    threads = _check_threads(threads)
    plan = plan_for(net, x, threads)
    if plan:
        return plan.submit(x).result()[1]
    with shared(threads):
        return device.unpack(net.forward(x))


def forward_backward(
    net: Layer, x: np.ndarray, labels: np.ndarray, loss: Loss, threads: int | None = None
) -> tuple[float, np.ndarray]:
    """Do forward, loss and backward for one batch: set net.grads; return the loss (mean over the batch) and
    the scores (N, classes).

    Raises DataError where the loss is not finite because x is not, DivergedError where x is finite: before
    any weight is touched.
    """
    return submit(net, x, labels, loss, threads=threads).checked()


def train_step(
    net: Layer,
    x: np.ndarray,
    labels: np.ndarray,
    loss: Loss,
    optimizer: Optimizer,
    threads: int | None = None,
) -> tuple[float, np.ndarray]:
    """Do forward_backward and optimizer.step(); return the same as forward_backward."""
    return submit(net, x, labels, loss, optimizer, threads).checked()


def submit(
    net: Layer,
    x: np.ndarray,
    labels: np.ndarray,
    loss: Loss,
    optimizer: Optimizer | None = None,
    threads: int | None = None,
) -> Pending:
    """Start the work of forward_backward, or with an optimizer of train_step; return its Pending result.

    On a GPU it goes on meanwhile; elsewhere it is done then. On a GPU weights are left as they are where the
    loss is not finite, as elsewhere, and Pending.checked() says so later.
    """
    if not isinstance(loss, Loss):
        raise TypeError(
            f"expected a loss of tinyconv.losses, got {loss!r}; with one of your own call forward, "
            "backward and step yourself"
        )
    threads = _check_threads(threads)
    in_graph = None
    if optimizer is not None and device.backend(net.device).records == "graph":
        in_graph = optimizer if getattr(optimizer, "capturable", False) and optimizer.net is net else None
    plan = plan_for(net, x, threads, loss, in_graph)
    if plan:
        pending = plan.submit(x, np.ascontiguousarray(loss.check_labels(labels, x.shape[0], plan.y_shape[1])))
    else:
        with shared(threads):
            scores = net.forward(device.pack(x, net.device, net), training=True)
            if loss.not_recordable():  # of a user's own: it may compute in NumPy
                scores = device.unpack(scores)
            value = loss.forward(scores, labels)
            net.backward(loss.backward(), need_dx=False)
            pending = Pending(x, result=(value, device.unpack(scores)))
    if plan and in_graph is not None:
        in_graph.steps += 1
    elif optimizer is not None:
        pending.checked()  # before any weight is touched
        # few images are not worth waking another thread
        with shared(1 if images_together(len(labels), np.float32) == 1 else threads):
            optimizer.step()
    return pending


def _check_threads(threads):
    if threads is not None and threads < 1:
        raise ValueError(f"threads: expected 1 or more, got {threads}")
    return threads or available_threads()
