"""The benchmark of large networks: calls shared among threads, checks on few images, a process for each
contestant. No test here looks at a time.
"""

import contextlib
import io
import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from tinyconv.benchmarks import networks, parity, process, readme_table, timing, workloads
from tinyconv.benchmarks.backends import NotMeasured, kernel_contender
from tinyconv.cli import main
from tinyconv.errors import TinyconvError
from tinyconv.losses import SoftmaxCrossEntropy
from tinyconv.models.alexnet import PAPER, network


@pytest.fixture
def small_alexnet(monkeypatch):
    """AlexNet with its layers in their order, on 67x67 pixels with few maps, in place of the whole one; and
    checked as the whole one is.
    """
    facts = replace(PAPER, image_side=67, maps=(4, 8, 6, 8, 4), dense=(4, 12, 10))
    monkeypatch.setitem(
        workloads.MODELS, "alexnet", lambda: (network(facts, 10, rng=0), SoftmaxCrossEntropy())
    )
    monkeypatch.setattr(workloads, "CHECKED", 10**4)
    monkeypatch.setattr(workloads, "REPEATED_ELEMENTS", 100)


def bench(*arguments):
    """Exit status and what is printed of `tinyconv bench`, in as short a time as it takes."""
    with contextlib.redirect_stdout(io.StringIO()) as out, pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "SETTLE", 0)
        patch.setattr(timing, "SHORTEST", 1e-5)
        status = main(["bench", "--seconds", "0.001", "--threads", "1", *map(str, arguments)])
    return status, out.getvalue()


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_share_each_call_on_alexnets_layers(threads, small_alexnet):
    """And what is checked on repeated images is all of the result."""
    found = workloads.of_model("alexnet")
    assert {w.operation for w in found} == {
        "conv2d",
        "relu",
        "local_response_norm",
        "max_pool2d",
        "dense",
        "dropout",
        "softmax_cross_entropy",
        "sgd",
    }
    assert [w.direction for w in found if w.layer == "conv1"] == [
        "forward",
        "backward_weight",
        "backward_bias",
    ]  # dx nobody needs
    for workload in found:
        one = kernel_contender("cpu", workload, 37, np.float32, threads)
        for calls in (1, 2) if workload.direction != "update" else (1,):
            one.call(calls)
            expected = workload.expected(37)
            result = parity.check(one.result(), expected, np.float32, workload.terms(37, expected))
            assert result.ok and workload.shared and one.threads == threads, (
                workload.layer,
                workload.direction,
                result,
            )
    assert {w.checked(37) for w in found} == {"", "3 images, repeated", "100 elements, repeated"}


def test_operations_of_alexnet_alone(small_alexnet, tmp_path):
    status, out = bench(
        "local_response_norm", "max_pool2d", "dropout", "--batch", 5, "--json", tmp_path / "result.json"
    )
    rows = json.loads((tmp_path / "result.json").read_text())["rows"]
    assert status == 0 and {row["layer"] for row in rows} == {
        "norm1",
        "norm2",
        "pool1",
        "pool2",
        "pool5",
        "drop6",
        "drop7",
    }
    assert all(row["model"] == "alexnet" and row["status"] == "ok" for row in rows)
    assert "3 images, repeated" in out


@pytest.mark.parametrize("work", ["training step", "prediction"])
def test_alexnet_whole(small_alexnet, work, monkeypatch):
    """Checked, without dropout, on a batch of three images over and over."""
    monkeypatch.setattr(networks, "IN_PROCESSES", set())
    task = networks.Task("alexnet", work, 20, "float32", 2)
    expected = task.expected()
    found = networks.make("cpu", task, checked=True).found()
    assert networks._parity(found, expected, "float32", 20 * 3 * 67 * 67).ok
    if work == "training step":
        assert found.keys() == {"loss", *networks.make("cpu", task).net.params}
        found["conv2.bias"] = -found["conv2.bias"]
        assert (
            "conv2.bias: largest error" in networks._parity(found, expected, "float32", 20 * 3 * 67 * 67).why
        )


def test_a_network_in_a_process_of_its_own(monkeypatch, tmp_path):
    """It is checked and timed there, its peak memory is told, and what PyTorch lacks is said in its rows."""
    monkeypatch.setattr(networks, "IN_PROCESSES", {"lenet5"})
    monkeypatch.setattr(networks, "PREDICTED", {"lenet5": (1,)})
    monkeypatch.setattr(networks, "PATIENCE", 1)
    monkeypatch.setattr(workloads, "of_model", lambda model: [])
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(workloads, "chosen", lambda names: [])
    status, out = bench("lenet5", "--against", "torch", "--batch", 3, "--json", tmp_path / "result.json")
    rows = json.loads((tmp_path / "result.json").read_text())["rows"]
    assert status == 0 and [(row["direction"], row["batch"]) for row in rows[::4]] == [
        ("training step", 3),
        ("prediction", 1),
    ]
    for row in rows:
        if row["contender"] == "cpu":
            assert row["status"] == "ok" and len(row["samples"]) >= 3 and row["first_call"] > 0
            assert row["peak_memory"] is None or row["peak_memory"] > 1e7
        else:
            assert row["status"] == "not measured" and "median" not in row
    assert [row["contender"] for row in rows[:4]] == ["cpu", *networks.TORCH]


@pytest.mark.parametrize(
    "name, error, words",
    [
        ("cpu", TinyconvError, "cpu: ValueError: expected so many threads"),
        ("torch.compile", NotMeasured, "not available: ValueError: expected so many threads"),
    ],
)
def test_a_process_that_fails_says_why(name, error, words, monkeypatch):
    """A contestant of ours ends the run, one of PyTorch's is only not measured."""
    task = networks.Task("lenet5", "prediction", 1, "float32", 1)
    program = "import json; print(json.dumps({'failed': 'ValueError: expected so many threads'}))"
    monkeypatch.setattr(process, "COMMAND", (sys.executable, "-c", program))
    with pytest.raises(error, match=words):
        process.Elsewhere(name, task, {}).found({})
    monkeypatch.setattr(process, "COMMAND", (sys.executable, "-c", "raise SystemExit(3)"))
    with pytest.raises((NotMeasured, TinyconvError), match="its process ended with status 3"):
        process.Elsewhere(name, task, {}).found({})


def test_readmes_table_of_alexnet():
    """One line a task, with every variant of PyTorch and the best of them; a variant that was not measured is
    said to be so.
    """
    shared = {
        "kind": "network",
        "model": "alexnet",
        "layer": "alexnet",
        "direction": "training step",
        "batch": 64,
        "threads": 2,
    }
    rows = [
        shared
        | {
            "contender": "cpu",
            "median": 0.8,
            "times_torch": 2.25,
            "times_best_torch": 1.5,
            "peak_memory": 1.4e9,
        },
        shared | {"contender": "torch", "median": 1.8, "peak_memory": 2.1e9},
        shared | {"contender": "torch.compile"},
        shared | {"contender": "torch malloc", "median": 1.2, "peak_memory": 2.5e9},
    ]
    assert readme_table._networks(rows[:1], rows)[1:] == [
        "| AlexNet, whole | images | threads | tinyconv | PyTorch | torch.compile | torch malloc | times "
        "as fast | as the best | "
        "peak memory, in that order |",
        "|---|---|---|---|---|---|---|---|---|---|",
        "| training step | 64 | 2 | 800 ms | 1.80 s | not measured | 1.20 s | 2.25 | 1.50 | 1.40, 2.10, ?, "
        "2.50 GB |",
    ]
