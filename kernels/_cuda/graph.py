"""Graph: the launches of a whole training step, captured once and then made again by one call.

LeNet-5's kernels take microseconds, and so does each launch: from Python one after the other, the GPU would
wait most of the time.
"""

import weakref
from contextlib import contextmanager, nullcontext

from .driver_calls import answer, handle
from .launch import capture
from .memory import array_at, is_on_gpu, memory_errors
from .package import SIMULATOR, cuda, driver


class Graph:
    """All launches of a context `with capturing() as graph`, to be made again by graph.launch(): one call
    instead of one for each.

    On a GPU this is a CUDA graph; in the simulator a list. Either knows its arrays by their addresses only:
    whoever launches it keeps their memory.
    """

    def __init__(self):
        self._executable = []

    def append(self, kernel, grid, block, arguments):
        arguments = _forgotten(arguments)
        self.append_call(lambda: kernel[grid, block](*_remembered(arguments)))

    def append_call(self, call):
        self._executable.append(call)

    def launch(self):
        answer(driver.cuGraphLaunch(self._executable, handle()))

    def _instantiate(self, captured):
        with memory_errors():
            self._executable = answer(driver.cuGraphInstantiate(captured, 0))
        weakref.finalize(self, driver.cuGraphExecDestroy, self._executable).atexit = False


@contextmanager
def capturing():
    """Within this context launches of this thread are not made, but captured; gives the Graph. What they need
    must be compiled and copied before.
    """
    graph = Graph()
    with nullcontext() if SIMULATOR else _capture_by_the_driver(graph) as stream:
        capture(graph, stream)
        try:
            yield graph
        finally:
            capture(None, None)


@contextmanager
def _capture_by_the_driver(graph):
    """On a stream of its own, so that what other threads launch meanwhile is none of it, and memory that
    numba gives back waits until it is over.
    """
    with cuda.defer_cleanup():
        own = answer(driver.cuStreamCreate(driver.CUstream_flags.CU_STREAM_NON_BLOCKING.value))
        captured = None
        try:
            answer(
                driver.cuStreamBeginCapture(
                    own, driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
                )
            )
            try:
                yield cuda.external_stream(int(own))
            except BaseException:
                _, captured = driver.cuStreamEndCapture(own)  # what was captured until then is dropped
                raise
            captured = answer(driver.cuStreamEndCapture(own))
            graph._instantiate(captured)
        finally:
            if captured is not None and int(captured):
                driver.cuGraphDestroy(captured)
            driver.cuStreamDestroy(own)


def _forgotten(arguments):
    return tuple(
        _Address(a) if is_on_gpu(a) else _forgotten(a) if isinstance(a, tuple) else a for a in arguments
    )


def _remembered(arguments):
    return tuple(
        a.array() if isinstance(a, _Address) else _remembered(a) if isinstance(a, tuple) else a
        for a in arguments
    )


class _Address:
    """Where an array on the (simulated) GPU lies."""

    def __init__(self, array):
        self.place = array.ctypes.data, array.shape, array.dtype

    def array(self):
        return array_at(*self.place)[0]
