"""kernel: what every compiled loop of the cpu backend is decorated with."""

import inspect
import threading
from contextlib import contextmanager

import numba
import numpy as np
from numba import njit

from .._cache import kept_until_a_change
from .threads import run

# of each Python thread: .calls, where a tape is being recorded, the list of calls (kernels/_cpu/tape.py);
# .threads, how many may share a call
thread = threading.local()
SMALLEST_PART = 2**15  # bytes of arrays, below which it takes longer to meet again than to do a part
SMALLEST_SHARE = 2**19  # bytes of arrays for each thread, below which waking it takes longer than its share


def compiled(function):
    """njit for kernels, and for what only kernels call: no Python lock, division as in NumPy, kept on disk
    until a file of the kernels changes.
    """
    return kept_until_a_change(njit(cache=True, nogil=True, error_model="numpy")(function))


class Kernel:
    """A Numba function that fills arrays it is given. Calling it computes, and notes the call where a tape is
    being recorded.

    It returns nothing: all that it computes stands in its output arrays, and all that it reads stands in its
    arguments. That is what lets a tape call it again later with the same arrays and no Python in between.

    once   whether it reads weights alone: a tape then calls it once a step, not once for every chunk of
           images
    split  names of arguments that may be cut along their first axis, all at the same places, so that threads
           can share the call
    """

    def __init__(self, function, once=False, split=()):
        self.compiled, self.once = compiled(function), once
        self.split = [list(inspect.signature(function).parameters).index(name) for name in split]
        self.__doc__, self.__name__, self.__module__ = (
            function.__doc__,
            function.__name__,
            function.__module__,
        )

    def __call__(self, *arguments):
        calls = getattr(thread, "calls", None)
        if calls is not None:
            calls.append((self, arguments))
        threads = threads_at_hand()
        if (
            threads > 1
            and self.split
            and sum(a.nbytes for a in arguments if isinstance(a, np.ndarray)) > threads * SMALLEST_SHARE
        ):
            run(lambda part: self.compiled(*part), self.parts(arguments, threads))
        else:
            self.compiled(*arguments)

    def parts(self, arguments, most):
        """The arguments of up to `most` calls that together do what one with `arguments` does, in any order;
        fewer where a part would be tiny.
        """
        if not self.split:
            return [arguments]
        n, size = len(arguments[self.split[0]]), sum(a.nbytes for a in arguments if isinstance(a, np.ndarray))
        most = max(1, min(most, n, size // SMALLEST_PART))
        cuts = [slice(n * t // most, n * (t + 1) // most) for t in range(most)]
        return [
            tuple(value[cut] if place in self.split else value for place, value in enumerate(arguments))
            for cut in cuts
        ]

    def signature(self, arguments):
        """The Numba types of arguments that it has been called with."""
        return tuple(map(numba.typeof, arguments))


def kernel(function=None, **options):
    """Decorator: @kernel, or @kernel(once=True), @kernel(split=("x", "y")): see Kernel."""
    return Kernel(function, **options) if function else lambda function: Kernel(function, **options)


def threads_at_hand():
    """How many threads may share what this thread does: see shared."""
    return getattr(thread, "threads", 1)


@contextmanager
def shared(threads):
    """Within this context up to `threads` share each kernel that this thread calls."""
    before, thread.threads = threads_at_hand(), threads
    try:
        yield
    finally:
        thread.threads = before
