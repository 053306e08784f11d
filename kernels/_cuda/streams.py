"""Copies that run beside the kernels: a stream of their own, marks that streams wait for, and memory that a
GPU copies from by itself.
"""

from functools import cache

from .memory import memory_errors
from .package import SIMULATOR, cuda


def pinned(shape, dtype):
    """A NumPy array in memory that the GPU copies from and to by itself, while the processor does something
    else.
    """
    with memory_errors(shape, dtype):
        return cuda.pinned_array(shape, dtype)


def event(timing=False):
    """A mark in a stream: event.record(stream), then event.synchronize() for the processor, or
    event.wait(other) for another stream.
    """
    return cuda.event() if SIMULATOR else cuda.event(timing=timing)


def elapsed(start, end):
    """Seconds between two events with timing that were recorded in a stream; waits for the second."""
    end.synchronize()
    return start.elapsed_time(end) / 1e3


def enter_context():
    """Make the GPU's context that of this thread: most calls do so themselves, waiting for an event
    does not.
    """
    if not SIMULATOR:
        cuda.current_context()


@cache
def copy_stream():
    """The stream of copies to the GPU that run beside the kernels."""
    return cuda.stream()
