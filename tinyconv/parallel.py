"""A batch shared among threads: each takes whole blocks of images through a replica of the network.

The kernels release Python's global lock, so plain Python threads are enough. A thread goes through all layers by itself, forward and
backward, and the threads meet once a batch, when their gradients are added up: always in the order of the images, so that the same
number of threads gives the same bits.
"""
import math
import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np

from . import device as door
from .errors import DataError, DivergedError
from .losses import Loss


def available_threads():
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@lru_cache(maxsize=None)
def _pool(threads):
    return ThreadPoolExecutor(threads, thread_name_prefix="tinyconv")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)    # a forked child inherits the pool, but not its threads


def forward(net, x, threads=None):
    """y = net.forward(x) as a NumPy array, the batch shared among `threads` (default: all available)."""
    parts = _parts(net, x, threads)
    return np.concatenate(_run(lambda replica, part, first: door.leave(replica.forward(part)), parts))


def forward_backward(net, x, labels, loss, threads=None):
    """forward, loss and backward for one batch: sets net.grads; gives the loss (mean over the batch) and the scores (N, classes).

    Raises DataError where the loss is not finite because x is not, DivergedError where x is finite: before any weight is touched.
    """
    if not isinstance(loss, Loss):
        raise TypeError(f"expected a loss of tinyconv.losses, got {loss!r}; with one of your own call forward, backward and step yourself")
    parts = _parts(net, x, threads)
    if len(parts) == 1:
        labels = [labels]
    else:                                                    # checked as a whole, so that an error names the place in the batch
        labels = loss.check_labels(labels, x.shape[0], net.output_shape(x.shape)[1])
        labels = [labels[first:first + part.shape[0]] for _, part, first in parts]
    losses = [loss.replica() for _ in parts]

    def work(replica, part, first, part_loss, part_labels):
        scores = replica.forward(part, training=True)
        value = part_loss.forward(scores, part_labels, batch_size=x.shape[0])
        replica.backward(part_loss.backward(), need_dx=False)
        return value, door.leave(scores)

    values, scores = zip(*_run(work, parts, losses, labels))
    for replica, _, _ in parts[1:]:
        _add_grads(net, replica)
    value = sum(values)
    if not math.isfinite(value):
        _explain(value, door.leave(x))
    return value, np.concatenate(scores)


def _explain(value, x):
    wrong = ~np.isfinite(x)
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise DataError(f"expected finite numbers in x, got x[{', '.join(map(str, index))}] = {x[index]} ({wrong.sum()} such); clean the data")
    raise DivergedError(f"training diverged: the loss is {value} though the data are finite; use a smaller learning rate, or clip the gradient")


def _parts(net, x, threads):
    """[(replica, part of x, index of its first image)]; the first replica is the network itself. Whole blocks, as evenly as they go."""
    x = net._enter(x)
    net._check_input(x.shape)
    threads = available_threads() if threads is None else threads
    if threads < 1:
        raise ValueError(f"threads: expected 1 or more, got {threads}")
    if not isinstance(x, door.Native) or not net.splittable:
        threads = 1
    if threads == 1:
        return [(net, x, 0)]
    blocks, lanes = x.data.shape[0], x.data.shape[-1]
    threads = min(threads, blocks)
    cuts = [blocks * t // threads for t in range(threads + 1)]
    return [(net if first == 0 else net.replica(first * lanes), x.part(first, last), first * lanes)
            for first, last in zip(cuts, cuts[1:])]


def _run(work, parts, *further):
    """work(replica, part, first, ...) for each part, the first one in this thread; an error in any of them is raised here."""
    jobs = [(*part, *more) for part, *more in zip(parts, *further)]
    waiting = [_pool(len(jobs) - 1).submit(work, *job) for job in jobs[1:]]
    try:
        results = [work(*jobs[0])]
    finally:
        for future in waiting:
            future.exception()                              # wait for all, so that no thread is still at work when an error goes up
    return results + [future.result() for future in waiting]


def _add_grads(layer, replica):
    for inner, twin in zip(layer.named_layers.values(), replica.named_layers.values()):
        _add_grads(inner, twin)
    if not layer.named_layers:
        for name, grad in replica.grads.items():
            layer.grads[name] += grad
