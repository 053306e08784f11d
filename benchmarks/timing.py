"""How time is taken: the first call apart, then interleaved repeats of everything that is compared."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..kernels._cpu.threads import run

SHORTEST = 4e-3  # seconds in one sample: a faster call is repeated within it
TURNS = 7  # how often each contender's turn comes
SETTLE = 0.01  # seconds of calls at the start of a turn that are not counted


@dataclass(frozen=True)
class Pace:
    """SHORTEST, TURNS and SETTLE of one comparison; least: calls in a sample at least."""

    shortest: float
    turns: int
    settle: float
    least: int = 1


@dataclass
class Contender:
    """Something to be timed: call(n) does it n times and leaves nothing undone; result() is what it computed,
    as a NumPy array; facts: what else its row says.
    """

    name: str
    threads: int
    call: Callable
    result: Callable
    facts: dict = field(default_factory=dict)

    def seconds(self, n):
        """How long n calls take."""
        start = time.perf_counter()
        self.call(n)
        return time.perf_counter() - start


def team(jobs):
    """Run the functions `jobs` at once, the first one in this thread, and give their results: on the threads
    that a training step uses.
    """
    return run(lambda job: job(), jobs)


def first_call(contender):
    """Seconds of the first call: compiling is part of it, unless Numba finds the kernel in its cache."""
    start = time.perf_counter()
    contender.call(1)
    return time.perf_counter() - start


def interleaved(contenders, seconds, pace=None):
    """{name: samples}, each sample the seconds of one call; about `seconds` are spent on each contender.

    Their turns alternate, so that a machine that gets slower or faster does so for all of them. A turn begins
    with calls that are not counted, so that no one is charged for what the one before left behind: its data
    in the cache, its threads still spinning.
    """
    pace = pace or Pace(SHORTEST, TURNS, SETTLE)
    calls = {contender.name: _calls_in_a_sample(contender, pace) for contender in contenders}
    samples = {contender.name: [] for contender in contenders}
    for _ in range(pace.turns):
        for contender in contenders:
            taken = samples[contender.name]
            if len(taken) >= 3 and sum(taken) > 4 * seconds:
                continue  # so slow that three samples must do
            _settle(contender, pace.settle if len(contenders) > 1 else 1e-3)
            n, end = calls[contender.name], time.perf_counter() + seconds / pace.turns
            while True:
                taken.append(float(f"{contender.seconds(n) / n:.4g}"))  # no clock has more than four digits
                if time.perf_counter() >= end:
                    break
    return samples


def _calls_in_a_sample(contender, pace):
    n = 1
    contender.call(1)  # whatever a first call prepares must not make one call look like a long sample
    while True:
        taken = min(contender.seconds(n), contender.seconds(n))
        if taken >= pace.shortest / 2:
            return max(pace.least, round(n * pace.shortest / taken))
        n *= 4


def _settle(contender, seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        contender.call(1)


def summary(samples):
    """median, spread (distance of the quartiles, as a share of the median)"""
    low, median, high = np.quantile(samples, (0.25, 0.5, 0.75))
    return float(median), float((high - low) / median)
