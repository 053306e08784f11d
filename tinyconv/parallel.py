"""A batch shared among threads, in one of three ways.

"images"  Whole chunks of images go through the whole network on each thread, and the threads meet once a step. For networks whose arrays for one
          chunk of images fit into a core's cache: LeNet-5.
"layers"  One layer after the other takes the whole batch, and the threads share the work of each kernel. For networks of large layers: AlexNet.
"calls"   The same, called from Python: for networks with layers of a user's own. In the other two the calls are on a tape (plan.py), recorded
          once and then repeated without Python in between and without allocating anything.

All are plain Python threads, since the kernels release Python's global lock. The same number of threads gives the same bits.
"""
import math
import os
import threading
import weakref

import numba
import numpy as np

from . import device as door
from .errors import DataError, DivergedError
from .kernels._arena import Arena
from .kernels._kernel import shared
from .kernels._native import images_together, lanes
from .losses import Loss
from .plan import BLOCKS_TOGETHER, Plan, leaves

CACHE = 8 * 2 ** 20             # bytes of second- and third-level cache that one core can count on
PLANS = 8                       # plans that are kept for each network: a size of batch for training, one for testing, the last batch of each
_plans, _lock = weakref.WeakKeyDictionary(), threading.RLock()            # of each network: its plans, and the memory that they share


def _after_fork():
    """A forked child would inherit locks that threads hold which it has not, and plans in the middle of a step."""
    global _plans, _lock
    _plans, _lock = weakref.WeakKeyDictionary(), threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def available_threads():
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def forward(net, x, threads=None):
    """y = net.forward(x) as a NumPy array, the batch shared among `threads` (default: all available)."""
    threads = _check_threads(threads)
    plan = _plan(net, x, threads)
    if plan:
        return plan.forward(np.ascontiguousarray(x))
    with shared(threads):
        return door.leave(net.forward(x))


def forward_backward(net, x, labels, loss, threads=None):
    """forward, loss and backward for one batch: sets net.grads; gives the loss (mean over the batch) and the scores (N, classes).

    Raises DataError where the loss is not finite because x is not, DivergedError where x is finite: before any weight is touched.
    """
    if not isinstance(loss, Loss):
        raise TypeError(f"expected a loss of tinyconv.losses, got {loss!r}; with one of your own call forward, backward and step yourself")
    threads = _check_threads(threads)
    plan = _plan(net, x, threads, loss)
    if plan:
        labels = np.ascontiguousarray(loss.check_labels(labels, x.shape[0], plan.y_shape[1]))
        value, scores = plan.forward_backward(np.ascontiguousarray(x), labels)
    else:
        with shared(threads):
            scores = net.forward(net._enter(x), training=True)
            value = loss.forward(scores, labels)
            net.backward(loss.backward(), need_dx=False)
            scores = door.leave(scores)
    if not math.isfinite(value):
        _explain(value, door.leave(x))
    return value, scores


def train_step(net, x, labels, loss, optimizer, threads=None):
    """forward_backward and optimizer.step() on the same threads; gives what forward_backward gives. Few images are not worth waking another."""
    value, scores = forward_backward(net, x, labels, loss, threads)
    with shared(1 if images_together(len(labels), np.float32) == 1 else _check_threads(threads)):
        optimizer.step()
    return value, scores


def way(net, x, loss=None):
    """("images", "layers" or "calls", why) for a batch x, or any array of its shape and dtype."""
    if numba.config.DISABLE_JIT:
        return "calls", "NUMBA_DISABLE_JIT is set: plain Python, step by step"
    if net.device != "cpu" or (loss is not None and loss.device != "cpu"):
        return "calls", f"the network is on the device {net.device!r}"
    if not isinstance(x, np.ndarray) or x.dtype not in door.DTYPES["cpu"]:
        return "calls", "the batch is no float32 or float64 array"
    for part in (net, *leaves(net), *([] if loss is None else [loss])):
        if not part.replayable:
            return "calls", f"{part!r} may compute in Python, which no tape can repeat"
    for layer in leaves(net):
        if any(array.dtype != x.dtype or not array.flags.c_contiguous for array in layer.params.values()):
            return "calls", f"the parameters of {layer!r} are not {x.dtype}, or do not lie contiguously in memory"
    y_shape = net.output_shape(x.shape)                     # raises where a layer cannot take x
    if loss is not None and len(y_shape) != 2:
        return "calls", f"the network gives {y_shape}, no scores (N, classes)"
    if whole := [layer for layer in leaves(net) if not layer.divisible]:
        return "layers", f"{whole[0]!r} takes a batch as a whole"
    size, images = _bytes_of_a_chunk(net, x), BLOCKS_TOGETHER * lanes(x.dtype)
    if size > CACHE:
        return "layers", f"{images} images take {size / 2 ** 20:.1f} MiB, more than the {CACHE / 2 ** 20:.0f} MiB of a core's cache"
    return "images", f"{images} images take {size / 2 ** 20:.1f} MiB, which a core's cache of {CACHE / 2 ** 20:.0f} MiB holds"


def _bytes_of_a_chunk(net, x):
    """All that training a chunk of images works on: what every layer makes, the gradient of each, the parameters and theirs."""
    shape = (BLOCKS_TOGETHER * lanes(x.dtype), *x.shape[1:])
    elements = math.prod(shape)
    for layer in leaves(net):
        shape = layer.output_shape(shape)
        elements += math.prod(shape) + sum(array.size for array in layer.params.values())
    return 2 * elements * x.dtype.itemsize


def _plan(net, x, threads, loss=None):
    """The plan for a batch like x; None where the way is "calls"."""
    if not isinstance(x, np.ndarray) or net.device != "cpu" or (loss is not None and loss.device != "cpu") or numba.config.DISABLE_JIT:
        return None
    with _lock:
        plans, arena = _plans.setdefault(net, ({}, Arena()))
        key = x.shape, x.dtype, threads, None if loss is None else (type(loss), loss._options())
        plan = plans.pop(key, None)
        if plan is None or not plan.fits():
            sharing = "calls" if x.ndim == 0 or len(x) == 0 else way(net, x, loss)[0]
            if sharing == "calls":
                return None
            with arena.lock:                                # recording computes in it, and so does whoever plays a plan of this network
                plan = Plan(net, x.shape, x.dtype, threads, sharing, arena, loss)
        plans[key] = plan                                   # the latest used stands last
        if len(plans) > PLANS:
            del plans[next(iter(plans))]
        return plan


def _check_threads(threads):
    if threads is not None and threads < 1:
        raise ValueError(f"threads: expected 1 or more, got {threads}")
    return threads or available_threads()


def _explain(value, x):
    wrong = ~np.isfinite(x)
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise DataError(f"expected finite numbers in x, got x[{', '.join(map(str, index))}] = {x[index]} ({wrong.sum()} such); clean the data")
    raise DivergedError(f"training diverged: the loss is {value} though the data are finite; use a smaller learning rate, or clip the gradient")
