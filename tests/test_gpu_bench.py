"""The benchmark for a GPU machine, without one: rehearsed in the simulator on a tiny network; its process,
its report, and what goes wrong in them.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tinyconv import Sequential, layers, losses
from tinyconv.benchmarks import pytorch, readme_table, timing, workloads
from tinyconv.benchmarks.gpu import bench as gpu, checks, goals, parts, report, sizes, training, worker
from tinyconv.errors import TinyconvError
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
        one = worker.Worker(sizes.REHEARSAL)
        for stage in ("checks", "timed"):
            for name in one.parts:
                one.known = {row["title"]: row for row in rows if row["part"] == name}
                rows += [one.do(name, stage, place) for place in range(len(one.tasks(name, stage)))]
    return rows


@needs_package
@simulated
def test_the_rehearsal(rehearsed):
    assert not [row for row in rehearsed if row["status"] in ("failed", "wrong")], [
        row for row in rehearsed if row["status"] in ("failed", "wrong")
    ]
    assert {(row["part"], row["section"]) for row in rehearsed if row["section"] != "checks"} == {
        (part.name, part.section) for part in parts.parts(sizes.REHEARSAL) if part.name != "kernels"
    }
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
        "not measured  all checks pass",
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
trouble = json.loads(sys.argv[1])
answer = lambda **what: print(json.dumps(what), flush=True)
if trouble.get("missing"):
    answer(missing="no GPU here")
    sys.exit()
answer(ready=True)
for line in sys.stdin:
    asked = json.loads(line)
    if "warm" in asked:
        if trouble.get("dies cold"):
            os._exit(4)
        answer(warm=True)
        continue
    part, stage = asked["part"], asked["stage"]
    if "place" not in asked:
        answer(tasks=[f"{part} {stage} {place}" for place in range(3)])
        continue
    here = [part, stage, asked["place"]]
    answer(running=asked["place"])
    if here == trouble.get("dies"):
        os._exit(9)
    if here == trouble.get("hangs"):
        time.sleep(60)
    time.sleep(trouble.get("takes", 0))
    row = {"section": part, "part": part, "title": f"{part} {stage} {here[2]}", "status": "ok"}
    row["section"] = "checks" if stage == "checks" else part
    row["pid"], row["known"] = os.getpid(), sorted(asked["known"])
    answer(row=row, ceilings={"copy": 1.0}, astray=here == trouble.get("astray"))
    if here == trouble.get("dies behind"):
        os._exit(3)
"""
TWO = [parts.Part(name, name, name, seconds=100) for name in ("first", "second")]


def bench(tmp_path, measured=TWO, seconds=100, processes=2, **trouble):
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    return gpu.Bench(
        path=tmp_path / "result.json",
        worker=[sys.executable, str(script), json.dumps(trouble)],
        processes=processes,
        parts=measured,
        checks=seconds,
    )


def titles(one, status="ok"):
    return sorted(row["title"] for row in one.result["rows"] if row["status"] == status)


ALL = sorted(
    f"{part.name} {stage} {place}" for part in TWO for stage in ("checks", "timed") for place in range(3)
)


def test_all_rows_are_written(tmp_path):
    one = bench(tmp_path)
    one.run()
    assert (
        titles(one) == ALL
        and json.loads((tmp_path / "result.json").read_text()) == one.result
        and one.ceilings == {"copy": 1.0}
    )
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["result.json", "worker.py"]


def test_checks_share_processes_and_times_have_one_for_themselves(tmp_path):
    one = bench(tmp_path, takes=0.1)
    one.run()
    checked, timed = (
        [row for row in one.result["rows"] if (row["section"] == "checks") == kind] for kind in (True, False)
    )
    assert len({row["pid"] for row in checked}) == 2 and len({row["pid"] for row in timed}) == 1
    assert one.result["rows"] == checked + timed
    # what is timed knows the checks of its own part
    assert all(row["known"] == [f"{row['part']} checks {place}" for place in range(3)] for row in timed)


@pytest.mark.parametrize("place", [["first", "checks", 1], ["second", "checks", 2], ["second", "timed", 0]])
def test_a_task_that_takes_the_process_with_it_is_one_failed_row(tmp_path, place):
    one = bench(tmp_path, dies=place)
    one.run()
    lost = " ".join(map(str, place))
    assert titles(one) == [title for title in ALL if title != lost] and titles(one, "failed") == [lost]
    assert "ended with status 9" in next(
        row["why"] for row in one.result["rows"] if row["status"] == "failed"
    )


@pytest.mark.parametrize("trouble", ["dies behind", "astray"])
def test_a_process_that_ends_behind_a_row_is_started_anew(tmp_path, trouble):
    one = bench(tmp_path, **{trouble: ["first", "timed", 1]})
    one.run()
    assert titles(one) == ALL and one.restarts == 1
    assert len({row["pid"] for row in one.result["rows"] if row["section"] != "checks"}) == 2


@pytest.mark.parametrize("stage", ["checks", "timed"])
def test_a_task_that_hangs_is_stopped(tmp_path, monkeypatch, stage):
    monkeypatch.setattr(gpu, "SILENCE", 0)
    short = [replace(part, seconds=2) for part in TWO]
    one = bench(tmp_path, short, seconds=3, hangs=["first", stage, 1])
    one.run()
    assert titles(one, "failed") == [f"first {stage} 1"]
    # no part has taken the seconds of another
    assert {f"second timed {place}" for place in range(3)} <= set(titles(one))


def test_a_part_keeps_to_its_seconds(tmp_path):
    short = [replace(TWO[0], seconds=0.5), replace(TWO[1], seconds=30)]
    one = bench(tmp_path, short, takes=0.4)
    one.run()
    assert titles(one, "skipped") == ["first timed 2"]
    assert [row["why"] for row in one.result["rows"] if row["status"] == "skipped"] == ["no time was left"]


def test_a_process_that_ends_before_it_is_asked_anything_is_started_anew(tmp_path):
    one = bench(tmp_path, **{"dies cold": True})
    one.run()
    assert titles(one) == ALL


def test_a_worker_that_never_begins_is_given_up(tmp_path):
    one = gpu.Bench(
        path=tmp_path / "result.json",
        worker=[sys.executable, "-c", "import sys; sys.exit(5)"],
        parts=TWO,
        processes=1,
    )
    one.run()
    assert titles(one, "failed") == ["its list of tasks"] * 4 and not titles(one)


def test_only_checks(tmp_path):
    one = bench(tmp_path)
    one.times = False
    one.run()
    assert titles(one) == [title for title in ALL if "checks" in title]


@pytest.mark.parametrize(
    "only, expected",
    [
        ("alexnet-operations", ["environment", "ceilings", "alexnet-operations"]),
        ("lenet-operations", ["environment", "ceilings", "lenet5-operations"]),
        ("steps", ["environment", "alexnet-steps", "lenet5-steps"]),
        ("mnist,predictions", ["environment", "predictions", "mnist"]),
        ("training", ["environment", "mnist", "cifar10"]),
    ],
)
def test_parts_are_chosen_by_name(only, expected):
    assert [part.name for part in parts.chosen(only, sizes.FULL)] == expected


def test_an_unknown_part_is_named():
    with pytest.raises(TinyconvError, match="expected some of kernels, .*, got alexnet-dances"):
        parts.chosen("steps,alexnet-dances", sizes.FULL)


def test_the_whole_is_within_five_minutes():
    assert parts.CHECKS + sum(part.seconds for part in parts.parts(sizes.FULL)[2:]) <= 300


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


def result(times=2.0, speed=1.0, mnist=(0.009, 2.5)):
    """Rows of everything that is asked for. times: as fast as PyTorch; speed: of ours, 1 meets every goal."""
    operation = {
        "model": "alexnet",
        "batch": 128,
        "spread": 0.01,
        "how": "graph",
        "flop": 50e9,
        "bytes": 3.2e9,
        "largest": 64_000_000,
        "rate": 50_000.0,
        "unit": "GFLOP/s",
        "roof": "arithmetic",
        "share": 0.8,
        "median": 1e-3 / speed,
        "torch_median": times * 1e-3,
        "times_torch": times * speed,
    }

    def step(model, batch, precision, median, work="training step", **more):
        found = {"model": model, "batch": batch, "precision": precision, "work": work} | more
        for name, peer in (("", 1), ("torch_", times), ("graph_", times)):
            found |= {
                f"{name}{kind}median": (1 if name else 1 / speed) * peer * median / part
                for kind, part in (("", 1), ("resident_", 3))
            }
        title = f"{model} {work} {batch} {precision}"
        return row("networks", title, times_torch=times * speed, rule="SGD", **found)

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
        row("ceilings", "matrix product, float32 (cuBLAS)", flops=5e13),
        *(
            row(
                "operations",
                f"{layer} {direction} {precision}",
                layer=layer,
                direction=direction,
                precision=precision,
                operation="conv2d",
                **operation,
            )
            for layer in ("conv1", "conv2")
            for direction in goals.DIRECTIONS
            for precision in ("float32", "tf32")
        ),
        row(
            "operations",
            "relu1 forward",
            layer="relu1",
            direction="forward",
            precision="float32",
            operation="relu",
            **operation,
        ),
        step("lenet5", 64, "float32", 140e-6),
        step("lenet5", 64, "float32", 1.0) | {"rule": "Adam"},
        step("alexnet", 128, "float32", 0.02),
        step("alexnet", 128, "tf32", 0.01),
        step("alexnet", 128, "float32", 0.02, against="torch.compile"),
        step("lenet5", 1, "float32", 1e-4, "prediction"),
        step("lenet5", 10_000, "float32", 1e-3, "prediction"),
        step("alexnet", 1, "float32", 1e-3, "prediction"),
        row(
            "networks",
            "lenet5: the batch",
            model="lenet5",
            threads=16,
            from_batch=4,
            times=[{"batch": 64, "cuda": 1e-4, "cpu": 1e-3}],
        ),
        row(
            "training",
            "MNIST, LeNet-5",
            test_error=mnist[0],
            seconds=mnist[1],
            with_tests=mnist[1],
            epochs=20,
            waited=0.0,
        ),
    ]
    return {"format": gpu.FORMAT, "date": "2026-11-21", "rows": rows}


LINES = (
    "checks",
    "alexnet arrays, eager",
    "alexnet arrays, best",
    "alexnet resident",
    "alexnet tf32 resident",
    "lenet5 arrays",
    "lenet5 resident",
    "mnist",
    "predict 1 lenet5",
    "predict 1 alexnet",
    "predict 10000",
    "float32 together",
    "float32 of cuBLAS",
    "tf32 together",
    "tf32 each",
    "bytes",
)


def unmet(found):
    """The lines that are NOT MET; all others have to be met."""
    said = [line[:14].strip() for line in goals.asked_for(found["rows"])]
    assert len(said) == len(LINES) and set(said) <= {"met", "NOT MET"}
    return [name for name, word in zip(LINES, said) if word == "NOT MET"]


def test_what_was_asked_for_is_met_or_not():
    assert unmet(result(times=4.1)) == []
    assert unmet(result(times=2.0)) == ["predict 1 lenet5", "predict 10000"]
    assert unmet(result(times=1.7)) == ["alexnet tf32 resident", "predict 1 lenet5", "predict 10000"]
    assert unmet(result(times=4.1, mnist=(0.0096, 2.5))) == ["mnist"]
    assert unmet(result(times=4.1, mnist=(0.009, 3.1))) == ["mnist"]
    slow = unmet(result(times=8.0, speed=0.8))
    assert slow == ["lenet5 arrays", "lenet5 resident", "float32 of cuBLAS", "bytes"]
    assert [line[:14].strip() for line in goals.asked_for([])] == ["not measured"] * len(LINES)


def test_the_best_peer_of_alexnet_counts():
    for against in (None, "torch.compile"):
        found = result(times=4.1)
        for one in found["rows"]:
            if (
                one.get("model") == "alexnet"
                and one["section"] == "networks"
                and one.get("against") == against
            ):
                one["torch_median" if against else "graph_median"] = 0.99 * one["median"]
        assert unmet(found) == ["alexnet arrays, best"]


def test_the_slowest_product_in_tf32_counts_for_itself():
    found = result(times=4.1)
    one = next(one for one in found["rows"] if one["title"] == "conv2 forward tf32")
    one["torch_median"] = 0.69 * one["median"]
    assert unmet(found) == ["tf32 each"]
    said = "\n".join(goals.asked_for(found["rows"]))
    assert "each: at least 0.7 times cuDNN and cuBLAS: 0.69 (conv2 forward)" in said


def test_a_peer_that_was_wrong_is_said():
    found = result()
    next(one for one in found["rows"] if one["title"] == "conv2 forward tf32")["torch_wrong"] = "at [1]: 881"
    said = "\n".join(report.lines(found))
    assert "PyTorch careful, see below" in said
    assert (
        "deterministic=True, benchmark=False: its fastest is wrong (conv2 forward tf32): at [1]: 881" in said
    )


def test_a_wrong_row_is_said_and_no_check_has_passed():
    found = result()
    found["rows"] += [
        row("checks", "conv2d 0") | {"status": "wrong", "why": "off"},
        row("checks", "conv2d 1") | {"status": "skipped", "why": "no time"},
    ]
    said = "\n".join(report.lines(found))
    assert report.wrong(found) and not report.wrong(result())
    assert "checks, conv2d 0: WRONG: off" in said and "skipped (conv2d 1): no time" in said
    assert "NOT MET       all checks pass: 25 rows, 1 wrong or failed, 1 skipped" in said


def test_a_sample_holds_several_steps_however_long_they_are():
    """A step of 30 ms is longer than a sample has to be; one alone would overlap with none."""
    from tinyconv.benchmarks.gpu import steps

    taken = {"": [], "torch": []}

    def contender(name):
        def call(n):
            taken[name].append(n)
            time.sleep(0.03 * n)

        return timing.Contender(name, 1, call, None)

    run = SimpleNamespace(sizes=replace(sizes.FULL, seconds=1e-3, turns=3))
    row = steps.medians(run, {name: contender(name) for name in taken})
    assert 0.03 <= row["median"] < 0.04 and 0.03 <= row["torch_median"] < 0.04
    for numbers in taken.values():
        assert set(numbers) == {1, 4} and numbers.count(4) == 3


def test_pytorch_s_steps_are_judged_by_its_own_careful_ones(monkeypatch):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'tinyconv[bench]'")
    from tinyconv.benchmarks.gpu import steps, tasks

    monkeypatch.setitem(workloads.MODELS, "tiny", tiny)
    monkeypatch.setitem(workloads.RECIPES, "tiny", {"lr": 0.01, "momentum": 0.9})
    tasks._built.cache_clear()
    eager = steps.TorchSteps("tiny", 3, "cpu")
    assert steps.disagreement(eager, "float32") == ""
    evaluate = eager.one.net.evaluate

    def wrong(*batch):
        evaluate(*batch)
        if torch.backends.cudnn.benchmark:
            eager.one.net.params["C2.weight"][0].grad *= 1.6

    monkeypatch.setattr(eager.one.net, "evaluate", wrong)
    for precision in ("float32", "tf32"):
        assert steps.disagreement(eager, precision) == "C2.weight: 60 % off as a whole"
    tasks._built.cache_clear()


def test_readme_shows_it_beside_the_cpu(tmp_path, monkeypatch):
    (tmp_path / "nvidia-h200.json").write_text(json.dumps(result(times=2.0)))
    monkeypatch.setattr(readme_table, "RESULTS", tmp_path)
    said = readme_table.section()
    line = "0.14 ms | 0.0467 ms | 1 ms | 0.28 ms | 0.0933 ms | 0.28 ms | 0.0933 ms |  | 2.00 | 2.00 |"
    assert f"| LeNet-5 training step | 64 | float32 | {line}" in said
    assert "| LeNet-5 training step, Adam | 64 |" in said
    assert (
        "| conv2 conv2d, tf32 | 50.0 TFLOP/s, 80 %, 2.00x PyTorch |" in said
        and "NVIDIA H200" in said
        and "MNIST, LeNet-5: 0.90 % after 2.5 s" in said
    )
