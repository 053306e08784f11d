"""The benchmark measures what it says, checks before it times, and says what it could not measure. No test
here looks at a time.
"""

import contextlib
import io
import json
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tinyconv.benchmarks import (
    ceiling,
    ladder,
    parity,
    plot,
    pytorch,
    readme_table,
    report,
    timing,
    workloads,
)
from tinyconv.benchmarks.backends import kernel_contender
from tinyconv.benchmarks.ladder.users_kernel import AWKWARD, UsersKernel
from tinyconv.benchmarks.session import Session
from tinyconv.cli import main
from tinyconv.kernels._cuda import package

LENET5 = workloads.of_model("lenet5")
MULTIPLY_ADDS = {"C1": 117_600, "C3": 150_000, "C5": 48_000, "F6": 10_080}
USERS_KERNELS = """
from tinyconv.kernels.conv2d import reference
def forward(x, weight, bias, stride, padding, groups):
    return reference.forward(x, weight, bias, stride, padding, groups)
def flipped(x, weight, bias, stride, padding, groups):
    return -forward(x, weight, bias, stride, padding, groups)
def stride_1_only(x, weight, bias, stride, padding, groups):
    return forward(x, weight, bias, (1, 1), padding, groups)
def honest(x, weight, bias, stride, padding, groups):
    if groups > 1:
        raise NotImplementedError("no groups")
    return forward(x, weight, bias, stride, padding, groups)
def crashes(dy, weight, x_shape, stride, padding, groups):
    raise IndexError("out of range")
def nothing(a, b):
    return a
"""


def bench(*arguments):
    """Exit status and what is printed of `tinyconv bench`, in as short a time as it takes."""
    with contextlib.redirect_stdout(io.StringIO()) as out, pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "SETTLE", 0)
        patch.setattr(timing, "SHORTEST", 1e-5)
        status = main(["bench", "--seconds", "0.001", "--threads", "1", *map(str, arguments)])
    return status, out.getvalue()


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    path = tmp_path_factory.mktemp("kernels") / "mine.py"
    path.write_text(USERS_KERNELS)
    return path


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """What `tinyconv bench dense` gives where PyTorch is not installed: its JSON and what it prints."""
    path = tmp_path_factory.mktemp("dense") / "result.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", None)
        patch.setattr(pytorch.machine, "installed", lambda package: None)
        status, out = bench(
            "dense", "--backend", "reference,cpu", "--against", "torch", "--batch", "1,17", "--json", path
        )
    assert status == 0
    return json.loads(path.read_text()), out


@pytest.fixture(scope="module")
def climbed(kernels, tmp_path_factory):
    """The same of the ladder with a wrong kernel on it."""
    path = tmp_path_factory.mktemp("ladder") / "result.json"
    status, out = bench("--kernel", f"{kernels}:flipped", "--batch", 2, "--dtype", "float64", "--json", path)
    assert status == 1
    return json.loads(path.read_text()), out


def test_multiply_adds_are_lenet5s():
    for workload in LENET5:
        if workload.layer in MULTIPLY_ADDS and workload.direction != "backward_bias":
            assert workload.flop(3) == 2 * 3 * MULTIPLY_ADDS[workload.layer], workload


def test_every_direction_of_every_layer_is_there():
    assert {w.direction for w in LENET5 if w.layer == "C3"} == {
        "forward",
        "backward_input",
        "backward_weight",
        "backward_bias",
    }
    assert {w.direction for w in LENET5 if w.layer == "S2"} == {
        "forward",
        "backward_input",
        "backward_coefficient",
        "backward_bias",
    }
    assert {w.layer for w in LENET5} == {
        "C1",
        "A1",
        "S2",
        "A2",
        "C3",
        "A3",
        "S4",
        "A4",
        "C5",
        "A5",
        "F6",
        "A6",
        "output",
        "loss",
        "optimizer",
    }
    update = next(w for w in LENET5 if w.direction == "update")
    assert (
        update.work(1, np.float32, update.expected(1))["bytes"] == 5 * 60_000 * 4
    )  # reads three arrays, writes two of them


@pytest.mark.parametrize("rung", ladder.rungs(), ids=lambda rung: rung.title)
def test_every_rung_is_the_reference(rung):
    for title, layer, x_shape in AWKWARD:
        for workload in workloads.of_layer("", title, layer, x_shape):
            if workload.direction != "backward_bias":
                one = rung.contender(workload, x_shape[0], np.float64, threads=2)
                one.call(1)
                expected, where = workload.expected(x_shape[0]), f"{title} {workload.direction}"
                np.testing.assert_allclose(
                    one.result(), expected, rtol=0, atol=1e-13 * x_shape[0], err_msg=where
                )


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_share_a_batch(threads):
    """Parts are put together, and gradients of parameters added up, to what one thread computes."""
    from tinyconv.benchmarks.backends import kernel_contender

    for workload in LENET5:
        one = kernel_contender("cpu", workload, 37, np.float32, threads)
        one.call(1)
        expected = workload.expected(37)
        assert parity.check(one.result(), expected, np.float32, workload.terms(37, expected)).ok, (
            workload.layer,
            workload.direction,
        )
        assert one.threads == (threads if workload.splits else 1)


def test_repeated_images_give_what_the_reference_gives_for_all():
    for workload in LENET5:
        if not workload.updates:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(workloads, "CHECKED", 0)
                arrays = workload.arrays(8, np.float64)
                few = workload.expected(8)
                whole = getattr(workloads.load(workload.operation, "reference"), workload.direction)(
                    *(arrays[name] for name in workload.parameters)
                )
            np.testing.assert_allclose(
                few, whole, rtol=1e-9, atol=1e-9, err_msg=f"{workload.layer} {workload.direction}"
            )


def test_parity_knows_right_from_wrong():
    expected = np.linspace(-1, 1, 12).reshape(3, 4)
    assert parity.check(expected.astype(np.float32), expected, np.float32, 1).error < 1
    for found, word in [
        (-expected.astype(np.float32), "largest error at [0, 0]: expected -1, got 1"),
        (expected.ravel(), "expected shape (3, 4)"),
        (expected, "expected float32, got float64"),
        (np.full((3, 4), np.nan, np.float32), "got nan"),
        (None, "got NoneType"),
    ]:
        result = parity.check(found, expected, np.float32, 1)
        assert not result.ok and word in result.why


def test_parity_of_a_whole_gradient(rng):
    """A single element may be off, as a tie in a max pool makes it; a sign, a scale or a NaN may not."""
    expected = rng.standard_normal((40, 30))
    found = expected.astype(np.float32)
    found[3, 4] += 1
    assert (
        not parity.check(found, expected, np.float32, 100).ok
        and parity.check_as_a_whole(found, expected, np.float32, 100).ok
    )
    wrong = np.where(np.arange(30) == 7, np.nan, found).astype(np.float32)
    for other in (-found, 1.1 * found, wrong, found[:, ::-1], found[1:]):
        assert not parity.check_as_a_whole(other.astype(np.float32), expected, np.float32, 100).ok


def test_the_ceiling_computes_what_it_counts():
    """Three steps of acc = acc / 2 + 1 from acc = k, added up over the chains: none was left out or merged
    with another.
    """
    assert ceiling.fma_chains("float64")(3) == sum(k / 8 + 1.75 for k in range(ceiling.CHAINS))


def test_contenders_take_turns():
    order = []

    def call(name):
        order.append(name)
        time.sleep(0.003)

    samples = timing.interleaved(
        [timing.Contender(name, 1, lambda n, name=name: call(name), None) for name in "ab"], 0.05
    )
    turns = "".join(name for name, before in zip(order, [None, *order]) if name != before)
    assert turns == "ab" * (timing.TURNS + 1) and all(
        len(taken) >= timing.TURNS for taken in samples.values()
    )


def test_a_wrong_kernel_is_not_ranked(climbed):
    found, out = climbed
    assert "WRONG, not ranked: mine.py:flipped" in out
    rows = [row for row in found["rows"] if row["kind"] == "ladder" and row["direction"] == "forward"]
    flipped = [row for row in rows if row["contender"] == "mine.py:flipped"]
    assert len(flipped) == 2 and all(row["status"] == "wrong" and row["error"] > 1e5 for row in flipped)
    assert not any({"rank", "median", "samples"} & row.keys() for row in flipped)
    assert sorted(row["rank"] for row in rows if row["status"] == "ok") == [
        1,
        1,
        2,
        2,
        3,
        3,
        4,
        4,
        5,
        5,
        6,
        6,
    ]


@pytest.mark.parametrize(
    "name, why",
    [
        ("forward", ""),
        ("honest", ""),
        ("flipped", "one channel, one image: largest error at"),
        ("stride_1_only", "stride (2, 2), padding (1, 2): expected shape"),
        ("crashes", "IndexError: out of range"),
    ],
)
def test_a_users_kernel_is_checked_on_awkward_shapes(kernels, name, why):
    result = UsersKernel.find(f"{kernels}:{name}").check(np.float32)
    assert result.ok == (not why) and why in result.why


def test_what_is_missing_is_not_measured(dense):
    found, out = dense
    rows, why = (
        [row for row in found["rows"] if row["contender"] == "torch"],
        "PyTorch is not installed: pip install 'tinyconv[bench]'",
    )
    assert len(rows) == 8 and all(
        row["status"] == "not measured" and why in row["why"] and "median" not in row for row in rows
    )
    assert f"not measured: torch (8 rows): {why}" in out
    assert not any("times_torch" in row for row in found["rows"])


@pytest.mark.skipif(
    not (package.INSTALLED and package.SIMULATOR),
    reason="in the simulator: on a GPU run python -m tinyconv.benchmarks.gpu",
)
def test_the_gpus_backend():
    """Held against the reference like the others; a Contender of its own computes the same again."""
    workload = next(w for w in LENET5 if w.operation == "dense" and w.direction == "backward_bias")
    one = kernel_contender("cuda", workload, 2, np.float32, 1)
    one.call(2)
    assert parity.check(
        one.result(), workload.expected(2), np.float32, workload.terms(2, workload.expected(2))
    ).ok


def test_a_busy_machine_is_said(dense):
    for load, said in ((0.1, False), (None, False), (1.7, True)):
        assert (
            "the load average was" in "".join(report.closing(dense[0] | {"load_average": {"before": load}}))
        ) == said


def test_the_json_is_complete(dense):
    found, _ = dense
    assert {"processor", "cores", "vector_bits", "caches", "system"} <= found["machine"].keys()
    assert {"python", "numpy", "numba", "llvmlite", "torch"} <= found["versions"].keys()
    assert found["arguments"]["batches"] == [1, 17] and found["arguments"]["backends"] == ["reference", "cpu"]
    assert (
        found["ceilings"]["1"]["arithmetic"]["samples"]
        and found["ceilings"]["1"]["memory"]["bytes_per_second"] > 0
    )
    for row in found["rows"]:
        if row["contender"] in ("reference", "cpu"):
            assert (
                row["status"] == "ok"
                and row["error"] < parity.LIMIT
                and len(row["samples"]) >= 3
                and row["first_call"] > 0
            )
            assert row["median"] == pytest.approx(np.median(row["samples"])) and row["share"] > 0
            assert row["roof"] in ("arithmetic", "L2", "L3", "memory")


@pytest.mark.parametrize(
    "arguments, status, words",
    [
        (["avg_pool2d"], 1, "avg_pool2d: no layer of lenet5, alexnet computes it"),
        (["conv3d"], 2, "unknown model or operation 'conv3d'"),
        (["--backend", "gpu"], 2, "unknown backend 'gpu'"),
        (["--against", "jax"], 2, "unknown peer 'jax'"),
        (["--batch", "0"], 2, "expected a whole number of 1 or more, got '0'"),
        (["--batch", "x"], 2, "expected a whole number of 1 or more, got 'x'"),
        (["--json", "nowhere/x.json"], 1, "there is no folder nowhere"),
        (["--plot", "x.txt"], 1, "expected a file that ends with .png"),
        (["--kernel", "mine.py"], 1, "expected FILE.py:function"),
        (["--kernel", "none.py:f"], 1, "no such file"),
        (["--kernel", "{kernels}:absent"], 1, "has no function absent"),
        (["--kernel", "{kernels}:nothing"], 1, "nothing(a, b) is no kernel of conv2d"),
    ],
    ids=str,
)
def test_bad_arguments_are_one_sentence(arguments, status, words, kernels, capsys):
    try:
        found = main(["bench", *(argument.format(kernels=kernels) for argument in arguments)])
    except SystemExit as stop:  # how argparse ends
        found = stop.code
    err = capsys.readouterr().err
    assert found == status and words in err and "Traceback" not in err


def test_ctrl_c_leaves_no_half_written_file(tmp_path, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "_layer", interrupt)
    assert bench("dense", "--json", tmp_path / "result.json")[0] == 130
    assert "interrupted" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_the_picture(dense, climbed, tmp_path):
    pytest.importorskip("matplotlib", reason="the picture is drawn where matplotlib is installed")
    for (found, _), name in ((dense, "roofline.png"), (climbed, "ladder.png")):
        plot.check(tmp_path / name)
        plot.draw(found, tmp_path / name)
        assert Image.open(tmp_path / name).width > 600


def test_pytorch_computes_the_same():
    torch = pytest.importorskip("torch", reason="PyTorch is compared where it is installed")
    from tinyconv import execution

    for workload in LENET5:
        one = pytorch.contender(workload, 5, np.float32, 1)
        one.call(1)
        expected = workload.expected(5)
        assert parity.check(one.result(), expected, np.float32, workload.terms(5, expected)).ok, (
            workload.layer,
            workload.direction,
        )
    net, loss = workloads.MODELS["lenet5"]()
    x, labels = np.random.default_rng(0).standard_normal((5, 1, 32, 32)), np.arange(5)
    peer = pytorch.Network(net.astype(np.float64), loss, np.float64)
    value = peer.evaluate(torch.from_numpy(x), torch.from_numpy(labels)).item()
    assert value == pytest.approx(execution.forward_backward(net, x, labels, loss)[0], rel=1e-12)
    for name, grad in peer.grads().items():
        np.testing.assert_allclose(grad, net.grads[name], rtol=1e-9, atol=1e-12 * np.abs(grad).max())


def test_readme_is_written_from_the_results():
    readme = readme_table.README.read_text()
    assert readme_table.with_section(readme) == readme, "run: python benchmarks/readme_table.py"
