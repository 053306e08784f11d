"""kernel: what every compiled loop of the cpu backend is decorated with."""
import threading

from numba import njit

_thread = threading.local()


class Kernel:
    """A Numba function that fills arrays it is given: calling it computes, and notes the call where a tape is recording.

    It returns nothing: what it computes stands in its output arrays. That is what lets a tape (kernels/_tape.py) call it again later
    with the same arrays and no Python in between.
    """

    def __init__(self, function):
        self.compiled = njit(cache=True, nogil=True, error_model="numpy")(function)
        self.__doc__, self.__name__, self.__module__ = function.__doc__, function.__name__, function.__module__

    def __call__(self, *arguments):
        tape = getattr(_thread, "tape", None)
        if tape is not None:
            tape.append((self, arguments))
        self.compiled(*arguments)


kernel = Kernel
helper = njit(cache=True, nogil=True, error_model="numpy")          # for what only kernels call
