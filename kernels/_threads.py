"""Threads that are at hand within a microsecond: what shares a step of a millisecond among processors.

A processor that has gone to sleep takes half a millisecond to come back, as long as a whole training step. So a worker that has finished
watches for its next job for a while before it sleeps, in compiled code and without Python's global lock, as OpenMP's threads do.
"""
import os
import threading

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.extending import intrinsic

WATCH = 2 ** 18                                             # looks at a number that another thread may change: a quarter of a millisecond


@intrinsic
def _read(typing, array):
    """array[0] as another thread may have changed it just now."""
    def generate(context, builder, signature, arguments):
        return builder.load_atomic(context.make_array(signature.args[0])(context, builder, arguments[0]).data, "acquire", 8)
    return types.int64(array), generate


@njit(cache=True, nogil=True)
def _watch(number, target, looks):
    for _ in range(looks):
        if _read(number) >= target:
            return True
    return False


if config.DISABLE_JIT:
    def _watch(number, target, looks):                      # noqa: F811
        return False                                        # to sleep at once: Python would hold its lock while it watches


class _Signal:
    """One thread sends, another waits: awake at first, then asleep."""

    def __init__(self):
        self.number, self.received, self.sent = np.zeros(1, np.int64), 0, threading.Semaphore(0)

    def send(self):
        self.sent.release()
        self.number[0] += 1                                 # one sender: nobody else writes

    def wait(self):
        self.received += 1
        _watch(self.number, self.received, WATCH)
        self.sent.acquire()                                 # at once where it was seen, else asleep until it is sent


class _Worker(threading.Thread):
    def __init__(self):
        super().__init__(name="tinyconv", daemon=True)
        self.begin, self.done, self.task, self.result, self.error = _Signal(), _Signal(), None, None, None
        self.start()

    def run(self):
        while True:
            self.begin.wait()
            (work, job), self.task = self.task, None
            try:
                self.result, self.error = work(job), None
            except BaseException as error:                  # raised again in the thread that waits
                self.result, self.error = None, error
            del work, job                                   # or the arrays of the last step would live as long as the thread
            self.done.send()

    def give(self, work, job):
        self.task = work, job
        self.begin.send()


_idle, _lock = [], threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)         # a forked child inherits the list, but not the threads


def run(work, jobs):
    """[work(job) for job in jobs], each on a thread of its own, the first on this one. An error in any of them is raised here."""
    first, *others = jobs
    with _lock:
        workers = [_idle.pop() for _ in range(min(len(_idle), len(others)))]
    workers += [_Worker() for _ in others[len(workers):]]
    for worker, job in zip(workers, others):
        worker.give(work, job)
    try:
        results = [work(first)]
    finally:
        for worker in workers:
            worker.done.wait()                              # for all, so that no thread is still at work when an error goes up
        outcomes = [(worker.result, worker.error) for worker in workers]
        for worker in workers:
            worker.result = worker.error = None
        with _lock:
            _idle.extend(reversed(workers))                 # the same workers for the same shares next time: they have the data in their caches
    for result, error in outcomes:
        if error is not None:
            raise error
        results.append(result)
    return results
