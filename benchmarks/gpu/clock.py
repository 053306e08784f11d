"""Time on a GPU, taken between two events in its stream.

The calls are captured as one graph, so that their launches take no part in it. A contender here is one of
timing.py: its turns alternate with those of the others.
"""

import time

from ...kernels._cuda import launch, package, streams
from ..timing import Contender

TOGETHER = 2 if package.SIMULATOR else 20  # calls in one graph, at most
LONG = 1e-3  # seconds of a graph, from which on its own launch does not count


class Wall:
    """The clock on the wall, for the simulator and for PyTorch without a GPU: they compute while they are
    called.
    """

    now = staticmethod(time.perf_counter)

    def since(self, start):
        return time.perf_counter() - start


class OurStream:
    """Events in the stream of all our launches."""

    def now(self):
        timer = streams.event(timing=True)
        timer.record(launch.stream())
        return timer

    def since(self, start):
        return streams.elapsed(start, self.now())


class TorchStream:
    """Events in a stream of PyTorch's, in which it has to compute."""

    def __init__(self, torch, stream):
        self.torch, self.stream = torch, stream

    def now(self):
        event = self.torch.cuda.Event(enable_timing=True)
        event.record(self.stream)
        return event

    def since(self, start):
        end = self.now()
        end.synchronize()
        return start.elapsed_time(end) / 1e3


class OnGpu(Contender):
    """launch() starts `together` calls at once; `clock` takes the time. how: "graph", or "calls" where they
    cannot be captured.
    """

    def __init__(self, name, launch, clock, together=1, how="calls"):
        super().__init__(name, 1, self.seconds, None)
        self.launch, self.clock, self.together, self.how = launch, clock, together, how

    def seconds(self, n):
        launches = max(1, round(n / self.together))
        start = self.clock.now()
        for _ in range(launches):
            self.launch()
        return self.clock.since(start) * n / (launches * self.together)


def clock():
    return Wall() if package.SIMULATOR else OurStream()


def how_many(call, clock):
    """How many calls make a graph."""
    taken = []
    for _ in range(3):
        start = clock.now()
        call()
        taken.append(clock.since(start))
    return max(1, min(TOGETHER, int(LONG / max(min(taken), 1e-7))))
