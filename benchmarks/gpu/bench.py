"""One run of the GPU benchmark: first all checks, in several processes at once; then all that is timed, in
one process and with nobody beside it. Each answer is a row of JSON.
"""

import contextlib
import datetime
import json
import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

from tqdm import tqdm

from ...files import write_atomically
from .parts import CHECKS, chosen
from .sizes import SIZES

SILENCE = 40  # seconds behind its part's end after which a task is taken for hanging
START = 60  # seconds within which a process has to be ready, and to list the tasks of a part
RESTARTS = 8
WORKER = sys.executable, "-m", "tinyconv.benchmarks.gpu.worker"
FORMAT = "tinyconv gpu benchmark, format 2"
RESULTS = Path(__file__).parent.parent / "results"
# Check processes share the processor: each computes the reference with few threads of NumPy's
FEW = {name: "2" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


class Missing(Exception):
    """There is no GPU to compute on; the message says why."""


class Gone(Exception):
    """A process has ended, or does not answer; the message says how."""


class Process:
    """A process of worker.py, ready to be asked. Raises Missing or Gone."""

    def __init__(self, command, environment=None):
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | (environment or {}),
        )
        self.lines = queue.Queue()
        threading.Thread(target=_pass_on, args=(self.process.stdout, self.lines), daemon=True).start()
        self.wait(time.time() + START)

    def ask(self, question, until):
        """Return the last line of the answer to a question. Raises Gone; its `begun` says whether the task
        was begun.
        """
        with contextlib.suppress(OSError):  # where it has ended, wait() says how
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
        return self.wait(until)

    def wait(self, until):
        begun = False
        while True:
            try:
                line = self.lines.get(timeout=max(1, until - time.time()))
            except queue.Empty:
                raise _gone("no answer for too long: stopped", True) from None
            if not line:
                raise _gone(f"its process ended with status {self.process.wait()}", begun)
            said = json.loads(line)
            if "missing" in said:
                raise Missing(said["missing"])
            if "running" not in said:
                return said
            begun = True

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        with contextlib.suppress(OSError):  # of a question that was not read any more
            self.process.stdin.close()


class Bench:
    """One run. `result` is what the JSON holds, and grows with every row.

    sizes      a name in sizes.SIZES
    only       the list of --only: see parts.py. "checks": all checks, and nothing timed
    path       of the JSON; a folder: a file in it that is called like the GPU
    processes  that check at once; None: half as many as there are processors
    parts      that are measured, instead of those of `only`
    """

    def __init__(
        self, sizes="full", only=None, path=RESULTS, worker=WORKER, processes=None, parts=None, checks=CHECKS
    ):
        self.sizes, self.path, self.worker = sizes, Path(path), [*worker, sizes]
        self.times = only != "checks"
        if parts is None:
            parts = chosen(only if self.times else None, SIZES[sizes])
        self.parts, self.checks = parts, checks
        self.processes = processes or max(1, min(8, (os.cpu_count() or 2) // 2))
        self.result = {
            "format": FORMAT,
            "date": datetime.date.today().isoformat(),
            "sizes": sizes,
            "only": only,
            "rows": [],
        }
        self.ceilings, self.known, self.restarts, self.stopped = {}, {}, 0, False
        self.started, self.written, self.lock = time.time(), 0.0, threading.Lock()

    def run(self):
        """Everything. Raises Missing; KeyboardInterrupt passes through, and leaves what there is in
        `result`.
        """
        self.bar = tqdm(total=0, desc="gpu", unit="task", leave=False, disable=None)
        # the process that times is started now: it is ready when the checks are done
        with self.bar, _Workers(self) as timing:
            try:
                if self.times:
                    timing.warm_up()
                self._check()
                if self.times:
                    timing.warm.join()
                    self._time(timing)
            finally:
                self.stopped = True
        self.result["seconds"] = round(time.time() - self.started, 1)
        self.write()

    def _check(self):
        """The machine; then the checks of all parts, shared among processes."""
        end = self.started + self.checks
        with _Workers(self, FEW) as first:
            for part in self.parts:
                if part.name == "environment":
                    self._part(first, part, "timed", end)
            tasks = deque(
                (part, place, title)
                for part in sorted(self.parts, key=lambda part: _ORDER.get(part.measure, 9))
                for place, title in enumerate(first.tasks(part, "checks"))
            )
            self.bar.total += len(tasks)
            many = max(1, min(self.processes, len(tasks)))
            shares = [threading.Thread(target=self._share, args=(tasks, end, None)) for _ in range(many - 1)]
            for thread in shares:
                thread.daemon = True
                thread.start()
            self._share(tasks, end, first)
            for thread in shares:
                while thread.is_alive():
                    thread.join(0.2)  # so that Ctrl-C is heard
        self.known = {}
        for row in self.result["rows"]:
            if row["section"] == "checks":
                self.known.setdefault(row["part"], {})[row["title"]] = row

    def _share(self, tasks, end, workers):
        """Do tasks until none is left; without `workers`, in a process of its own."""
        own = workers or _Workers(self, FEW)
        try:
            while not self.stopped:
                try:
                    part, place, title = tasks.popleft()
                except IndexError:
                    return
                own.do(part, "checks", place, title, end)
        except Missing as missing:
            self._add(_lost("checks", "", "a process that checks", f"the GPU has gone: {missing}"))
        finally:
            if workers is None:
                own.close()

    def _time(self, workers):
        """The timed rows of all parts, one after the other."""
        planned = time.time()
        for part in self.parts:
            if part.name == "environment":
                continue
            planned += part.seconds
            try:
                self._part(workers, part, "timed", max(planned, time.time() + part.seconds))
            except Missing as missing:
                why = f"the GPU has gone: {missing}"
                return self._add(_lost(part.section, part.name, "all that would follow", why))

    def _part(self, workers, part, stage, end):
        titles = workers.tasks(part, stage)
        self.bar.total += len(titles)
        for place, title in enumerate(titles):
            workers.do(part, stage, place, title, end)

    def _add(self, row):
        with self.lock:
            self.result["rows"].append(row)
            if time.time() - self.written > 2:
                self.write()
            self.bar.set_postfix_str(f"{row['section']}: {row['title']}"[:90])
            self.bar.update()

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


# Operations come first: each process compiles other kernels then, and whole steps find all of them in the
# cache. The small cases come last and fill the gaps.
_ORDER = {"operations": 0, "steps": 1, "predictions": 2, "kernels": 3}


class _Workers:
    """One process at a time; another where it has ended. Rows go to `bench`."""

    def __init__(self, bench, environment=None):
        self.bench, self.environment, self.process = bench, environment, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.process is not None:
            self.process.close()
            self.process = None

    def _ask(self, question, until):
        """Return the answer of the process, started where there is none. Raises Gone or Missing."""
        if self.process is None:
            self.process = Process(self.bench.worker, self.environment)
        return self.process.ask(question, until)

    def warm_up(self):
        """Start the process, and let it load PyTorch; self.warm ends when that is done."""

        def start():
            # what is wrong shows when it is asked for a task
            with contextlib.suppress(Missing, Gone):
                self._ask({"warm": True}, time.time() + START)

        self.warm = threading.Thread(target=start, daemon=True)
        self.warm.start()

    def tasks(self, part, stage):
        """Return the titles of the tasks of a part."""
        title = "its list of tasks"
        for _ in range(2):
            try:
                answer = self._ask({"part": part.name, "stage": stage}, time.time() + START)
                if "failed" in answer:
                    self.bench._add(_row(part, stage, title) | answer["failed"])
                return answer["tasks"]
            except Gone as gone:
                why = str(gone)
                self.close()
        self.bench._add(_row(part, stage, title) | {"status": "failed", "why": why})
        return []

    def do(self, part, stage, place, title, end):
        """Do a task, and add its row. What has not begun when its part's time is over is skipped."""
        bench, row = self.bench, _row(part, stage, title)
        while True:
            if time.time() >= end:
                return bench._add(row | {"status": "skipped", "why": "no time was left"})
            if bench.restarts > RESTARTS:
                why = f"{bench.restarts} processes have ended"
                return bench._add(row | {"status": "failed", "why": why})
            question = {
                "part": part.name,
                "stage": stage,
                "place": place,
                "end": end,
                "known": bench.known.get(part.name, {}),
                "ceilings": bench.ceilings,
            }
            try:
                answer = self._ask(question, end + SILENCE)
            except Gone as gone:
                self.close()
                with bench.lock:
                    bench.restarts += 1
                if gone.begun:
                    return bench._add(row | {"status": "failed", "why": str(gone)})
                continue  # it ended behind the task before
            if stage == "timed":
                bench.ceilings = answer["ceilings"]
            if answer["astray"]:
                self.close()
                with bench.lock:
                    bench.restarts += 1
            return bench._add(answer["row"])


def _row(part, stage, title):
    return {"section": "checks" if stage == "checks" else part.section, "part": part.name, "title": title}


def _lost(section, part, title, why):
    return {"section": section, "part": part, "title": title, "status": "failed", "why": why}


def _gone(why, begun):
    error = Gone(why)
    error.begun = begun
    return error


def _pass_on(file, lines):
    """Each line of `file` into the queue; at its end an empty one."""
    for line in iter(file.readline, ""):
        lines.put(line)
    lines.put("")
