"""What the machine can answer, played: no GPU, an old one, a full one; and what only a real one would notice,
read off the order of calls.
"""

from types import SimpleNamespace

import numba
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
from tinyconv.execution.plans import plan_for  # noqa: E402
from tinyconv.kernels._cuda import (  # noqa: E402
    gpu as found_gpu,  # noqa: E402
    launch,
    memory,
    package,
    simulated_driver,
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


SEND = ["cuMemcpyHtoDAsync", "cuEventRecord", "cuStreamWaitEvent"]  # on its way; arrived; waited for
LAUNCH = ["cuGraphLaunch"] * 3 + ["cuEventRecord"]  # to where the step reads it; the step; the result; done


@pytest.fixture
def driver_calls(monkeypatch):
    """A list of the calls of the driver, and of kernels that are launched from Python, as they are made."""
    calls, depth = [], []

    def noted(name, function):
        def call(*arguments, **options):
            if "cuGraphLaunch" not in depth:  # the simulator makes those of a graph one by one
                calls.append(name)
            depth.append(name)
            try:
                return function(*arguments, **options)
            finally:
                depth.pop()

        return call

    for name in [name for name in vars(simulated_driver) if name.startswith("cu")]:
        monkeypatch.setattr(simulated_driver, name, noted(name, getattr(simulated_driver, name)))
    launched = launch.Kernel.__getitem__

    def from_python(self, shape):
        if "cuGraphLaunch" not in depth:
            calls.append(f"launch of {self.__name__}")
        return launched(self, shape)

    monkeypatch.setattr(launch.Kernel, "__getitem__", from_python)
    for module in (memory, numba.cuda.simulator.cudadrv.devicearray.FakeCUDAArray):
        for name in ("put", "to_host", "copy_to_device", "copy_to_host"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, noted(name, getattr(module, name)))
    return calls


def network_of_two():
    net = Sequential(
        layers.Dense(3, 4, rng=0), layers.ReLU(), layers.Dense(4, 2, rng=1), input_shape=(3,)
    ).to("cuda")
    return net, SoftmaxCrossEntropy().to("cuda"), np.ones((2, 3), np.float32), np.array([0, 1])


def test_a_training_step_is_eight_calls_of_the_driver(driver_calls):
    """And the batch is waited for before it is read. The third step takes the slot of the first, whose result
    has to be there.
    """
    net, loss, x, labels = network_of_two()
    sgd = SGD(net, lr=0.1, momentum=0.9, clip=1.0)
    execution.submit(net, x, labels, loss, sgd).result()
    driver_calls.clear()
    pending = [execution.submit(net, x, labels, loss, sgd) for _ in range(2)]
    assert driver_calls == [*SEND, *LAUNCH] * 2
    execution.submit(net, x, labels, loss, sgd)
    assert driver_calls == [*SEND, *LAUNCH] * 2 + ["cuEventSynchronize", *SEND, *LAUNCH]
    driver_calls.clear()
    for one in pending:
        one.checked()
    assert driver_calls == ["cuEventSynchronize"]  # the first has been waited for


@pytest.mark.parametrize("call", range(7))
def test_ctrl_c_between_two_calls_of_the_driver(call, monkeypatch, rng):
    """What was interrupted is waited for, and the steps behind it are right."""
    net, loss, x, labels = network_of_two()
    sgd, waited, left = SGD(net, lr=0.1), [], [call]
    execution.submit(net, x, labels, loss, sgd).result()
    with monkeypatch.context() as patch:
        for name in ("cuMemcpyHtoDAsync", "cuEventRecord", "cuStreamWaitEvent", "cuGraphLaunch"):
            function = getattr(simulated_driver, name)

            def interrupted(*arguments, function=function):
                left[0] -= 1
                if left[0] < 0:
                    raise KeyboardInterrupt
                return function(*arguments)

            patch.setattr(simulated_driver, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            execution.submit(net, x, labels, loss, sgd)
    monkeypatch.setattr(
        simulated_driver, "cuStreamSynchronize", lambda stream: (waited.append(stream), (0,))[1]
    )
    for _ in range(3):
        x = rng.standard_normal(x.shape).astype(np.float32)
        expected = loss.forward(net.forward(x), labels)
        assert execution.submit(net, x, labels, loss, sgd).result()[0] == pytest.approx(expected, rel=1e-5)
    assert len(waited) == 2


def test_a_prediction_is_eight_calls_of_the_driver(driver_calls):
    net, _, x, _ = network_of_two()
    for batch in (x, x[:1]):
        execution.forward(net, batch)
        driver_calls.clear()
        execution.forward(net, batch)
        assert driver_calls == [*SEND, *LAUNCH, "cuEventSynchronize"]


def test_labels_and_options_are_no_part_of_a_prediction():
    net, _, x, _ = network_of_two()
    plan = plan_for(net, x, 1)
    assert plan.labels is None and len(plan.slots[0].transit.here) == 1
    assert plan.slots[0].transit.here[0].shape == (2, 3)


def test_a_large_batch_is_copied_by_several_threads_and_arrives_whole(monkeypatch, rng):
    monkeypatch.setattr(captured, "SHARED_BYTES", 64)
    for shape in ((7, 33), (1, 50), (2, 9), (17, 8)):
        x, images = rng.standard_normal(shape), np.zeros(shape)
        captured.copy_images(x, images)
        assert np.array_equal(x, images)


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
