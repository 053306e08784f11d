"""Threads that are at hand within a microsecond: what shares a step of less than a millisecond among processors.

A processor that has gone to sleep takes half a millisecond to come back. So a worker that has finished watches for its next task for a while
before it sleeps, in compiled code and without Python's global lock (kernels/_replay.py), as OpenMP's threads do.
"""
import os
import threading
import time

from numba import config

from . import _replay as replay

WATCH = 2 ** 18                                             # looks at a number that another thread may change: a quarter of a millisecond
NO_TAPE = (0,) * 8


class _Worker(threading.Thread):
    """Takes one task at a time: a tape to play, or a Python function to call."""

    def __init__(self):
        super().__init__(name="tinyconv", daemon=True)
        self.box, self.tasks, self.sent = replay.mailbox(), 0, threading.Semaphore(0)
        self.python, self.result, self.error = None, None, None
        self.start()

    def run(self):
        if config.DISABLE_JIT:                              # compiled code cannot watch: sleep between tasks
            while True:
                self.sent.acquire()
                self._call()
        received = 0                                        # of the permits of `sent`, one a task: only who sleeps needs to wait for them
        while True:
            python = replay.serve(self.box, WATCH)
            while received < self.box[replay.DONE]:
                self.sent.acquire()
                received += 1
            if python:
                self._call()
            elif received == self.box[replay.DONE]:         # else there is a permit for a task whose numbers are still on their way
                self.sent.acquire()
                received += 1

    def _call(self):
        (work, job), self.python = self.python, None
        try:
            self.result, self.error = work(job), None
        except BaseException as error:                      # raised again in the thread that waits
            self.result, self.error = None, error
        del work, job                                       # or the arrays of the last step would live as long as the thread
        self.box[replay.DONE] += 1

    def give(self, kind, task):
        self.tasks += 1
        self.sent.release()                                 # before the number changes: a worker that sees the number finds the permit
        if config.DISABLE_JIT:
            return
        replay.send(self.box, kind, task)

    def wait(self):
        while not (not config.DISABLE_JIT and replay.watch(self.box, self.tasks, WATCH)) and self.box[replay.DONE] < self.tasks:
            time.sleep(5e-5)


_idle, _lock = [], threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)         # a forked child inherits the list, but not the threads


def _workers(count):
    with _lock:
        workers = [_idle.pop() for _ in range(min(len(_idle), count))]
    return workers + [_Worker() for _ in range(count - len(workers))]


def _release(workers):
    with _lock:
        _idle.extend(reversed(workers))                     # the same workers for the same shares next time: they have the data in their caches


def cut(n, threads):
    """Slices that share out n elements among threads, in whole lines of the cache: two processors that write to one line wait for each other."""
    lines = -(-n // 16)
    return [slice(lines * t // threads * 16, min(lines * (t + 1) // threads * 16, n)) for t in range(threads)]


def run(work, jobs):
    """[work(job) for job in jobs], each on a thread of its own, the first on this one. An error in any of them is raised here."""
    first, *others = jobs
    workers = _workers(len(others))
    for worker, job in zip(workers, others):
        worker.python = work, job
        worker.give(replay.PYTHON, NO_TAPE)
    try:
        results = [work(first)]
    finally:
        for worker in workers:
            worker.wait()                                   # for all, so that no thread is still at work when an error goes up
        outcomes = [(worker.result, worker.error) for worker in workers]
        for worker in workers:
            worker.result = worker.error = None
        _release(workers)
    for result, error in outcomes:
        if error is not None:
            raise error
        results.append(result)
    return results


def play(tasks):
    """Play tapes at the same time, the first on this thread; each is the tuple that Tape.task gives. Raises RuntimeError where a kernel failed."""
    workers = _workers(len(tasks) - 1)
    for worker, task in zip(workers, tasks[1:]):
        worker.give(replay.TAPE, task)
    failed = replay.play(*tasks[0])
    for worker in workers:
        worker.wait()
        failed |= int(worker.box[replay.FAILED])
    _release(workers)
    if failed:
        raise RuntimeError("a kernel failed while a tape was played")
