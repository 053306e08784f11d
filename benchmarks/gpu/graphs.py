"""Calls of kernels as a graph, so that no Python stands between them when they are timed."""

import time

import numpy as np

from ...kernels._arena import taking_from
from ...kernels._cuda import launch, memory, streams
from ...kernels._cuda.arena import CudaArena
from ...kernels._cuda.graph import capturing
from ..timing import Contender, summary
from .clock import OnGpu, clock, how_many


def captured(name, call):
    """`call` as a Contender: a graph of calls; the calls one by one where what they do cannot be captured,
    such as copying to the processor.
    """
    time_of = clock()
    together = how_many(call, time_of)
    arena = CudaArena()
    try:
        with taking_from(arena):
            call()  # takes the memory that all calls need: each gives back its own, but only
            call()  # when the next one has its result
            with capturing() as graph:
                for _ in range(together):
                    call()
    except Exception:  # whatever the driver says: then it is launched from Python
        return OnGpu(name, call, time_of)
    one = OnGpu(name, graph.launch, time_of, together, "graph")
    one.arena = arena  # which must live as long as its graph
    return one


class Calls(Contender):
    """call() on the GPU as a Contender. Its first call is timed by itself, since it compiles; all others are
    launches of a graph. result(made) is what the first call made, as a NumPy array.
    """

    def __init__(self, name, call, result):
        super().__init__(name, 1, self.seconds, lambda: result(*self.made))
        self.once, self.graph, self.made = call, None, None

    def seconds(self, n):
        if self.made is None:
            start = time.perf_counter()
            self.made = (self.once(),)
            launch.stream().synchronize()
            return time.perf_counter() - start
        self.graph = self.graph or captured(self.name, self.once)
        return self.graph.seconds(n)


def crossed(size, to_gpu):
    """Seconds in which `size` bytes get from pinned memory to the GPU, or back: the median of some copies."""
    here, there = streams.pinned((size,), np.uint8), memory.empty((size,), np.uint8)
    here[...] = 0
    if to_gpu:
        copy = lambda: there.copy_to_device(here, launch.stream())
    else:
        copy = lambda: there.copy_to_host(here, launch.stream())
    one = OnGpu("", copy, clock())
    one.seconds(1)
    return summary([one.seconds(3) / 3 for _ in range(5)])[0]
