"""The one command for a machine with a GPU: checks everything, then measures it, within a budget of under 8 minutes.

    python -m tinyconv.benchmarks.gpu [--json FILE] [--quick]       in a checkout that is installed: pip install -e ".[cuda]"
    python -m tinyconv.benchmarks.gpu --sanitizer                   the second command: compute-sanitizer over the small tests

Without a network: `pip install --no-deps --no-build-isolation --no-index -e .`, or, where nothing may be installed, a folder `tinyconv` of links:
`bash -c 'mkdir -p /tmp/t && cp -r tinyconv /tmp/t && cp -r kernels models benchmarks /tmp/t/tinyconv && cd /tmp/t && python -m tinyconv.benchmarks.gpu'`.
PyTorch is compared with where it is installed and sees the GPU. MNIST and CIFAR-10 are trained on where they are found (TINYCONV_DATA).

    environment  what the machine is
    checks       cases of gradient_cases.py, operations at full size, <dy, Ax> = <A'dy, x>, tf32 within its bound, the same bits twice and by a graph
    ceilings     multiply-adds, copies, launches
    operations   each direction of each: checked, then timed between events in turns with PyTorch
    networks     training steps and predictions against PyTorch, eager and compiled, and against the CPU
    training     MNIST to its test error; AlexNet at 224x224 on CIFAR-10 for as long as there is time

All of it is computed by another process (gpu_worker.py), which is started anew where it ends too early, and stopped where it does not answer. What
goes wrong is a row, and the exit status 1. The table is printed at the end, or with what there is when it is interrupted (Ctrl-C, SIGTERM); the JSON
grows with every row.
"""
import argparse
import datetime
import json
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tqdm import tqdm

from ..files import write_atomically
from ..kernels import _cuda
from . import gpu_report

# Seconds within which a section has to end, and those before it: what one leaves the next one has. Eight minutes are 480.
SHARES = {"environment": 15, "checks": 115, "ceilings": 25, "operations": 105, "networks": 90, "training": 110}
SILENCE = 60                                                # seconds behind its section's end after which a task is taken for hanging
RESTARTS = 8
WORKER = sys.executable, "-m", "tinyconv.benchmarks.gpu_worker"
FORMAT = "tinyconv gpu benchmark, format 1"
RESULTS = Path(__file__).parent / "results"
# The tests that need no network of ours: each is small, and the sanitizer takes a hundred times as long. On this machine's GPU, not in the simulator
SANITIZER = ["NUMBA_ENABLE_CUDASIM=0 compute-sanitizer --tool {} --error-exitcode 1 python -m pytest -p no:cacheprovider tests/test_cuda_kernels.py "
             "tests/test_cuda_tiles.py".format(tool) for tool in ("memcheck", "racecheck")]
SANITIZER += [line.replace("tests/test_cuda_kernels.py tests/test_cuda_tiles.py", "tests/test_parity.py -k 'cuda and not net'") for line in SANITIZER]


class Missing(Exception):
    """There is no GPU to compute on; the message says why."""


class Bench:
    """One run. `result` is what the JSON holds, and grows with every row.

    sizes   a name in gpu_worker.SIZES      shares  {section: seconds}
    path    of the JSON; a folder: a file in it that is called like the GPU
    """

    def __init__(self, sizes="full", shares=SHARES, path=RESULTS, worker=WORKER):
        self.sizes, self.shares, self.path, self.worker = sizes, dict(shares), Path(path), worker
        self.result = {"format": FORMAT, "date": datetime.date.today().isoformat(), "sizes": sizes, "rows": []}
        self.ceilings, self.started, self.written = {}, time.time(), 0.0

    def run(self):
        """Everything. Raises Missing; KeyboardInterrupt passes through, and leaves what there is in `result`."""
        end, self.ends = self.started, {}
        for section, seconds in self.shares.items():
            end += seconds
            self.ends[section] = end
        at, restarts = (next(iter(self.shares)), 0), 0
        with tqdm(total=0, desc="gpu", unit="task", leave=False) as self.bar:
            while at is not None and restarts <= RESTARTS:
                section = at[0]
                try:
                    at, why = self._listen(at)
                except Missing as missing:
                    if not self.result["rows"]:
                        raise
                    at, why = None, f"the GPU has gone: {missing}"
                restarts += 1
                if why:
                    self._add({"section": at[0] if at else section, "title": self.title, "status": "failed", "why": why})
        if at is not None:
            self._add({"section": at[0], "title": "all that would follow", "status": "failed", "why": f"{restarts} processes have ended"})
        self.result["seconds"] = round(time.time() - self.started, 1)
        self.write()

    def _listen(self, at):
        """Let a process do the tasks from `at` (section, place) on. Gives (None, None), or where to go on and why its last task has no row."""
        job = json.dumps({"sizes": self.sizes, "ends": self.ends, "from": at, "ceilings": self.ceilings})
        process = subprocess.Popen([*self.worker, job], stdout=subprocess.PIPE, text=True)
        lines = queue.Queue()
        threading.Thread(target=_pass_on, args=(process.stdout, lines), daemon=True).start()
        self.title, (section, place), answered = "the start of a process", at, True
        place -= 1                                          # the last task that has begun
        try:
            while True:
                try:
                    line = lines.get(timeout=max(1, self.ends[section] + SILENCE - time.time()))
                except queue.Empty:
                    return (section, place + 1), f"no answer for {SILENCE} s after the section's time was over: stopped"
                if not line:
                    break
                said = json.loads(line)
                if "missing" in said:
                    raise Missing(said["missing"])
                if "tasks" in said:
                    if said["section"] != section:
                        section, place = said["section"], -1
                    self.bar.total += said["tasks"] if place < 0 else 0
                elif "running" in said:
                    self.title, place, answered = said["running"], said["place"], False
                    self.bar.set_postfix_str(f"{section}: {self.title}"[:90])
                else:
                    self.ceilings, answered = said["ceilings"], True
                    self._add(said["row"])
                    self.bar.update()
            status = process.wait()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        if status == 0:
            return None, None
        begun = (section, place) != (at[0], at[1] - 1)
        return (section, place + 1), None if answered and begun else f"its process ended with status {status}"

    def _add(self, row):
        self.result["rows"].append(row)
        if time.time() - self.written > 2:
            self.write()

    def write(self):
        """The JSON, one row a line, as soon as it is known where to; whole or not at all. Raises OSError."""
        path = self.file()
        if path is not None:
            rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in self.result["rows"])
            head = ",\n".join(f'"{key}": {json.dumps(value)}' for key, value in self.result.items() if key != "rows")
            write_atomically(path, lambda file: file.write(f'{{{head},\n"rows": [\n{rows}\n]}}\n'.encode()))
            self.written = time.time()

    def file(self):
        """Where the JSON goes; None where that is a folder and the GPU's name is not known yet."""
        if not self.path.is_dir():
            return self.path
        name = next((row["gpu"]["name"] for row in self.result["rows"] if "gpu" in row), None)
        return None if name is None else self.path / (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ".json")


def _pass_on(file, lines):
    """Each line of `file` into the queue; at its end an empty one."""
    for line in iter(file.readline, ""):
        lines.put(line)
    lines.put("")


def sanitize():
    """Run compute-sanitizer's memcheck and racecheck over the small tests, and say each command; gives the first exit status that is not 0."""
    if shutil.which("compute-sanitizer") is None:
        print("\n".join(["compute-sanitizer is not on the PATH; it comes with NVIDIA's CUDA toolkit. What would be run:", *SANITIZER]), file=sys.stderr)
        return 1
    worst = 0
    for line in SANITIZER:
        print(f"+ {line}", flush=True)
        worst = worst or subprocess.run(line, shell=True).returncode
    return worst


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tinyconv.benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", type=Path, default=RESULTS, help="default: benchmarks/results/<name of the GPU>.json")
    parser.add_argument("--quick", action="store_true", help="less of everything, in two to three minutes")
    parser.add_argument("--only", metavar="SECTION,...", help=f"some of {','.join(SHARES)}")
    parser.add_argument("--sanitizer", action="store_true", help="look for accesses out of bounds, and for races, in the small tests")
    args = parser.parse_args(arguments)
    if args.sanitizer:
        return sanitize()
    if _cuda.SIMULATOR:
        parser.error("NUMBA_ENABLE_CUDASIM is set: unset it, a simulator is no GPU")
    wanted = args.only.split(",") if args.only else list(SHARES)
    if unknown := set(wanted) - SHARES.keys():
        parser.error(f"--only: expected some of {', '.join(SHARES)}, got {', '.join(sorted(unknown))}")
    if not args.json.is_dir() and not args.json.absolute().parent.is_dir():
        parser.error(f"{args.json}: there is no folder {args.json.parent}; make it first")
    # the machine comes first, always, and operations need ceilings
    shares = {name: seconds for name, seconds in SHARES.items() if name in {"environment", *wanted, *(["ceilings"] if "operations" in wanted else [])}}

    bench = Bench("quick" if args.quick else "full", shares, args.json)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        bench.run()
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        bench.result["interrupted"] = True
        bench.write()
    print("\n".join(gpu_report.lines(bench.result)))
    print(f"\nwritten to {bench.file() or 'no file: the GPU did not say its name'}")
    if bench.result.get("interrupted"):
        return 130
    return 1 if gpu_report.wrong(bench.result) else 0


if __name__ == "__main__":
    sys.exit(main())
