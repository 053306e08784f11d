"""The process that computes for bench.py: one task after the other, each answered by a line of JSON.

A kernel that goes astray takes its process with it, and everything that is done in it afterwards. So bench.py
computes nothing itself: it starts this process, asks, listens, and starts another where this one ends too
early.

`python -m tinyconv.benchmarks.gpu.worker SIZES`, SIZES a name in sizes.SIZES. It says {"ready": true}, or
{"missing": why there is no GPU}. Then it answers each line of its input:

    {"warm": true}               {"warm": true}, when PyTorch is loaded, where there is one
    {"part", "stage"}            {"tasks": [titles]}: stage is "checks", or "timed" for the rows with times
    ... "place", "end", "known"  {"running": place}, and when it is done {"row": {...}, "ceilings": {...},
                                 "astray": whether the GPU computes no more in this process}

place: of the task in the list; end: of the part, seconds since 1970; known: {title: row} of the checks of the
part; ceilings: those of the run so far.
"""

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from functools import cache
from types import SimpleNamespace

import numpy as np

from ...kernels._cuda import gpu, memory
from .. import machine, pytorch, workloads
from ..backends import NotMeasured
from . import ceilings, checks, compile, crossing, operations, predictions, steps, training
from .parts import parts
from .sizes import SIZES

KNOWN = "status", "error", "why", "flop", "bytes", "footprint", "terms", "largest", "digest"


def _environment(run, part):
    yield "this machine", run.environment


# what measures a part: checks(run, part) and timed(run, part) yield (title, function that returns a row)
MEASURES = {
    "environment": SimpleNamespace(timed=_environment),
    "kernels": checks,
    "ceilings": ceilings,
    "operations": operations,
    "steps": steps,
    "predictions": predictions,
    "mnist": training,
    "cifar10": training,
    "compile": compile,
    "crossing": crossing,
}


class Worker:
    """What the tasks know of each other."""

    def __init__(self, sizes):
        self.sizes, self.torch_device = sizes, sizes.torch_device
        self.ceilings, self.known = {}, {}
        self.parts = {part.name: part for part in parts(sizes)}
        self.end = np.inf  # of the part that is at work, seconds since 1970
        self.workloads = cache(workloads.of_model)
        self._tasks = {}

    def torch(self):
        """The module torch. Raises NotMeasured where it does not work, or sees no GPU."""
        torch = pytorch.load()
        if self.torch_device == "cuda" and not torch.cuda.is_available():
            raise NotMeasured(f"PyTorch {torch.__version__} sees no GPU")
        return torch

    def empty_caches(self):
        """Give back what PyTorch keeps, so that it does not lack elsewhere."""
        if "torch" in sys.modules and self.torch_device == "cuda":
            sys.modules["torch"].cuda.empty_cache()

    def checked(self, title):
        """Return the columns that the check of that title has found. Raises NotMeasured where the result is
        not known to be right.
        """
        found = self.known.get(title, {"status": "not made"})
        if found["status"] != "ok":
            raise NotMeasured(f"its check is {found['status']}: {title}")
        return {name: found[name] for name in KNOWN if name in found}

    def tasks(self, part, stage):
        """Return the [(title, function)] of a part, by its name."""
        if (part, stage) not in self._tasks:
            measure = getattr(MEASURES[self.parts[part].measure], stage, None)
            self._tasks[part, stage] = list(measure(self, self.parts[part])) if measure else []
        return self._tasks[part, stage]

    def environment(self):
        versions = machine.versions() | {
            name: machine.installed(name)
            for name in ("numba-cuda", "cuda-bindings", "cuda-core", "nvidia-nvvm", "triton")
        }
        return {
            "status": "ok",
            "gpu": gpu.facts(),
            "driver": _nvidia_smi("driver_version"),
            "machine": machine.describe(),
            "versions": versions,
            "clocks": {name: _nvidia_smi(f"clocks.{name}") for name in ("sm", "mem", "max.sm", "max.mem")},
            "power_limit": _nvidia_smi("power.limit"),
        }

    def do(self, part, stage, place):
        """Return the row of one task."""
        title, task = self.tasks(part, stage)[place]
        start = time.perf_counter()
        row = {
            "section": "checks" if stage == "checks" else self.parts[part].section,
            "part": part,
            "title": title,
        } | self.attempt(task)
        return row | {"took": round(time.perf_counter() - start, 3)}

    def attempt(self, task):
        try:
            row = task()
            return {"status": "ok"} | row
        except NotMeasured as error:
            return {"status": "not measured", "why": str(error)}
        except Exception as error:
            return _failed(error)
        finally:
            gc.collect()

    def computes(self):
        """Whether the GPU still does in this process. An address out of bounds, above all, ends that."""
        try:
            return memory.to_host(memory.to_gpu(np.arange(3)))[2] == 2
        except Exception:
            return False


def _nvidia_smi(what):
    """What nvidia-smi answers; None where it does not."""
    try:
        said = subprocess.run(
            ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.split("\n")[0].strip() if said.returncode == 0 else None


def _failed(error):
    lines = [line for line in str(error).split("\n") if line.strip()] or ["no message"]
    return {
        "status": "failed",
        "why": f"{type(error).__name__}: {lines[0][:400]}",
        "traceback": traceback.format_exc()[-3000:],
    }


def main(name):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what others print is no answer

    def answer(**what):
        print(json.dumps(what, default=_plain), file=answers, flush=True)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for bench.py, which ends this
    if missing := gpu.missing():
        return answer(missing=missing)
    worker = Worker(SIZES[name])
    answer(ready=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if "warm" in asked:
            with contextlib.suppress(NotMeasured):
                worker.torch()
            answer(warm=True)
            continue
        part, stage = asked["part"], asked["stage"]
        if "place" not in asked:
            try:
                answer(tasks=[title for title, _ in worker.tasks(part, stage)])
            except Exception as error:  # of the tasks themselves it would be a row; this is ours
                answer(tasks=[], failed=_failed(error))
            continue
        answer(running=asked["place"])
        worker.end, worker.known, worker.ceilings = asked["end"], asked["known"], asked["ceilings"]
        row = worker.do(part, stage, asked["place"])
        astray = row["status"] == "failed" and not worker.computes()
        answer(row=row, ceilings=worker.ceilings, astray=astray)


def _plain(value):
    """What json does not know: numbers of NumPy's."""
    return value.item() if hasattr(value, "item") else str(value)


if __name__ == "__main__":
    main(sys.argv[1])
    os._exit(0)  # whatever libraries do when they end, all is said
