"""What the machine can answer, played: no GPU, an old one, a full one; and what only a real one would notice,
read off the order of calls.
"""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed: tinyconv[cuda]")

from tinyconv import (  # noqa: E402
    SGD,
    Sequential,
    SoftmaxCrossEntropy,
    device as door,  # noqa: E402
    execution,
    layers,
)
from tinyconv.execution import cuda as captured  # noqa: E402
from tinyconv.kernels import capturing  # noqa: E402
from tinyconv.kernels._cuda import (  # noqa: E402
    gpu as found_gpu,  # noqa: E402
    memory,
    package,
)


@pytest.fixture
def machine(monkeypatch):
    """A machine that has everything; what a test takes away from it, `missing` has to name."""
    gpu = SimpleNamespace(compute_capability=(9, 0))
    parts = {
        "INSTALLED": True,
        "SIMULATOR": False,
        "compiler_is_there": lambda: True,
        "package_and_driver": lambda: (13, 13),
        "gpu_name": lambda: "H200",
        "cuda": SimpleNamespace(is_available=lambda: True, get_current_device=lambda: gpu),
    }
    for name, value in parts.items():
        monkeypatch.setattr(found_gpu, name, value)
    return SimpleNamespace(
        gpu=gpu,
        without=lambda **what: [monkeypatch.setattr(found_gpu, name, value) for name, value in what.items()],
    )


def refuse(text):
    def function(*_):
        raise RuntimeError(text)

    return function


def test_a_whole_machine_lacks_nothing(machine):
    assert found_gpu.missing() is None


@pytest.mark.parametrize(
    "what, sentence",
    [
        ({"INSTALLED": False}, r'needs the package numba-cuda: pip install "tinyconv\[cuda\]"'),
        (
            {"compiler_is_there": lambda: False},
            r'needs NVIDIA\'s compiler libnvvm: pip install "tinyconv\[cuda\]"',
        ),
        (
            {"cuda": SimpleNamespace(is_available=lambda: False)},
            "needs an NVIDIA GPU and its driver, and none answers.*or use --device cpu",
        ),
        (
            {"package_and_driver": lambda: (13, 12)},
            r"needs a driver for CUDA 13.*this one is for CUDA 12: install a newer "
            r"driver.*tinyconv\[cuda12\]",
        ),
        (
            {
                "cuda": SimpleNamespace(
                    is_available=lambda: True, get_current_device=refuse("CUDA_ERROR_OUT_OF_MEMORY")
                )
            },
            r"does not let itself be used \(CUDA_ERROR_OUT_OF_MEMORY\): end other programs",
        ),
    ],
    ids=["package", "compiler", "driver", "old driver", "full"],
)
def test_what_is_missing_is_named(machine, what, sentence):
    import re

    machine.without(**what)
    found = found_gpu.missing()
    assert re.search(sentence, found) and "\n" not in found


@pytest.mark.parametrize(
    "driver, said",
    [(13, "H200"), (12, 'the device "cuda" needs a driver for CUDA 13, as numba-cuda is installed for it')],
)
def test_doctor_names_a_driver_that_does_not_fit(machine, monkeypatch, capsys, driver, said):
    from tinyconv.cli import main

    monkeypatch.setattr(found_gpu, "memory", lambda: (2**30, 2**31))
    monkeypatch.setattr(package, "gpu_name", lambda: "H200")
    machine.without(package_and_driver=lambda: (13, driver))
    assert main(["doctor"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("GPU ")]
    assert line.split(maxsplit=1)[1].startswith(said)


def test_an_old_gpu_is_named(machine):
    machine.gpu.compute_capability = (7, 5)
    assert (
        "needs compute capability 8.0 or newer (Ampere, 2020); H200 has 7.5: use --device cpu"
        in found_gpu.missing()
    )


def test_too_little_memory_is_a_memory_error(monkeypatch):
    monkeypatch.setattr(
        package.cuda, "device_array", refuse("Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY")
    )
    with pytest.raises(MemoryError, match="has no 4 MiB left: use a smaller batch"):
        memory.empty((1024, 1024), np.float32)
    monkeypatch.setattr(package.cuda, "device_array", refuse("another error"))
    with pytest.raises(RuntimeError, match="another error"):
        memory.empty((1024, 1024), np.float32)


def test_no_compiler_is_no_error(monkeypatch):
    monkeypatch.setattr(
        package, "nvvm", SimpleNamespace(is_available=refuse("DynamicLibNotFoundError")), raising=False
    )
    assert not package.compiler_is_there()


def test_a_batch_is_waited_for_before_it_is_read(monkeypatch):
    """The simulator copies at once; on a GPU the kernels would read a batch that has not arrived."""
    order = []

    class Event:
        def record(self, stream=0):
            order.append("record")

        def wait(self, stream=0):
            order.append("wait")

        def synchronize(self):
            order.append("synchronize")

    transpose = captured.transpose
    monkeypatch.setattr(capturing, "event", Event)
    monkeypatch.setattr(
        captured, "transpose", lambda *arrays: (order.append("transpose"), transpose(*arrays))
    )
    net = Sequential(layers.Dense(3, 2, rng=0)).to("cuda")
    loss = SoftmaxCrossEntropy().to("cuda")
    sgd = SGD(net, lr=0.1)
    batch = np.ones((2, 3), np.float32), np.array([0, 1])
    execution.submit(net, *batch, loss, sgd)
    order.clear()
    for _ in range(2):
        execution.submit(net, *batch, loss, sgd)
    one = [
        "record",
        "wait",
        "transpose",
        "record",
    ]  # the batch is on its way, is waited for, is read; the answer is on its way
    assert (
        order == one + ["synchronize"] + one
    )  # the third step uses the slot of the first, whose answer has to be there


@pytest.mark.parametrize("way", ["called", "captured"])
def test_tf32_is_what_a_layer_was_asked_for(way, rng):
    """Factors with 10 bits behind the point give other numbers than those with 23, and nearly the same."""
    x = rng.standard_normal((4, 3, 5, 5)).astype(np.float32)
    found = {}
    for precision in ("float32", "tf32"):
        net = Sequential(layers.Conv2d(3, 8, 3, rng=0), layers.Flatten(), layers.Dense(72, 4, rng=1)).to(
            "cuda", precision
        )
        found[precision] = net.forward(x) if way == "called" else execution.forward(net, x)
    exact = Sequential(*net.to("cpu").layers).to("reference").forward(x.astype(np.float64))
    errors = {precision: np.abs(y - exact).max() / np.abs(exact).max() for precision, y in found.items()}
    assert errors["float32"] < 1e-6 < errors["tf32"] < 1e-2


@pytest.mark.parametrize("split", [False, True])
def test_relu_on_the_way_hides_no_nan(split, rng):
    """Where k is split, what follows a sum is computed by the kernel that adds the parts."""
    features = 600 if split else 5
    net = Sequential(layers.Dense(features, 3, rng=0), layers.ReLU()).to("cuda")
    x = rng.standard_normal((2, features)).astype(np.float32)
    x[1, 2] = np.nan
    y = execution.forward(net, x)
    assert np.isfinite(y[0]).all() and np.isnan(y[1]).all()
    assert door.is_on_gpu(net.params["0_Dense.weight"])
