"""The process that computes for bench.py: one task after the other, each answered by a line of JSON.

A kernel that goes astray takes its process with it, and everything that is done in it afterwards. So bench.py
computes nothing itself: it starts this process, listens, and where the process ends too early starts it again
behind the task that it was at.

`python -m tinyconv.benchmarks.gpu.worker JOB`, JOB as JSON: {"sizes": a name in SIZES,
"ends": {section: seconds since 1970}, "from": [section, task], "ceilings": {}}. Answers:
{"missing": why there is no GPU}; {"section", "tasks": how many}; {"running": title}; {"row": {...}}.
"""

import gc
import json
import os
import signal
import subprocess
import sys
import time
import traceback

import numpy as np

from ...kernels._cuda import gpu, memory
from .. import machine, pytorch
from ..backends import NotMeasured
from . import ceilings, checks, networks, operations, training
from .sizes import SIZES

ORDER = {
    "environment": None,
    "checks": checks.measure,
    "ceilings": ceilings.measure,
    "operations": operations.measure,
    "networks": networks.measure,
    "training": training.measure,
}
ASTRAY = 3  # exit status where the GPU computes no more in this process


class Worker:
    """What the tasks know of each other. answer(**what) tells bench.py."""

    def __init__(self, sizes, answer, ceilings=None):
        self.sizes, self.answer, self.ceilings, self.torch_device = (
            sizes,
            answer,
            dict(ceilings or {}),
            sizes.torch_device,
        )
        self.end = np.inf  # of the section that is at work, seconds since 1970

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

    def tasks(self, section):
        if section == "environment":
            return [("this machine", self.environment)]
        return list(ORDER[section](self))

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

    def do(self, section, first, end):
        """The tasks of a section from the place `first` on; those that would begin after `end` are
        skipped.
        """
        self.end = end
        try:
            tasks = self.tasks(section)
        except Exception as error:  # of the tasks themselves it would be a row; this is ours
            return self.answer(
                row={"section": section, "title": "its list of tasks"} | _failed(error),
                ceilings=self.ceilings,
            )
        self.answer(section=section, tasks=len(tasks))
        for place, (title, task) in enumerate(tasks[first:], first):
            self.answer(running=title, place=place)
            start = time.perf_counter()
            row = {"section": section, "title": title} | (
                self.attempt(task) if time.time() < end else {"status": "skipped", "why": "no time was left"}
            )
            self.answer(row=row | {"took": round(time.perf_counter() - start, 3)}, ceilings=self.ceilings)
            if row["status"] == "failed" and not self.computes():
                os._exit(ASTRAY)  # no farewells: they would wait for the GPU

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


def main(job):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what others print is no answer

    def answer(**what):
        print(json.dumps(what, default=_plain), file=answers, flush=True)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for bench.py, which ends this
    if missing := gpu.missing():
        return answer(missing=missing)
    worker, (section, first) = Worker(SIZES[job["sizes"]], answer, job["ceilings"]), job["from"]
    sections = list(job["ends"])
    for name in sections[sections.index(section) :]:
        worker.do(name, first, job["ends"][name])
        first = 0


def _plain(value):
    """What json does not know: numbers of NumPy's."""
    return value.item() if hasattr(value, "item") else str(value)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
    os._exit(0)  # whatever libraries do when they end, all is said
