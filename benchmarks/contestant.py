"""The contestant's side of process.py.

`python -m tinyconv.benchmarks.contestant NAME`, NAME a backend or a variant of PyTorch. It waits for
requests, lines of JSON, and answers each by one, so that nothing runs in it while another contestant has
its turn:

    {"network": task, "path": FILE}   compute what is checked of a network, and write it to FILE
    {"network": task, "path": null}   make the network of a task
    {"kernel": job, "path": FILE}     make a kernel, call it once, and write to FILE what it gave
    {"times": n}                      do what was made last n times
    {"resident": true}                the training step that was made last, its batch on the GPU already

"seconds" of an answer: how long that took. "failed": why there is no other answer.
"""

import gc
import json
import os
import signal
import sys
import time

import numpy as np

from . import machine, networks, workloads
from .backends import ACTIVATIONS, BACKENDS, NotMeasured, kernel_contender
from .timing import Contender, summary

RESIDENT = 5  # samples of a step whose batch lies on the GPU


class Answers:
    """The requests, by name; `one` is what was made last, `contender` does it n times."""

    def __init__(self, name):
        self.name, self.one, self.contender = name, None, None

    def network(self, network, path):
        self.one = self.contender = None
        gc.collect()
        start = time.perf_counter()
        self.one = networks.make(self.name, networks.Task(**network), checked=bool(path))
        if path:
            np.savez(path, **self.one.found())
        self.contender = Contender(self.name, self.one.threads, self.one.repeat, None)
        return {"seconds": time.perf_counter() - start}

    def kernel(self, kernel, path):
        self.one = self.contender = None
        gc.collect()
        model, layer, direction = kernel["workload"]
        workload = next(w for w in workloads.kept(model) if w.layer == layer and w.direction == direction)
        batch, dtype, threads = kernel["batch"], np.dtype(kernel["dtype"]), kernel["threads"]
        self.contender = kernel_contender(self.name, workload, batch, dtype, threads)
        seconds = self.contender.seconds(1)
        result = self.contender.result()
        np.save(path, result)
        given = workload.arrays(batch, dtype)
        moved = [given[name] for name in ACTIVATIONS & given.keys()]
        return {"seconds": seconds, "copies": BACKENDS[self.name].copies(moved, result)}

    def times(self, times):
        return {"seconds": self.contender.seconds(times)}

    def resident(self, resident):
        one = self.one.resident()
        if one is None:
            return {"seconds": None}
        n = max(1, round(0.02 / max(one.seconds(2) / 2, 1e-7)))
        return {"seconds": summary([one.seconds(n) / n for _ in range(RESIDENT)])[0]}


def main(name):
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what others print is no answer

    def answer(**what):
        print(json.dumps(what | {"peak_memory": machine.peak_memory()}), file=said, flush=True)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the other side, which ends this
    answers = Answers(name)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer(**getattr(answers, next(iter(request)))(**request))
        except NotMeasured as error:
            answer(failed=str(error), missing=True)
        except Exception as error:
            first = next(filter(None, map(str.strip, str(error).split("\n"))), "")
            return answer(failed=f"{type(error).__name__}: {first}")


if __name__ == "__main__":
    main(sys.argv[1])
