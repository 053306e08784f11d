"""Graph: the launches of a whole training step, captured once and then made again by one call.

LeNet-5's kernels take microseconds, and so does each launch: from Python one after the other, the GPU would wait most of the time.
"""
import weakref
from contextlib import contextmanager

from ._cuda import SIMULATOR, array_at, capture, driver, is_on_gpu, stream


class Graph:
    """All launches of a context `with capturing() as graph`, to be made again by graph.launch(): one call instead of one for each.

    On a GPU this is a CUDA graph; in the simulator a list. Either knows its arrays by their addresses only: whoever launches it keeps their memory.
    """

    def __init__(self):
        self._calls, self._executable = [], None

    def append(self, kernel, grid, block, arguments):
        self._calls.append((kernel, grid, block, _forgotten(arguments)))

    def launch(self):
        if SIMULATOR:
            for kernel, grid, block, arguments in self._calls:
                kernel[grid, block](*_remembered(arguments))
        else:
            _driver(driver.cuGraphLaunch(self._executable, int(stream().handle)))

    def _begin(self):
        _driver(driver.cuStreamBeginCapture(int(stream().handle), driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL))

    def _end(self):
        graph = _driver(driver.cuStreamEndCapture(int(stream().handle)))
        self._executable = _driver(driver.cuGraphInstantiate(graph, 0))
        weakref.finalize(self, driver.cuGraphExecDestroy, self._executable).atexit = False
        _driver(driver.cuGraphDestroy(graph))


@contextmanager
def capturing():
    """Within this context launches of this thread are not made, but captured; gives the Graph. What they need must be compiled and copied before."""
    graph = Graph()
    capture(graph)
    try:
        if not SIMULATOR:
            graph._begin()
        yield graph
    except BaseException:
        if not SIMULATOR:
            driver.cuStreamEndCapture(int(stream().handle))  # what was captured is dropped, the stream is whole again
        raise
    else:
        if not SIMULATOR:
            graph._end()
    finally:
        capture(None)


def _forgotten(arguments):
    return tuple(_Address(a) if is_on_gpu(a) else _forgotten(a) if isinstance(a, tuple) else a for a in arguments)


def _remembered(arguments):
    return tuple(a.array() if isinstance(a, _Address) else _remembered(a) if isinstance(a, tuple) else a for a in arguments)


class _Address:
    """Where an array on the (simulated) GPU lies."""

    def __init__(self, array):
        self.place = array.ctypes.data, array.shape, array.dtype

    def array(self):
        return array_at(*self.place)[0]


def _driver(answer):
    """What a function of the CUDA driver answers, without the error code that comes first. Raises RuntimeError where that is one."""
    error, *values = answer
    if error:
        raise RuntimeError(f"the CUDA driver answers {error!r}")
    return values[0] if values else None
