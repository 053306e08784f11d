"""One run of the GPU benchmark: a process computes task after task, its answers become rows of JSON."""

import datetime
import json
import queue
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

from tqdm import tqdm

from ...files import write_atomically

# Seconds within which a section has to end, and those before it: what one leaves the next one has. Eight
# minutes are 480.
SHARES = {
    "environment": 15,
    "checks": 115,
    "ceilings": 25,
    "operations": 105,
    "networks": 90,
    "training": 110,
}
SILENCE = 60  # seconds behind its section's end after which a task is taken for hanging
RESTARTS = 8
WORKER = sys.executable, "-m", "tinyconv.benchmarks.gpu.worker"
FORMAT = "tinyconv gpu benchmark, format 1"
RESULTS = Path(__file__).parent.parent / "results"


class Missing(Exception):
    """There is no GPU to compute on; the message says why."""


class Bench:
    """One run. `result` is what the JSON holds, and grows with every row.

    sizes   a name in sizes.SIZES      shares  {section: seconds}
    path    of the JSON; a folder: a file in it that is called like the GPU
    """

    def __init__(self, sizes="full", shares=SHARES, path=RESULTS, worker=WORKER):
        self.sizes, self.shares, self.path, self.worker = sizes, dict(shares), Path(path), worker
        self.result = {
            "format": FORMAT,
            "date": datetime.date.today().isoformat(),
            "sizes": sizes,
            "rows": [],
        }
        self.ceilings, self.started, self.written = {}, time.time(), 0.0

    def run(self):
        """Everything. Raises Missing; KeyboardInterrupt passes through, and leaves what there is in
        `result`.
        """
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
                    self._add(
                        {
                            "section": at[0] if at else section,
                            "title": self.title,
                            "status": "failed",
                            "why": why,
                        }
                    )
        if at is not None:
            self._add(
                {
                    "section": at[0],
                    "title": "all that would follow",
                    "status": "failed",
                    "why": f"{restarts} processes have ended",
                }
            )
        self.result["seconds"] = round(time.time() - self.started, 1)
        self.write()

    def _listen(self, at):
        """Let a process do the tasks from `at` (section, place) on. Gives (None, None), or where to go on and
        why its last task has no row.
        """
        job = json.dumps({"sizes": self.sizes, "ends": self.ends, "from": at, "ceilings": self.ceilings})
        process = subprocess.Popen([*self.worker, job], stdout=subprocess.PIPE, text=True)
        lines = queue.Queue()
        threading.Thread(target=_pass_on, args=(process.stdout, lines), daemon=True).start()
        self.title, (section, place), answered = "the start of a process", at, True
        place -= 1  # the last task that has begun
        try:
            while True:
                try:
                    line = lines.get(timeout=max(1, self.ends[section] + SILENCE - time.time()))
                except queue.Empty:
                    return (
                        section,
                        place + 1,
                    ), f"no answer for {SILENCE} s after the section's time was over: stopped"
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
            head = ",\n".join(
                f'"{key}": {json.dumps(value)}' for key, value in self.result.items() if key != "rows"
            )
            write_atomically(path, lambda file: file.write(f'{{{head},\n"rows": [\n{rows}\n]}}\n'.encode()))
            self.written = time.time()

    def file(self):
        """Where the JSON goes; None where that is a folder and the GPU's name is not known yet."""
        if not self.path.is_dir():
            return self.path
        name = next((row["gpu"]["name"] for row in self.result["rows"] if "gpu" in row), None)
        return (
            None
            if name is None
            else self.path / (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ".json")
        )


def _pass_on(file, lines):
    """Each line of `file` into the queue; at its end an empty one."""
    for line in iter(file.readline, ""):
        lines.put(line)
    lines.put("")
