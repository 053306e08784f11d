"""Work done by threads ahead of whoever takes its results, within bounds."""

import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from ..execution import available_threads


class Ahead:
    """work(job) for each of `jobs`, in their order; an iterator, and a context manager that stops its threads
    however it is left.

    Threads help where the work releases Python's lock, as reading files, Pillow's decoders and compiled
    kernels do.

    workers  threads (default: the processors of this process); 0: the work is done when its result is asked
             for
    ahead    results that are finished or being worked on before they are asked for (default: two for each
             worker)
    waited   seconds that whoever takes the results has spent waiting for them, so far

    An error in work is raised where its result would have been.
    """

    def __init__(self, work, jobs, *, workers=None, ahead=None):
        self.workers = available_threads() if workers is None else workers
        self.ahead = max(1, 2 * self.workers if ahead is None else ahead)
        self.waited = 0.0
        self._work, self._jobs, self._begun = work, iter(jobs), deque()
        self._pool = ThreadPoolExecutor(self.workers, "tinyconv data") if self.workers else None

    def __iter__(self):
        return self

    def __next__(self):
        start = time.perf_counter()
        try:
            if self._pool is None:
                return self._work(next(self._jobs))
            self._begin()
            if not self._begun:
                raise StopIteration
            result = self._begun.popleft().result()
            self._begin()  # before the result is used, so that no worker idles meanwhile
            return result
        finally:
            self.waited += time.perf_counter() - start

    def _begin(self):
        self._begun.extend(
            self._pool.submit(self._work, job) for job in islice(self._jobs, self.ahead - len(self._begun))
        )

    def close(self):
        """Drop what has not begun, and wait until no thread is at work."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._begun.clear()
        self._jobs = iter(())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
