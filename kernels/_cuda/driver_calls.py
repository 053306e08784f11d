"""Calls of the CUDA driver itself: what it answers, and by which number it knows a stream."""

from functools import cache

from .launch import capture_in_progress, stream
from .package import SIMULATOR


def answer(answered):
    """Return what a function of the driver answers, without the error code that comes first. Raises
    RuntimeError where that is one.
    """
    if answered[0]:
        raise RuntimeError(f"the CUDA driver answers {answered[0]!r}")
    return answered[1] if len(answered) > 1 else None


def number(of):
    """Return the number that the driver knows a stream by."""
    return 0 if SIMULATOR else int(of.handle)


def handle():
    """Return the number of the stream of all launches; in a capture, of that which only this thread has."""
    return _handle() if capture_in_progress() is None else number(stream())


@cache
def _handle():
    return number(stream())
