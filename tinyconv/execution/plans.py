"""The plans of all networks: one for each size of batch, kept for the next batch of that size."""

import os
import threading
import weakref

import numpy as np

from ..device import backend
from ..kernels.recording import compiles
from .strategy import strategy

PLANS = 8  # kept for each network: a size of batch for training, one for testing, the last batch of each
_plans, _lock = (
    weakref.WeakKeyDictionary(),
    threading.RLock(),
)  # of each network: (device, its plans, the memory that they share)


def _after_fork():
    """A forked child would inherit locks that threads hold which it has not, and plans in the middle of a
    step.
    """
    global _plans, _lock
    _plans, _lock = weakref.WeakKeyDictionary(), threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def plan_for(net, x, threads, loss=None, optimizer=None):
    """Return the plan for a batch like x, an object with submit(x, labels) and is_stale(); None where the
    strategy is "calls".
    """
    if (
        not isinstance(x, np.ndarray)
        or not backend(net.device).records
        or (loss is not None and loss.device != net.device)
        or not compiles()
    ):
        return None
    with _lock:
        device, plans, arena = _plans.get(net) or (None, {}, None)
        if device != net.device:  # new, or moved since
            device, plans, arena = _plans[net] = net.device, {}, backend(net.device).arena()
        key = (
            x.shape,
            x.dtype,
            threads,
            None if loss is None else (type(loss), loss._options()),
            id(optimizer),
        )
        plan = plans.pop(key, None)
        if plan is None or plan.is_stale():
            plan = _new_plan(net, x, threads, loss, optimizer, arena)
            if plan is None:
                return None
        plans[key] = plan  # the latest used stands last
        if len(plans) > PLANS:
            del plans[next(iter(plans))]
        return plan


def _new_plan(net, x, threads, loss, optimizer, arena):
    chosen = "calls" if x.ndim == 0 or len(x) == 0 else strategy(net, x, loss).name
    if chosen == "calls":
        return None
    with arena.lock:  # recording computes in it, and so does whoever plays a plan of this network
        if chosen == "graph":
            from .cuda import CapturedStep  # the CUDA package takes most of a second to import

            return CapturedStep(net, x.shape, x.dtype, arena, loss, optimizer)
        from .cpu import Plan

        return Plan(net, x.shape, x.dtype, threads, chosen, arena, loss)
