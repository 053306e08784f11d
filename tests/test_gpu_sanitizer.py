"""compute-sanitizer's driver, with a played compute-sanitizer; and the cases that it watches."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinyconv.benchmarks.gpu import sanitized, sanitizer
from tinyconv.kernels._cuda import package

ROOT = Path(__file__).parent.parent
# prints all kernels that training launches and that no case launches by a call
UNWATCHED = """
from tinyconv.benchmarks import cubins
from tinyconv.benchmarks.gpu import sanitized
from tinyconv.kernels._cuda.launch import noted
def kernels(work):
    with noted() as calls:
        for run in work:
            run()
    found = {cubins.name(kernel, ()) for kernel, *_ in calls}
    # the ladder's kernels are no part of the package; those of few maps are made for every shape
    found = {name for name in found if "benchmarks.ladder" not in name}
    return {name.partition("[")[0] + "()" if "few_maps" in name else name for name in found}
watched = kernels(run for title, run in sanitized.cases().items() if "captured" not in title)
assert len(watched) > 50
print(*(name.removesuffix("()") for name in kernels(cubins._work()) - watched), sep="\\n")
"""
# what only a captured step launches, with its update
CAPTURED = {"_cuda.native.cast", "adam._update", "sgd._guard", "sgd._sum_of_squares", "sgd._update"}
# Runs the command, writes a log, and ends with 97 where it has found something: as compute-sanitizer does
PLAYED = """#!{python}
import subprocess, sys, time
arguments = sys.argv[1:]
tool, log = arguments[1], arguments[arguments.index("--log-file") + 1]
trouble = "{trouble}".split()
if "hangs" in trouble and tool == trouble[0]:
    time.sleep(60)
status = subprocess.run(arguments[arguments.index("--log-file") + 2 :]).returncode
found = 3 if "finds" in trouble and tool == trouble[0] else 0
if "silent" not in trouble or tool != trouble[0]:
    kind = ("RACECHECK", "hazards displayed") if tool == "racecheck" else ("ERROR", "errors")
    line = f"{{kind[0]}} SUMMARY: {{found}} {{kind[1]}}"
    open(log, "w").write(f"========= COMPUTE-SANITIZER\\n========= {{line}}\\n")
sys.exit(97 if found else status)
"""
CASES = """
import sys
share, of = map(int, sys.argv[1:])
mine = list(range(10))[share::of]
for case in mine:
    print("case", case)
print(f"{len(mine)} of {len(mine)} cases done")
sys.exit(int(%s))
"""


@pytest.fixture
def play(tmp_path, capsys):
    """play(trouble): the exit status and the lines of the driver."""

    def run(trouble="", status=0, seconds=60):
        program, cases = tmp_path / "compute-sanitizer", tmp_path / "cases.py"
        program.write_text(PLAYED.format(python=sys.executable, trouble=trouble))
        program.chmod(0o755)
        cases.write_text(CASES % status)
        done = sanitizer.sanitize(tmp_path / "logs", seconds, str(program), [sys.executable, str(cases)])
        return done, capsys.readouterr().out

    return run


def test_clean(play, tmp_path):
    status, said = play()
    assert status == 0 and "compiled: 10 of 10 cases" in said
    for tool in sanitizer.TOOLS:
        assert re.search(rf"{tool} +clean: 10 of 10 cases, \d+ s", said)
        assert list((tmp_path / "logs").glob(f"{tool}-*.log"))


@pytest.mark.parametrize("tool", sanitizer.TOOLS)
def test_a_tool_that_finds_something_is_no_success(play, tool):
    status, said = play(f"{tool} finds")
    assert status == 1 and re.search(rf"{tool} +\d+ FOUND", said)
    assert said.count("clean") == 3


def test_a_tool_without_a_summary_is_no_success(play):
    status, said = play("racecheck silent")
    assert status == 1 and re.search(r"racecheck +FAILED", said)


def test_a_tool_that_hangs_is_ended(play):
    status, said = play("synccheck hangs", seconds=4)
    assert status == 1 and re.search(r"synccheck +NOT DONE in time: 0 cases begun, not all done", said)


def test_cases_that_fail_by_themselves_are_said_first(play):
    status, said = play(status=1)
    assert status == 1 and "do not run without the sanitizer" in said and "memcheck" not in said


def test_a_missing_sanitizer_is_one_sentence(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sanitizer, "executable", lambda: None)
    assert sanitizer.sanitize(tmp_path) == 1
    assert "pip install nvidia-cuda-sanitizer-api" in capsys.readouterr().err


def test_it_is_found_on_the_path(monkeypatch, tmp_path):
    program = tmp_path / "compute-sanitizer"
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert sanitizer.executable() == str(program)


@pytest.mark.skipif(not package.INSTALLED, reason="numba-cuda is not installed: tinyconv[cuda]")
def test_every_kernel_is_watched():
    # with the tiles of a GPU, not those of the simulator
    done = subprocess.run(
        [sys.executable, "-c", UNWATCHED],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "0", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) <= CAPTURED


@pytest.mark.parametrize("title", list(sanitized._networks()))
def test_the_steps_that_are_watched_are_steps(title):
    build, shape, classes = sanitized._networks()[title]
    net, loss = build()
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    labels = np.arange(shape[0]) % classes
    assert np.isfinite(net.train_step(x, labels, loss, sanitized.OPTIMIZERS["SGD, clipped"](net)))
