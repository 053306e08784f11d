"""A batch shared among threads, in one of three ways, or given to a GPU.

"images"  Whole chunks of images go through the whole network on each thread, and the threads meet once a step. For networks whose arrays for one
          chunk of images fit into a core's cache: LeNet-5.
"layers"  One layer after the other takes the whole batch, and the threads share the work of each kernel. For networks of large layers: AlexNet.
"calls"   The same, called from Python: for networks with layers of a user's own. In the other two the calls are on a tape (plan.py), recorded
          once and then repeated without Python in between and without allocating anything.

"graph"   On the device "cuda": the step is captured once and launched again for every batch (graph.py).

All but the last are plain Python threads, since the kernels release Python's global lock. The same number of threads gives the same bits.
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
    if plan and net.device == "cuda":
        return plan.submit(x).y
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
    return submit(net, x, labels, loss, threads=threads).checked()


def train_step(net, x, labels, loss, optimizer, threads=None):
    """forward_backward and optimizer.step(); gives what forward_backward gives."""
    return submit(net, x, labels, loss, optimizer, threads).checked()


def submit(net, x, labels, loss, optimizer=None, threads=None):
    """Start what forward_backward, or with an optimizer train_step, does; gives the Outcome. On a GPU it goes on meanwhile; elsewhere it is done then.

    On a GPU weights are left as they are where the loss is not finite, as elsewhere, and Outcome.checked() says so later.
    """
    if not isinstance(loss, Loss):
        raise TypeError(f"expected a loss of tinyconv.losses, got {loss!r}; with one of your own call forward, backward and step yourself")
    threads = _check_threads(threads)
    captured = net.device == "cuda" and getattr(optimizer, "capturable", False) and optimizer.net is net
    in_graph = optimizer if captured else None
    plan = _plan(net, x, threads, loss, in_graph)
    if plan:
        labels = np.ascontiguousarray(loss.check_labels(labels, x.shape[0], plan.y_shape[1]))
        if net.device == "cuda":
            step = plan.submit(x, labels)
            outcome = Outcome(x, lambda: (float(step.losses.sum(dtype=np.float64)) / len(labels), step.y))
        else:
            outcome = Outcome(x, *plan.forward_backward(np.ascontiguousarray(x), labels))
    else:
        with shared(threads):
            scores = net.forward(net._enter(x), training=True)
            value = loss.forward(scores, labels)
            net.backward(loss.backward(), need_dx=False)
            outcome = Outcome(x, value, door.leave(scores))
    if plan and in_graph is not None:
        optimizer.steps += 1
    elif optimizer is not None:
        outcome.checked()                                   # before any weight is touched
        # few images are not worth waking another thread
        with shared(1 if images_together(len(labels), np.float32) == 1 else threads):
            optimizer.step()
    return outcome


class Outcome:
    """What submit has made, or makes: checked() gives the loss (mean over the batch) and the scores (N, classes), and waits for them where need be.

    It raises DataError where the loss is not finite because x is not, DivergedError where x is finite.
    """

    def __init__(self, x, *made):
        self._x, self._made = x, made

    @property
    def ready(self):
        """Whether checked() does not have to wait."""
        return len(self._made) == 2

    def checked(self):
        if not self.ready:
            self._made = self._made[0]()
        if not math.isfinite(self._made[0]):
            _explain(self._made[0], door.leave(self._x))
        return self._made


def way(net, x, loss=None):
    """("images", "layers", "graph" or "calls", why) for a batch x, or any array of its shape and dtype."""
    if numba.config.DISABLE_JIT:
        return "calls", "NUMBA_DISABLE_JIT is set: plain Python, step by step"
    if net.device not in ("cpu", "cuda") or (loss is not None and loss.device != net.device):
        return "calls", f"the network is on the device {net.device!r}" + ("" if loss is None else f", the loss on {loss.device!r}")
    if not isinstance(x, np.ndarray) or x.dtype not in door.DTYPES["cpu"]:
        return "calls", "the batch is no float32 or float64 array"
    for part in (net, *leaves(net), *([] if loss is None else [loss])):
        if not part.replayable:
            return "calls", f"{part!r} may compute in Python, which no tape can repeat"
    for layer in leaves(net):
        if any(array.dtype != x.dtype or isinstance(array, np.ndarray) and not array.flags.c_contiguous for array in layer.params.values()):
            return "calls", f"the parameters of {layer!r} are not {x.dtype}, or do not lie contiguously in memory"
    y_shape = net.output_shape(x.shape)                     # raises where a layer cannot take x
    if loss is not None and len(y_shape) != 2:
        return "calls", f"the network gives {y_shape}, no scores (N, classes)"
    if net.device == "cuda":
        return "graph", "on the GPU a step is captured once and then launched as a whole"
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


def _plan(net, x, threads, loss=None, optimizer=None):
    """The plan for a batch like x, on "cuda" a CapturedStep; None where the way is "calls"."""
    if not isinstance(x, np.ndarray) or net.device == "reference" or (loss is not None and loss.device != net.device) or numba.config.DISABLE_JIT:
        return None
    with _lock:
        plans, arena = _plans.get(net) or _plans.setdefault(net, ({}, _arena(net)))
        if (net.device == "cuda") != (type(arena) is not Arena):                 # it has moved since
            plans, arena = _plans[net] = {}, _arena(net)
        key = x.shape, x.dtype, threads, None if loss is None else (type(loss), loss._options()), id(optimizer)
        plan = plans.pop(key, None)
        if plan is None or not plan.fits():
            sharing = "calls" if x.ndim == 0 or len(x) == 0 else way(net, x, loss)[0]
            if sharing == "calls":
                return None
            with arena.lock:                                # recording computes in it, and so does whoever plays a plan of this network
                if sharing == "graph":
                    from .graph import CapturedStep
                    plan = CapturedStep(net, x.shape, x.dtype, arena, loss, optimizer)
                else:
                    plan = Plan(net, x.shape, x.dtype, threads, sharing, arena, loss)
        plans[key] = plan                                   # the latest used stands last
        if len(plans) > PLANS:
            del plans[next(iter(plans))]
        return plan


def _arena(net):
    if net.device != "cuda":
        return Arena()
    from .kernels._cuda_arena import CudaArena              # not before a GPU is asked for: the package takes most of a second
    return CudaArena()


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
