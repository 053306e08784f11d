"""Threads that are at hand within a microsecond: what shares a step of less than a millisecond among
processors.

A processor that has gone to sleep takes half a millisecond to come back. So a worker that has finished
watches for its next task for a while before it sleeps, in compiled code and without Python's global lock
(kernels/_cpu/replay.py), as OpenMP's threads do.
"""

import os
import threading
import time

from numba import config

from . import replay

WATCH = 2**18  # looks at a number that another thread may change: a quarter of a millisecond
FOR_PYTHON = (replay.PYTHON,) + (0,) * 8


class _Worker(threading.Thread):
    """Takes one task at a time: a tape to play, or a Python function to call."""

    def __init__(self):
        super().__init__(name="tinyconv", daemon=True)
        self.box, self.sent = replay.mailbox(), threading.Semaphore(0)
        self.python = None
        self.start()

    def run(self):
        if config.DISABLE_JIT:  # compiled code cannot watch: sleep between tasks
            while True:
                self.sent.acquire()
                self._call()
        received = 0  # of the permits of `sent`, one a task: only who sleeps needs to wait for them
        while True:
            python = replay.serve(self.box, WATCH)
            while received < self.box[replay.DONE]:
                self.sent.acquire()
                received += 1
            if python:
                self._call()
            elif (
                received == self.box[replay.DONE]
            ):  # else it holds the permit of a task that serve is about to see
                self.sent.acquire()
                received += 1

    def _call(self):
        (function, argument), self.python = self.python, None
        function(argument)  # which keeps its errors for the thread that waits
        del function, argument  # or the arrays of the last step would live as long as the thread
        self.box[replay.DONE] += 1

    def call(self, function, argument):
        self.python = function, argument
        self.give(FOR_PYTHON)

    def give(self, task):
        if config.DISABLE_JIT:
            self.box[replay.SENT] += 1
        else:
            replay.send(self.box, task)
        self.sent.release()

    def wait(self):
        while not self._done():
            if not self.is_alive():
                raise RuntimeError("a thread of tinyconv has died at its work; see the traceback above")
            time.sleep(5e-5)

    def _done(self):
        sent = self.box[replay.SENT]
        return self.box[replay.DONE] >= sent if config.DISABLE_JIT else replay.watch(self.box, sent, WATCH)


_idle, _lock = [], threading.Lock()


def _after_fork():
    """A forked child inherits the list, but not the threads, and the lock as it was."""
    global _lock
    _idle.clear()
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _together(jobs, give, mine):
    """give(worker, job) for all jobs but the first, mine(first job) meanwhile, then wait: gives its result,
    and whether theirs failed.

    Whatever happens, Ctrl-C too, nobody is still at work when this is left: arrays may go away, and the next
    call may need the same ones. FAILED is read before others can have the workers.
    """
    with _lock:
        workers = [_idle.pop() for _ in range(min(len(_idle), len(jobs) - 1))]
    workers += [_Worker() for _ in range(len(jobs) - 1 - len(workers))]
    interrupted = None
    try:
        for worker, job in zip(workers, jobs[1:]):
            give(worker, job)
        result = mine(jobs[0])
    finally:
        for worker in workers:
            while True:
                try:
                    worker.wait()
                    break
                except KeyboardInterrupt as error:
                    interrupted = error
        failed = [int(worker.box[replay.FAILED]) for worker in workers]
        with _lock:
            _idle.extend(
                reversed(workers)
            )  # the same workers for the same shares next time: they have the data in their caches
    if interrupted is not None:
        raise interrupted
    return result, failed


def cut(n, threads):
    """Slices that share out n elements among threads, in whole lines of the cache: two processors that write
    to one line wait for each other.
    """
    lines = -(-n // 16)
    return [slice(lines * t // threads * 16, min(lines * (t + 1) // threads * 16, n)) for t in range(threads)]


def run(work, jobs):
    """[work(job) for job in jobs], each on a thread of its own, the first on this one. An error in any of
    them is raised here.
    """

    def call(job):
        try:
            return work(job), None
        except BaseException as error:  # raised below, in the thread that waits
            return None, error

    jobs = list(jobs)
    outcomes = [None] * len(jobs)

    def fill(place):
        outcomes[place] = call(jobs[place])

    _together(range(len(jobs)), lambda worker, place: worker.call(fill, place), fill)
    for _, error in outcomes:
        if error is not None:
            raise error
    return [result for result, _ in outcomes]


def play(tasks):
    """Play tapes at the same time, the first on this thread; each is the tuple that task() of a tape gives.

    Raises RuntimeError where a kernel failed."""
    if len(tasks) == 1:
        failed = [replay.perform(*tasks[0])]
    else:
        mine, theirs = _together(tasks, _Worker.give, lambda task: replay.perform(*task))
        failed = [mine, *theirs]
    if any(failed):
        raise RuntimeError("a kernel failed while a tape was played; most likely memory was exhausted")
