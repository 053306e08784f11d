"""NVIDIA's compute-sanitizer over the cases of sanitized.py: addresses out of bounds, races in shared memory,
barriers that not all threads reach, memory that is read before it is written.

The kernels are compiled first, without it, into Numba's cache. Then all tools run at once, each in several
processes that share the cases.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

TOOLS = "memcheck", "racecheck", "synccheck", "initcheck"
SECONDS = 90  # for all of it
FOUND = 97  # exit status of compute-sanitizer where it has found something
CASES = sys.executable, "-m", "tinyconv.benchmarks.gpu.sanitized"
SUMMARY = re.compile(r"=+ (?:ERROR SUMMARY: (\d+) error|RACECHECK SUMMARY: (\d+) hazard)")


def executable():
    """Return where compute-sanitizer lies: on the PATH, in a toolkit, or in its package; None: nowhere."""
    places = [
        *Path("/usr/local").glob("cuda*/bin"),
        *Path(sysconfig.get_paths()["purelib"]).glob("nvidia/*/bin"),
    ]
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, places)])
    return shutil.which("compute-sanitizer", path=path)


def sanitize(logs, seconds=SECONDS, program=None, cases=CASES):
    """Run all tools; print a line for each; return the exit status, 0 where all of them run clean.

    logs  folder of what each process printed
    """
    program = program or executable()
    if program is None:
        print(
            "compute-sanitizer is not on the PATH: it comes with NVIDIA's CUDA toolkit, or by "
            "pip install nvidia-cuda-sanitizer-api",
            file=sys.stderr,
        )
        return 1
    logs.mkdir(parents=True, exist_ok=True)
    end, cores = time.time() + seconds, os.cpu_count() or 1
    several = max(1, min(8, cores // 2))
    plain = [_start([*cases, str(k), str(several)], logs / f"compiling-{k}.out") for k in range(several)]
    started = time.time()
    if any([_wait(one, end) for one in plain]):
        print(f"the cases do not run without the sanitizer: see {logs}/compiling-*.out")
        return 1
    print(f"compiled: {_cases(logs, 'compiling')}, {time.time() - started:.0f} s", flush=True)
    shares = max(1, min(4, cores // len(TOOLS)))
    running = {
        tool: [
            _start(
                [*_command(program, tool, logs / f"{tool}-{k}.log"), *cases, str(k), str(shares)],
                logs / f"{tool}-{k}.out",
            )
            for k in range(shares)
        ]
        for tool in TOOLS
    }
    statuses = {tool: [_wait(one, end) for one in some] for tool, some in running.items()}
    clean = [_said(tool, logs, statuses[tool], time.time() - started) for tool in TOOLS]
    print(f"all logs: {logs}")
    return 0 if all(clean) else 1


def _command(program, tool, log):
    # the package keeps the libraries beside the folder of the program, a toolkit within it
    libraries = Path(program).resolve().parent.parent / "lib"
    there = (libraries / "libTreeLauncherTargetInjection.so").is_file()
    beside = ["--injection-path", str(libraries)] if there else []
    return [program, "--tool", tool, "--error-exitcode", str(FOUND), "--log-file", str(log), *beside]


def _start(command, output):
    with open(output, "w") as file:
        # a session of its own: the tool has the program as its child
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)


def _wait(process, end):
    """Return the exit status; None where the time was over, and the process is ended."""
    try:
        return process.wait(timeout=max(0.1, end - time.time()))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None


def _cases(logs, name):
    """Cases that the processes of that name report, added up."""
    done = every = begun = 0
    for path in logs.glob(f"{name}-*.out"):
        text = path.read_text(errors="replace")
        begun += len(re.findall(r"^case ", text, re.MULTILINE))
        if found := re.search(r"^(\d+) of (\d+) cases done", text, re.MULTILINE):
            done, every = done + int(found[1]), every + int(found[2])
    return f"{done} of {every} cases" if every and begun == every else f"{begun} cases begun, not all done"


def _said(tool, logs, statuses, seconds):
    """Print the line of a tool; return whether it has run to the end and found nothing."""
    texts = [path.read_text(errors="replace") for path in sorted(logs.glob(f"{tool}-*.log"))]
    counts = [int(a or b) for text in texts for a, b in SUMMARY.findall(text)]
    if None in statuses:
        said = "NOT DONE in time"
    elif sum(counts) or FOUND in statuses:
        said = f"{sum(counts)} FOUND"
    elif any(statuses) or len(counts) < len(statuses):
        said = f"FAILED with status {', '.join(map(str, statuses))}"
    else:
        said = "clean"
    print(f"{tool:10} {said}: {_cases(logs, tool)}, {seconds:.0f} s", flush=True)
    return said == "clean"
