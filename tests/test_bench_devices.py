"""CPU against GPU: with played times, since no machine of the tests has a GPU; and the processes of the
contestants, with the simulator in place of one.
"""

import json
import sys

import numpy as np
import played
import pytest
from PIL import Image
from test_bench import bench
from test_gpu_bench import tiny

from tinyconv.benchmarks import (
    compare,
    contestant,
    labels,
    networks,
    plot,
    process,
    report,
    timing,
    versus,
    workloads,
)
from tinyconv.benchmarks.networks import Task
from tinyconv.benchmarks.session import Session
from tinyconv.cli import main
from tinyconv.errors import TinyconvError
from tinyconv.kernels._cuda import gpu, package

simulated = pytest.mark.skipif(
    not (package.INSTALLED and package.SIMULATOR), reason="numba-cuda's simulator plays the GPU"
)


@pytest.fixture(scope="module")
def lenet5():
    """A session over all layers of LeNet-5 and its training step for several batches."""
    return played.result(["lenet5"])


@pytest.fixture(scope="module")
def conv2d():
    return played.result(["conv2d"])


def comparison(times, batches=(1, 4, 16, 64), copies=0.0, kind="layer"):
    """A Comparison in which the CPU takes so many times as long as the GPU, which takes a second."""
    rows = [
        ({"batch": batch, "median": ratio}, {"batch": batch, "median": 1.0, "kind": kind, "copies": copies})
        for batch, ratio in zip(batches, times)
    ]
    return versus.Comparison("work", 2, [versus.Pair(cpu, cuda) for cpu, cuda in rows])


@pytest.mark.parametrize(
    "times, expected",
    [
        (
            (0.25, 0.5, 2, 8),
            (16, 8),
        ),  # from 1/2 to 2 between 4 and 16: equal in the middle of their logarithms
        ((2, 3, 4, 5), (1, None)),
        ((0.1, 0.2, 0.3, 0.9), (None, None)),
        ((2, 0.5, 0.5, 2), (64, 32)),  # faster at 1, but not from 1 on
        ((1, 1, 1, 1), (None, None)),
    ],
    ids=str,
)
def test_the_batch_from_which_the_gpu_is_faster(times, expected):
    assert comparison(times).wins_from() == (pytest.approx(expected[0]), pytest.approx(expected[1]))


def test_copies_are_apart():
    """Of an operation they come on top of what it takes; of a training step they are in it."""
    one = comparison((0.25, 0.5, 2, 8), copies=3.0)
    assert one.wins_from(with_copies=True)[0] == 64 and one.pairs[3].times_with_copies == 2
    assert "faster from 16 on (equal at 8); with copies faster from 64 on" in report.wins(one)
    step = versus.Pair({"batch": 1, "median": 2.0}, {"median": 1.0, "resident": 0.75, "kind": "network"})
    assert step.copies == 0.25 and step.times_with_copies == step.times == 2


def test_each_device_has_its_own_ceiling(lenet5):
    """And the table has both shares, the ratio, copies and the batch from which the GPU wins."""
    rows = [row for row in lenet5["rows"] if row["layer"] == "C3" and row["direction"] == "forward"]
    cpu, cuda = rows
    for row, ceiling in ((cpu, "16"), (cuda, "cuda")):
        peak = played.CEILINGS[ceiling]["arithmetic"]["flops"]
        assert row["share"] == pytest.approx(row["flop"] / row["median"] / peak)
    text = "\n".join(report.versus(lenet5))
    assert "CPU, 16 threads, against GPU: lenet5 training step" in text
    lines = [line.split() for line in text.split("\n")]
    assert [line[0] for line in lines[3:9]] == ["1", "4", "16", "64", "256", "1,024"]
    assert "lenet5 training step: the GPU is faster from 256 on (equal at" in text
    # a single batch of a layer is a row, and no table
    assert "C3" not in text
    closing = "\n".join(report.closing(lenet5))
    assert "ceiling of the GPU (float32): 62300 GFLOP/s in registers, 3000 GB/s memory, 55 GB/s" in closing
    assert "Played GPU: 132 multiprocessors" in closing


def test_shares_of_every_size_are_read():
    assert [report._percent(share) for share in (1.234, 0.5, 0.1, 0.0123, 0.00064)] == [
        "123%",
        "50%",
        "10%",
        "1%",
        "0.06%",
    ]


@pytest.mark.parametrize("name", ["lenet5", "conv2d"])
def test_the_names_in_the_picture_do_not_overlap(name, tmp_path, request):
    """None on another one, on a point, or outside of its panel; and the picture has a panel for each
    crossing.
    """
    pytest.importorskip("matplotlib", reason="the picture is drawn where matplotlib is installed")
    result, placed = request.getfixturevalue(name), []
    real = labels.place
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            labels, "place", lambda axes, *rest: placed.append((axes, real(axes, *rest))) or placed[-1][1]
        )
        figure = plot.picture(result)
    ((axes, texts),) = placed
    assert len(texts) == sum(bool(row["flop"]) for row in plot._largest_batch(result["rows"]) if row["bytes"])
    assert len({text.get_text() for text in texts}) > 4 and labels.overlapping(texts) == []
    frame = axes.get_window_extent()
    points = np.concatenate([axes.transData.transform(dots.get_offsets()) for dots in axes.collections])
    for text in texts:
        box = text.get_window_extent()
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
        assert not any(box.contains(*point) for point in points), text.get_text()
    crossings = [one for one in versus.comparisons(result["rows"]) if len(one.pairs) > 1]
    assert len(figure.axes) == len(crossings) + 1
    plot.draw(result, tmp_path / "versus.png")
    assert Image.open(tmp_path / "versus.png").width > 600


def test_names_that_would_lie_on_each_other_are_moved():
    pytest.importorskip("matplotlib", reason="the picture is drawn where matplotlib is installed")
    from matplotlib.figure import Figure

    axes = Figure(figsize=(6, 4), layout="constrained").subplots()
    points = {(1 + i / 1000, 1.0): f"name {i}" for i in range(25)}
    axes.scatter(*zip(*points))
    texts = labels.place(axes, points, dict.fromkeys(points, "black"))
    assert labels.overlapping(texts) == []
    for text in texts:
        text.set_position((0, 0))
    assert labels.overlapping(texts)  # so the test can fail


def test_without_a_gpu_it_is_one_sentence_before_any_work(monkeypatch, capsys):
    monkeypatch.setattr(gpu, "missing", lambda: 'the device "cuda" needs an NVIDIA GPU')
    monkeypatch.setattr(Session, "__init__", lambda *_, **__: pytest.fail("it has begun"))
    for what in (["lenet5"], ["alexnet"], ["conv2d"]):
        assert main(["bench", *what, "--backend", "cpu,cuda", "--plot", "x.png"]) == 1
        said = capsys.readouterr().err.strip().splitlines()
        assert said == ['tinyconv bench: the device "cuda" needs an NVIDIA GPU']


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """`tinyconv bench rbf_loss --backend cpu,cuda`: its JSON and what it prints."""
    path = tmp_path_factory.mktemp("compared") / "result.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "SWEEP", {"lenet5": (1, 3)})
        status, out = bench("rbf_loss", "--backend", "cpu,cuda", "--batch", 2, "--json", path)
    assert status == 0
    return json.loads(path.read_text()), out


@simulated
def test_each_contestant_has_a_process(compared):
    found, out = compared
    rows = found["rows"]
    keys = [(row["direction"], row["batch"], row["contender"]) for row in rows]
    directions = "forward", "backward_input"
    assert keys == [(d, n, device) for d in directions for n in (1, 2, 3) for device in ("cpu", "cuda")]
    for row in rows:
        assert row["status"] == "ok" and row["first_call"] > 0 and len(row["samples"]) >= 3
        assert (row["ceiling"], row["copies"] is None) == (
            ("cuda", False) if row["contender"] == "cuda" else ("1", True)
        )
        assert ("times_cpu" in row) == (row["contender"] == "cuda")
        own = compare.rate(row, row["median"], found["ceilings"][row["ceiling"]])
        assert own == {name: row[name] for name in own}
    assert {"1", "cuda"} == found["ceilings"].keys() and found["gpu"]["crossing"] > 0
    assert "CPU, 1 thread, against GPU: lenet5 loss rbf_loss forward" in out
    assert "lenet5 loss rbf_loss backward_input: the GPU is" in out


@simulated
def test_a_contestant_that_fails_ends_the_run():
    workload = next(w for w in workloads.kept("lenet5") if w.operation == "rbf_loss")
    with process.Contestants() as contestants:
        one = contestants.kernel("cuda", workload, 2, "float16", 1)
        with pytest.raises(TinyconvError, match="cuda: .*float16"):
            one.call(1)
    assert not contestants.processes


class Here(process._Process):
    """A contestant without a process, so that it knows the networks of the tests."""

    def __init__(self, name):
        self.name, self.threads, self.answers, self.peak_memory = name, 1, contestant.Answers(name), 0

    def ask(self, **request):
        request = json.loads(json.dumps(request))
        return getattr(self.answers, next(iter(request)))(**request)


@simulated
def test_a_network_on_both_devices(monkeypatch):
    """Checked, timed from NumPy arrays, and resident: the GPU's step with its batch there already."""
    monkeypatch.setitem(workloads.MODELS, "tiny", tiny)
    monkeypatch.setitem(networks.RECIPES, "tiny", {"lr": 0.01})
    for name, value in {"SETTLE": 0, "SHORTEST": 1e-9, "TURNS": 1}.items():
        monkeypatch.setattr(timing, name, value)
    contestants = process.Contestants()
    contestants.processes = {name: Here(name) for name in ("cpu", "cuda")}
    found = []
    for work, batch in (("training step", 2), ("training step", 3), ("prediction", 3)):
        task = Task("tiny", work, batch, "float32", 16)
        found += networks.measure(task, ["cpu", "cuda"], [], played.CEILINGS, 1e-4, contestants)
    assert [row["status"] for row in found] == ["ok"] * 6, [row["why"] for row in found]
    assert [row["threads"] for row in found] == [16, 1] * 3
    assert all(row["first_call"] > 0 and row["share"] > 0 for row in found)
    with_step = [(row["contender"], row["direction"]) for row in found if row.get("resident")]
    assert with_step == [("cuda", "training step")] * 2
    one = versus.comparisons(found)[0]
    assert (one.title, one.threads, [pair.batch for pair in one.pairs]) == ("tiny training step", 16, [2, 3])


def test_a_contestant_answers_on_its_own_line():
    """Whatever libraries print, the answers are one line each; and what a network makes is what it makes
    here.
    """
    task = Task("lenet5", "prediction", 3, "float32", 1)
    with process.Contestants() as contestants:
        row = {}
        one = process.Elsewhere("cpu", task, {}, contestants)
        scores = one.found(row)["scores"]
        first = row["first_call"]
        assert one.contender(row, None).seconds(2) > 0 and row["first_call"] >= first > 0
        assert list(contestants.processes) == ["cpu"]
    np.testing.assert_array_equal(scores, networks.make("cpu", task, checked=True).found()["scores"])
    assert sys.executable in process.COMMAND
