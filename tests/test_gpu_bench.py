"""The benchmark for a GPU machine, without one: rehearsed in the simulator on a tiny network; its process,
its report, and what goes wrong in them.
"""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from tinyconv import Sequential, layers, losses
from tinyconv.benchmarks import pytorch, readme_table, timing, workloads
from tinyconv.benchmarks.gpu import bench as gpu, checks, report, sizes, training, worker
from tinyconv.kernels._cuda import package

needs_package = pytest.mark.skipif(
    not package.INSTALLED,
    reason="numba-cuda is not installed: pip install 'tinyconv[cuda]' (there is none for macOS)",
)
simulated = pytest.mark.skipif(
    not package.SIMULATOR, reason="a rehearsal: on a GPU run python -m tinyconv.benchmarks.gpu"
)


def tiny():
    rng = np.random.default_rng(0)
    return Sequential(
        C1=layers.Conv2d(1, 2, 3, stride=2, rng=rng),
        R1=layers.ReLU(),
        C2=layers.Conv2d(2, 2, 2, groups=2, rng=rng),
        A2=layers.ScaledTanh(),
        flat=layers.Flatten(),
        D=layers.Dropout(rng=rng),
        F=layers.Dense(2, 3, rng=rng),
        input_shape=(1, 5, 5),
    ), losses.SoftmaxCrossEntropy()


@pytest.fixture(scope="module")
def rehearsed():
    """The rows of all sections, without PyTorch."""
    rows = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(workloads.MODELS, "tiny", tiny)
        patch.setitem(workloads.RECIPES, "tiny", {"lr": 0.01, "momentum": 0.9})
        patch.setitem(sys.modules, "torch", None)
        patch.setattr(pytorch.machine, "installed", lambda package: None)
        patch.setattr(training.mnist, "find", lambda data_dir=None: None)
        patch.setattr(training.cifar10, "find", lambda data_dir=None: None)
        for name, value in {"SETTLE": 0, "SHORTEST": 1e-9, "TURNS": 1}.items():
            patch.setattr(timing, name, value)
        one = worker.Worker(sizes.REHEARSAL, lambda row=None, **_: rows.append(row) if row else None)
        for section in worker.ORDER:
            one.do(section, 0, time.time() + 1e9)
    return rows


@needs_package
@simulated
def test_the_rehearsal(rehearsed):
    assert not [row for row in rehearsed if row["status"] in ("failed", "wrong")], [
        row for row in rehearsed if row["status"] in ("failed", "wrong")
    ]
    assert {row["section"] for row in rehearsed} == set(gpu.SHARES)
    why = {row["why"] for row in rehearsed if row["status"] == "not measured"}
    assert any("PyTorch is not installed" in line for line in why) and any(
        "MNIST is not on this machine" in line for line in why
    )
    operations = [row for row in rehearsed if row["section"] == "operations"]
    assert {(row["precision"], row["direction"]) for row in operations if row["layer"] == "C2"} == {
        (precision, f"backward_{name}" if name else "forward")
        for precision in ("float32", "tf32")
        for name in ("", "input", "weight")
    } | {("float32", "backward_bias")}
    assert all(row["median"] > 0 and row["error"] < 16 for row in operations)
    step = next(row for row in rehearsed if row.get("work") == "training step")
    assert {"median", "resident_median", "error", "flop"} <= step.keys()


@needs_package
@simulated
def test_the_report_of_the_rehearsal(rehearsed):
    said = "\n".join(
        report.lines({"date": "today", "rows": json.loads(json.dumps(rehearsed, default=worker._plain))})
    )
    for expected in (
        "simulator",
        "right",
        "ceilings",
        "tiny C2 conv2d backward_weight",
        "tiny training step",
        "the GPU is faster",
        "asked for:",
        "PyTorch is not installed",
        "not measured  all parity checks pass",
    ):  # not in full size
        assert expected in said or expected == "the GPU is faster" and "the CPU is faster" in said, expected
    full = {
        "sizes": "full",
        "rows": [row for row in rehearsed if row["status"] != "not measured" or row["section"] == "training"],
    }
    assert (
        report.complete(full)
        and not report.complete(full | {"interrupted": True})
        and not report.complete(full | {"sizes": "quick"})
    )


@needs_package
@simulated
def test_a_wrong_kernel_is_a_wrong_row(monkeypatch):
    from tinyconv.kernels.relu import cuda as relu

    forward = relu.forward
    monkeypatch.setattr(
        relu, "forward", lambda x: forward(forward(x)) if x.shape[0] > 2 else x
    )  # right for more than two images
    net = Sequential(R=layers.ReLU(), input_shape=(1, 2, 2)), losses.SoftmaxCrossEntropy()
    monkeypatch.setitem(workloads.MODELS, "tiny", lambda: net)
    monkeypatch.setitem(workloads.RECIPES, "tiny", {})
    for batch, status in ((2, "wrong"), (3, "ok")):
        workload = next(
            w for w in workloads.of_model("tiny") if w.operation == "relu" and w.direction == "forward"
        )
        assert checks.operation(workload, batch, "float32")["status"] == status


def test_a_missing_gpu_is_one_sentence():
    done = subprocess.run(
        [sys.executable, "-m", "tinyconv.benchmarks.gpu"],
        capture_output=True,
        text=True,
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "0", "CUDA_VISIBLE_DEVICES": "-1"},
    )
    assert (
        done.returncode == 1
        and 'the device "cuda" needs' in done.stderr
        and "Traceback" not in done.stderr
        and not done.stdout
    )


# A process that answers as the worker does, and ends too early or hangs where the test says so.
WORKER = """
import json, os, sys, time
job, trouble = json.loads(sys.argv[2]), json.loads(sys.argv[1])
answer = lambda **what: print(json.dumps(what), flush=True)
section, first = job["from"]
names = list(job["ends"])
if trouble.get("missing"):
    answer(missing="no GPU here")
    sys.exit()
for name in names[names.index(section):]:
    answer(section=name, tasks=3)
    for place in range(first, 3):
        answer(running=f"{name} {place}", place=place)
        if [name, place] == trouble.get("dies"):
            os._exit(9)
        if [name, place] == trouble.get("hangs"):
            time.sleep(60)
        answer(row={"section": name, "title": f"{name} {place}", "status": "ok"}, ceilings={"copy": 1.0})
        if [name, place] == trouble.get("dies behind"):
            os._exit(3)
    first = 0
"""


def bench(tmp_path, shares={"checks": 100, "operations": 100}, **trouble):
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    return gpu.Bench(
        shares=shares,
        path=tmp_path / "result.json",
        worker=[sys.executable, str(script), json.dumps(trouble)],
    )


def titles(one, status="ok"):
    return [row["title"] for row in one.result["rows"] if row["status"] == status]


ALL = [f"{section} {place}" for section in ("checks", "operations") for place in range(3)]


def test_all_rows_are_written(tmp_path):
    one = bench(tmp_path)
    one.run()
    assert (
        titles(one) == ALL
        and json.loads((tmp_path / "result.json").read_text()) == one.result
        and one.ceilings == {"copy": 1.0}
    )
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["result.json", "worker.py"]


@pytest.mark.parametrize("place", [["checks", 1], ["checks", 2], ["operations", 0]])
def test_a_task_that_takes_the_process_with_it_is_one_failed_row(tmp_path, place):
    one = bench(tmp_path, dies=place)
    one.run()
    lost = f"{place[0]} {place[1]}"
    assert titles(one) == [title for title in ALL if title != lost] and titles(one, "failed") == [lost]
    assert "ended with status 9" in next(
        row["why"] for row in one.result["rows"] if row["status"] == "failed"
    )


def test_a_process_that_ends_behind_a_row_is_started_anew(tmp_path):
    one = bench(tmp_path, **{"dies behind": ["checks", 1]})
    one.run()
    assert titles(one) == ALL and not titles(one, "failed")


def test_a_task_that_hangs_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "SILENCE", 0)
    one = bench(tmp_path, {"checks": 3, "operations": 100}, hangs=["checks", 1])
    one.run()
    assert titles(one) == [title for title in ALL if title != "checks 1"] and titles(one, "failed") == [
        "checks 1"
    ]


def test_a_worker_that_never_begins_is_given_up(tmp_path):
    one = gpu.Bench(
        shares={"checks": 100},
        path=tmp_path / "result.json",
        worker=[sys.executable, "-c", "import sys; sys.exit(5)"],
    )
    one.run()
    assert len(one.result["rows"]) == gpu.RESTARTS + 2 and not titles(one)


def test_no_gpu_is_said(tmp_path):
    with pytest.raises(gpu.Missing, match="no GPU here"):
        bench(tmp_path, missing=True).run()


def test_the_file_is_called_like_the_gpu(tmp_path):
    one = gpu.Bench(path=tmp_path)
    assert one.file() is None
    one.result["rows"].append({"gpu": {"name": "NVIDIA H200"}})
    assert one.file() == tmp_path / "nvidia-h200.json"


def row(section, title, **more):
    return {"section": section, "title": title, "status": "ok", "error": 0.5} | more


def result(times=1.0, mnist=(0.009, 8.0)):
    operation = {
        "model": "alexnet",
        "operation": "conv2d",
        "batch": 128,
        "median": 1e-3,
        "spread": 0.01,
        "how": "graph",
        "rate": 50_000.0,
        "unit": "GFLOP/s",
        "roof": "arithmetic",
        "share": 0.8,
        "torch_median": times * 1e-3,
        "times_torch": times,
    }
    step = {
        "work": "training step",
        "median": 1e-3,
        "torch_median": times * 1e-3,
        "times_torch": times,
        "times_torch_resident": times,
        "resident_median": 1e-3,
        "torch_resident_median": times * 1e-3,
    }
    machine = {"processor": "a CPU", "cores_for_this_process": 16}
    rows = [
        row(
            "environment",
            "this machine",
            gpu={"name": "NVIDIA H200", "compute_capability": [9, 0], "multiprocessors": 132},
            driver="580.1",
            machine=machine,
            versions={"torch": "2.11.0", "tinyconv": "0.1.0"},
        ),
        row("checks", "relu 0, float32"),
        row("ceilings", "multiply-adds in registers, float32", flops=6e13),
        row("ceilings", "copy on the GPU", bytes_per_second=4e12),
        *(
            row(
                "operations",
                f"{layer} {direction} {precision}",
                layer=layer,
                direction=direction,
                precision=precision,
                **operation,
            )
            for layer in ("conv1", "conv2")
            for direction in report.DIRECTIONS
            for precision in ("float32", "tf32")
        ),
        *(
            row(
                "networks",
                f"{model} {batch} {precision}",
                model=model,
                batch=batch,
                precision=precision,
                **step,
            )
            for model, batch, precision in (
                ("lenet5", 64, "float32"),
                ("alexnet", 128, "float32"),
                ("alexnet", 128, "tf32"),
            )
        ),
        row(
            "networks",
            "lenet5: the batch",
            model="lenet5",
            threads=16,
            from_batch=4,
            times=[{"batch": 64, "cuda": 1e-4, "cpu": 1e-3}],
        ),
        row("training", "MNIST, LeNet-5", test_error=mnist[0], seconds=mnist[1], epochs=20, waited=0.0),
    ]
    return {"format": gpu.FORMAT, "date": "2026-11-21", "rows": rows}


@pytest.mark.parametrize(
    "found, expected",
    [
        (result(), ["met"] * 5 + ["NOT MET", "met"]),
        (result(times=5.1), ["met"] * 7),
        (result(times=0.7), ["met", "NOT MET", "met", "NOT MET", "NOT MET", "NOT MET", "met"]),
        (result(mnist=(0.0096, 8.0)), ["met"] * 5 + ["NOT MET", "NOT MET"]),
        ({"rows": []}, ["not measured"] * 7),
    ],
)
def test_what_was_asked_for_is_met_or_not(found, expected):
    assert [line[:14].strip() for line in report.asked_for(found["rows"])] == expected


def test_a_wrong_row_is_said_and_no_check_has_passed():
    found = result()
    found["rows"] += [
        row("checks", "conv2d 0") | {"status": "wrong", "why": "off"},
        row("checks", "conv2d 1") | {"status": "skipped", "why": "no time"},
    ]
    said = "\n".join(report.lines(found))
    assert report.wrong(found) and not report.wrong(result())
    assert "checks, conv2d 0: WRONG: off" in said and "skipped (conv2d 1): no time" in said
    assert "NOT MET       all parity checks pass: 19 rows, 1 wrong or failed, 1 skipped" in said


def test_readme_shows_it_beside_the_cpu(tmp_path, monkeypatch):
    (tmp_path / "nvidia-h200.json").write_text(json.dumps(result(times=2.0)))
    monkeypatch.setattr(readme_table, "RESULTS", tmp_path)
    said = readme_table.section()
    assert "| LeNet-5 training step | 64 | float32 | 1 ms | 1 ms | 2 ms |  | 2.00 |" in said
    assert (
        "| conv2 conv2d, tf32 | 50.0 TFLOP/s, 80 %, 2.00x PyTorch |" in said
        and "NVIDIA H200" in said
        and "MNIST, LeNet-5: 0.90 % after 8.0 s" in said
    )
