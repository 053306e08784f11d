"""The process that computes for gpu.py: one task after the other, each answered by a line of JSON.

A kernel that goes astray takes its process with it, and everything that is done in it afterwards. So gpu.py computes nothing itself: it starts
this, listens, and where it ends too early starts it again behind the task that it was at.

`python -m tinyconv.benchmarks.gpu_worker JOB`, JOB as JSON: {"sizes": a name in SIZES, "ends": {section: seconds since 1970}, "from": [section, task],
"ceilings": {}}. Answers: {"missing": why there is no GPU}; {"section", "tasks": how many}; {"running": title}; {"row": {...}}.
"""
import gc
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field, replace

import numpy as np

from ..kernels import _cuda, _cuda_gpu
from . import gpu_ceilings, gpu_checks, gpu_networks, gpu_operations, machine, pytorch
from .backends import NotMeasured

ORDER = {"environment": None, "checks": gpu_checks.measure, "ceilings": gpu_ceilings.measure, "operations": gpu_operations.measure,
         "networks": gpu_networks.measure, "training": gpu_networks.train}
ASTRAY = 3                                                  # exit status where the GPU computes no more in this process


@dataclass(frozen=True)
class Sizes:
    """What is measured, and for how long. batches: of checks; the last one is timed too."""

    cases: object = "all"                                   # of gradient_cases.py, by name
    batches: dict = field(default_factory=lambda: {"lenet5": (64, 256), "alexnet": (128,)})
    steps: dict = field(default_factory=lambda: {"lenet5": (64, 256, 1024), "alexnet": (128,)})
    tf32_steps: tuple = ("alexnet",)
    predictions: dict = field(default_factory=lambda: {"lenet5": (1, 10_000), "alexnet": (1, 64)})
    compiled: tuple = ("lenet5", "alexnet")                 # by torch.compile
    crossing: tuple = ("lenet5", (1, 4, 16, 64, 256, 1024))
    seconds: float = 0.05                                   # of the samples of one contender
    fma_steps: int = 2000
    copied: int = 2 ** 30                                   # bytes
    crossed: int = 2 ** 28
    launches: int = 1000
    matrix: int = 8192
    images: int | None = None                               # of training; None: all
    training: dict = field(default_factory=dict)            # settings of MNIST's recipe that are others here
    mnist_seconds: float = 60
    alexnet_seconds: float = 90
    alexnet_precision: str = "tf32"
    tested: int = 2000                                      # images of CIFAR-10, enlarged
    torch_device: str = "cuda"

    @staticmethod
    def multiprocessors():
        return _cuda_gpu.facts()["multiprocessors"]


FULL = Sizes()
QUICK = replace(FULL, batches={"lenet5": (256,), "alexnet": (128,)}, steps={"lenet5": (64,), "alexnet": (128,)}, compiled=(), crossing=(),
                seconds=0.02, training={"epochs": 4}, alexnet_seconds=20)
# In the simulator, where a launch takes a tenth of a second. "tiny" is a network of the tests; PyTorch has no GPU there either.
REHEARSAL = Sizes(cases=("relu", "softmax_cross_entropy"), batches={"tiny": (1, 3)}, steps={"tiny": (3,)}, tf32_steps=(), predictions={"tiny": (2,)},
                  compiled=("tiny",), crossing=("tiny", (1,)), seconds=1e-4, fma_steps=1, copied=256, crossed=256, launches=3, matrix=16, images=4,
                  training={"epochs": 1, "batch_size": 2}, mnist_seconds=1e9, alexnet_seconds=0, tested=2, torch_device="cpu")
SIZES = {"full": FULL, "quick": QUICK, "rehearsal": REHEARSAL}


class Worker:
    """What the tasks know of each other. answer(**what) tells gpu.py."""

    def __init__(self, sizes, answer, ceilings=None):
        self.sizes, self.answer, self.ceilings, self.torch_device = sizes, answer, dict(ceilings or {}), sizes.torch_device
        self.end = np.inf                                   # of the section that is at work, seconds since 1970

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
        versions = machine.versions() | {name: machine.installed(name) for name in ("numba-cuda", "cuda-bindings", "cuda-core", "nvidia-nvvm", "triton")}
        return {"status": "ok", "gpu": _cuda_gpu.facts(), "driver": _nvidia_smi("driver_version"), "machine": machine.describe(), "versions": versions,
                "clocks": {name: _nvidia_smi(f"clocks.{name}") for name in ("sm", "mem", "max.sm", "max.mem")}, "power_limit": _nvidia_smi("power.limit")}

    def do(self, section, first, end):
        """The tasks of a section from the place `first` on; those that would begin after `end` are skipped."""
        self.end = end
        try:
            tasks = self.tasks(section)
        except Exception as error:                          # of the tasks themselves it would be a row; this is ours
            return self.answer(row={"section": section, "title": "its list of tasks"} | _failed(error), ceilings=self.ceilings)
        self.answer(section=section, tasks=len(tasks))
        for place, (title, task) in enumerate(tasks[first:], first):
            self.answer(running=title, place=place)
            start = time.perf_counter()
            row = {"section": section, "title": title} | (self.attempt(task) if time.time() < end else {"status": "skipped", "why": "no time was left"})
            self.answer(row=row | {"took": round(time.perf_counter() - start, 3)}, ceilings=self.ceilings)
            if row["status"] == "failed" and not self.computes():
                os._exit(ASTRAY)                            # no farewells: they would wait for the GPU

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
            return _cuda.to_host(_cuda.to_gpu(np.arange(3)))[2] == 2
        except Exception:
            return False


def _nvidia_smi(what):
    """What nvidia-smi answers; None where it does not."""
    try:
        said = subprocess.run(["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.split("\n")[0].strip() if said.returncode == 0 else None


def _failed(error):
    lines = [line for line in str(error).split("\n") if line.strip()] or ["no message"]
    return {"status": "failed", "why": f"{type(error).__name__}: {lines[0][:400]}", "traceback": traceback.format_exc()[-3000:]}


def main(job):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)                                           # what others print is no answer

    def answer(**what):
        print(json.dumps(what, default=_plain), file=answers, flush=True)

    signal.signal(signal.SIGINT, signal.SIG_IGN)            # Ctrl-C is for gpu.py, which ends this
    if missing := _cuda_gpu.missing():
        return answer(missing=missing)
    worker, (section, first) = Worker(SIZES[job["sizes"]], answer, job["ceilings"]), job["from"]
    sections = list(job["ends"])
    for name in sections[sections.index(section):]:
        worker.do(name, first, job["ends"][name])
        first = 0


def _plain(value):
    """What json does not know: numbers of NumPy's."""
    return value.item() if hasattr(value, "item") else str(value)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
    os._exit(0)                                             # whatever libraries do when they end, all is said
