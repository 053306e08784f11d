"""The few functions of the CUDA driver that a captured step needs, for numba-cuda's simulator: memory on the
GPU is memory of the processor there, streams are one after the other, and a graph is a list of calls.

Each answers as cuda.bindings.driver does: (error, value ...), where 0 is no error.
"""

import ctypes


def _copy(to, origin, size, stream):
    ctypes.memmove(to, origin, size)
    return (0,)


cuMemcpyHtoDAsync = cuMemcpyDtoHAsync = cuMemcpyDtoDAsync = _copy


def cuEventCreate(flags):
    """Return (0, event)."""
    return 0, object()


def cuEventRecord(event, stream):
    """Mark the place of the event in the stream: all before it is done."""
    return (0,)


def cuStreamWaitEvent(stream, event, flags):
    """Let the stream wait for the event."""
    return (0,)


def cuEventSynchronize(event):
    """Wait for the event."""
    return (0,)


def cuStreamSynchronize(stream):
    """Wait for all that is in the stream."""
    return (0,)


def cuGraphLaunch(executable, stream):
    """Make the calls of a graph."""
    for call in executable:
        call()
    return (0,)


def cuGraphExecDestroy(executable):
    """Forget a graph."""
    return (0,)


def cuEventDestroy(event):
    """Forget an event."""
    return (0,)
