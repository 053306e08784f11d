"""The captured step on the GPU, or in numba-cuda's simulator: it computes what the cpu computes, step after
step, and notices what changes.
"""

import copy
import gc
import math
import weakref

import numpy as np
import pytest

from tinyconv import (
    SGD,
    Adam,
    Optimizer,
    Sequential,
    SoftmaxCrossEntropy,
    check_gradients,
    device as door,
    execution,
    layers,
)
from tinyconv.errors import DataError, DeviceError, DivergedError, DtypeError, ShapeError
from tinyconv.optimizers import stepped

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed: tinyconv[cuda]")

from tinyconv.kernels import _arena
from tinyconv.kernels._arena import taking_from  # noqa: E402
from tinyconv.kernels._cuda import launch, memory  # noqa: E402
from tinyconv.kernels._cuda.arena import CudaArena, NoRoom  # noqa: E402
from tinyconv.kernels._cuda.graph import capturing  # noqa: E402
from tinyconv.kernels._cuda.native import CudaNative  # noqa: E402


def network():
    return Sequential(
        C=layers.Conv2d(2, 3, 3, padding=1, rng=0),
        R=layers.ReLU(),
        P=layers.MaxPool2d(2),
        K=layers.Conv2d(3, 4, 2, rng=3),
        Q=layers.ReLU(),
        D=layers.Dropout(0.3, rng=5),
        F=layers.Flatten(),
        E=layers.Dense(4, 5, rng=1),
        T=layers.ReLU(),
        G=layers.Dense(5, 3, rng=2),
    ).astype(np.float64)


@pytest.fixture
def batch(rng):
    return rng.standard_normal((3, 2, 4, 4)), np.array([0, 2, 1])


def both(kind=SGD, **options):
    """(net, loss, optimizer) on the cpu and on the GPU, from the same weights."""
    made = []
    for device in ("cpu", "cuda"):
        net = network().to(device)
        made.append((net, SoftmaxCrossEntropy().to(device), kind(net, **options)))
    return made


def test_a_copy_in_a_capture_is_refused_as_the_driver_refuses_it():
    array = memory.to_gpu(np.zeros(3))
    with capturing():
        for copy_it in (lambda: memory.to_host(array), lambda: memory.put(np.ones(3), array)):
            with pytest.raises(RuntimeError, match="cannot be captured"):
                copy_it()


def test_to_ask_a_native_array_for_its_shape_copies_nothing(monkeypatch):
    native = CudaNative.pack(np.zeros((2, 3, 4, 4), np.float32))
    monkeypatch.setattr(memory, "to_host", None)
    assert np.shape(native) == (2, 3, 4, 4) and np.ndim(native) == 4


def same(a, b, tolerance=1e-12):
    for name, value in a.items():
        np.testing.assert_allclose(door.to_host(b[name]), value, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize(
    "kind, options",
    [
        (SGD, dict(lr=0.1)),
        (SGD, dict(lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True)),
        (SGD, dict(lr=0.5, momentum=0.5, clip=0.1)),
        (SGD, dict(lr=stepped(0.3, every=1), momentum=0.9)),
        (Adam, dict(lr=0.01)),
        (Adam, dict(lr=stepped(0.1, every=1), weight_decay=0.1, clip=0.1)),
        (Adam, dict(lr=0.01, weight_decay=0.1, decoupled=False, beta1=0.5, eps=0.01)),
    ],
    ids=[
        "plain",
        "nesterov",
        "clip",
        "schedule",
        "adam",
        "adam, clip and schedule",
        "adam, decay in the gradient",
    ],
)
def test_steps_are_those_of_the_cpu(batch, kind, options):
    (net, loss, optimizer), (gpu, gpu_loss, gpu_optimizer) = both(kind, **options)
    x, labels = batch
    # Adam divides by the root of the square: where a gradient is nearly 0, its rounding error is as large as
    # the step
    tolerance = 1e-12 if kind is SGD else 1e-9
    for step in range(3):
        value, scores = execution.train_step(net, x + step, labels, loss, optimizer)
        found, found_scores = execution.train_step(gpu, x + step, labels, gpu_loss, gpu_optimizer)
        assert found == pytest.approx(value, rel=tolerance)
        np.testing.assert_allclose(found_scores, scores, rtol=0, atol=tolerance)
        same(net.grads, gpu.grads, tolerance)
    same(net.params, gpu.params, tolerance)
    for slot in optimizer.slot_names:
        same(optimizer.slots[slot], gpu_optimizer.slots[slot], tolerance)
    assert gpu_optimizer.steps == 3
    assert (
        door.to_host(gpu.state["D.draws"]) == net.state["D.draws"] == 3
    )  # neither the rehearsal nor the capture drew


@pytest.mark.parametrize(
    "kind, changes",
    [
        (
            SGD,
            [
                ("lr", 0.01),
                ("momentum", 0.5),
                ("nesterov", True),
                ("weight_decay", 0.5),
                ("clip", 0.01),
                ("lr", stepped(0.1, every=1)),
                ("steps", 1),
            ],
        ),
        (
            Adam,
            [
                ("lr", 0.01),
                ("beta1", 0.5),
                ("beta2", 0.5),
                ("eps", 0.5),
                ("weight_decay", 0.5),
                ("decoupled", False),
                ("clip", 0.01),
                ("steps", 100),
            ],
        ),
    ],
)
def test_settings_take_effect_at_the_next_captured_step(batch, kind, changes):
    (net, loss, optimizer), (gpu, gpu_loss, gpu_optimizer) = both(kind, lr=0.1)
    x, labels = batch
    for name, value in [("lr", 0.1), *changes]:
        setattr(optimizer, name, value), setattr(gpu_optimizer, name, value)
        before = {name: value.copy() for name, value in net.params.items()}
        execution.train_step(net, x, labels, loss, optimizer)
        execution.train_step(gpu, x, labels, gpu_loss, gpu_optimizer)
        same(net.params, gpu.params, 1e-9)
        assert not np.array_equal(before["E.weight"], net.params["E.weight"])


@pytest.mark.filterwarnings("ignore:invalid value encountered")
@pytest.mark.parametrize(
    "options", [{}, {"weight_decay": 0.1, "clip": 0.05}], ids=["plain", "decay and clip"]
)
def test_an_optimizer_of_ones_own_steps_in_numpy(batch, options):
    """It is fetched from the GPU, computed and put back: as it is on the cpu. Its slots go where the
    parameters go.
    """

    class Mine(Optimizer):
        slot_names = ("mean",)

        def update(self, name, weight, gradient, mean):
            assert all(isinstance(array, np.ndarray) for array in (weight, gradient, mean))
            mean[...] = 0.5 * mean + gradient
            weight -= self.lr * mean

    x, labels = batch
    (net, loss, mine), (gpu, gpu_loss, gpu_mine) = both(Mine, lr=0.1, **options)
    for _ in range(3):
        execution.train_step(net, x, labels, loss, mine)
        execution.train_step(gpu, x, labels, gpu_loss, gpu_mine)
    same(net.params, gpu.params)
    same(mine.slots["mean"], gpu_mine.slots["mean"])
    assert gpu_mine.steps == 3 and all(map(door.is_on_gpu, gpu_mine.slots["mean"].values()))
    with pytest.raises(DataError):
        execution.train_step(gpu, np.full_like(x, np.nan), labels, gpu_loss, gpu_mine)
    same(net.params, gpu.params)


def test_slots_that_do_not_fit_are_refused_on_the_gpu(batch):
    x, labels = batch
    gpu = network().to("cuda")
    loss, adam = SoftmaxCrossEntropy().to("cuda"), Adam(gpu)
    execution.train_step(gpu, x, labels, loss, adam)
    before = {name: door.to_host(value) for name, value in gpu.params.items()}
    adam.slots["square"]["G.bias"] = np.zeros(2)
    with pytest.raises(
        ShapeError, match=r"Adam: expected square of G.bias in the parameter's shape \(3,\), got \(2,\)"
    ):
        execution.train_step(gpu, x, labels, loss, adam)
    same(before, gpu.params, 0)
    adam.slots["square"]["G.bias"] = np.zeros(3, np.float32)
    execution.train_step(gpu, x, labels, loss, adam)
    assert door.to_host(adam.slots["square"]["G.bias"]).dtype == np.float64 and adam.steps == 2


def test_a_captured_step_is_a_step_called_from_python(batch):
    """The captured one has relu in the launches of its neighbours, and its memory is used several
    times over.
    """
    x, labels = batch
    gpu = network().to("cuda")
    twin, loss, twin_loss = (
        copy.deepcopy(gpu),
        SoftmaxCrossEntropy().to("cuda"),
        SoftmaxCrossEntropy().to("cuda"),
    )
    assert execution.strategy(gpu, x, loss)[0] == "graph"
    value, scores = execution.forward_backward(gpu, x, labels, loss)
    expected = twin_loss.forward(twin.forward(x, training=True), labels)
    twin.backward(twin_loss.backward(), need_dx=False)
    assert value == pytest.approx(expected, rel=1e-14)
    same({name: door.to_host(grad) for name, grad in twin.grads.items()}, gpu.grads, 1e-14)
    np.testing.assert_array_equal(execution.forward(gpu, x), twin.forward(x))


def test_outcomes_may_be_asked_for_late(batch):
    x, labels = batch
    gpu = network().to("cuda")
    loss, sgd = SoftmaxCrossEntropy().to("cuda"), SGD(gpu, lr=0.1)
    late = [execution.submit(gpu, x * scale, labels, loss, sgd) for scale in (1, 2, 3)]
    twin = network().to("cuda")
    loss, sgd = SoftmaxCrossEntropy().to("cuda"), SGD(twin, lr=0.1)
    for scale, outcome in zip((1, 2, 3), late, strict=True):
        value, scores = execution.train_step(twin, x * scale, labels, loss, sgd)
        assert outcome.checked()[0] == value
        np.testing.assert_array_equal(outcome.checked()[1], scores)


def test_two_runs_give_the_same_bits(batch):
    runs = []
    for _ in range(2):
        gpu = network().to("cuda")
        loss, sgd = SoftmaxCrossEntropy().to("cuda"), SGD(gpu, lr=0.1, momentum=0.9)
        for _ in range(2):
            execution.train_step(gpu, *batch, loss, sgd)
        runs.append({name: door.to_host(value) for name, value in gpu.params.items()})
    for name, value in runs[0].items():
        np.testing.assert_array_equal(runs[1][name], value)


@pytest.mark.filterwarnings("ignore:invalid value encountered")
@pytest.mark.parametrize("scale", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_leaves_the_weights(batch, scale):
    x, labels = batch
    gpu = network().to("cuda")
    loss, sgd = SoftmaxCrossEntropy().to("cuda"), SGD(gpu, lr=0.1)
    execution.train_step(gpu, x, labels, loss, sgd)
    before = {name: door.to_host(value) for name, value in (gpu.params | sgd.velocity).items()}
    x = x.copy()
    x[2, 1, 3, 2] = scale
    with pytest.raises(DataError, match=r"got x\[2, 1, 3, 2\]"):
        execution.train_step(gpu, x, labels, loss, sgd)
    same(before, gpu.params | sgd.velocity, 0)
    door.put(np.full(gpu.params["G.bias"].shape, np.nan), gpu.params["G.bias"])
    with pytest.raises(DivergedError, match="the loss is nan though the data are finite"):
        execution.train_step(gpu, np.ones_like(x), labels, loss, sgd)


def test_what_changes_is_captured_anew(batch):
    x, labels = batch
    (net, loss, sgd), (gpu, gpu_loss, gpu_sgd) = both(lr=0.1)
    for change in (
        lambda n, s: None,
        lambda n, s: vars(n.layers[2]).update(size=(3, 3), padding=(1, 1)),
        lambda n, s: s.__setattr__("weight_decay", 0.5),
        lambda n, s: s.__setattr__("clip", 0.01),
        lambda n, s: s.__setattr__("momentum", 0.5),
        lambda n, s: n.layers[0].params.__setitem__("bias", door.move(np.ones(3), n.device)),
    ):
        change(net, sgd), change(gpu, gpu_sgd)
        value, scores = execution.train_step(net, x, labels, loss, sgd)
        found, found_scores = execution.train_step(gpu, x, labels, gpu_loss, gpu_sgd)
        np.testing.assert_allclose(found_scores, scores, rtol=0, atol=1e-12)
        same(net.params, gpu.params)


def test_there_and_back_without_loss(batch, tmp_path):
    x, labels = batch
    (net, loss, sgd), (gpu, gpu_loss, gpu_sgd) = both(lr=0.1, momentum=0.9)
    for _ in range(2):
        execution.train_step(gpu, x, labels, gpu_loss, gpu_sgd)
    gpu.save(tmp_path / "net.npz")
    loaded = network().load(tmp_path / "net.npz")
    on_gpu = network().to("cuda").load(tmp_path / "net.npz")
    params = {name: door.to_host(value) for name, value in gpu.params.items()}
    gpu.to("cpu")
    for name, value in params.items():
        assert isinstance(gpu.params[name], np.ndarray)
        for other in (gpu, loaded, on_gpu):
            np.testing.assert_array_equal(door.to_host(other.params[name]), value)
        np.testing.assert_array_equal(door.to_host(on_gpu.state["D.draws"]), gpu.state["D.draws"])
    gpu_loss.to("cpu")
    for _ in range(2):  # training goes on there, velocity and all
        execution.train_step(net, x, labels, loss, sgd)
    for each in (net, gpu):
        execution.train_step(
            each, x, labels, loss if each is net else gpu_loss, sgd if each is net else gpu_sgd
        )
    same(net.params, gpu.params)


def test_a_capture_asks_for_no_memory(batch, monkeypatch):
    """A driver refuses it. Where the pieces do not fit into what the rehearsal has left, the capture is made
    again, with more.
    """
    asked, grown = [], []
    ask, grow = CudaArena._ask_for, CudaArena.grow
    monkeypatch.setattr(_arena, "SLAB", 256)  # so that every piece has to be asked for
    monkeypatch.setattr(
        CudaArena,
        "_ask_for",
        lambda self, size: (asked.append(launch.capture_in_progress()), ask(self, size))[1],
    )
    monkeypatch.setattr(CudaArena, "grow", lambda self, size: grown.append(size) or grow(self, size))
    (net, loss, sgd), (gpu, gpu_loss, gpu_sgd) = both(lr=0.1)
    for _ in range(2):
        execution.train_step(net, *batch, loss, sgd)
        execution.train_step(gpu, *batch, gpu_loss, gpu_sgd)
    same(net.params, gpu.params)
    assert len(asked) > 5 and sum(place is not None for place in asked) == len(grown) <= 3
    fresh = CudaArena()
    with pytest.raises(NoRoom), capturing(), taking_from(fresh):
        memory.empty((300,), np.float64)
    assert launch.capture_in_progress() is None and fresh.nbytes == 0


def test_copies_have_arrays_of_their_own(batch):
    gpu = network().to("cuda")
    loss, sgd = SoftmaxCrossEntropy().to("cuda"), SGD(gpu, lr=0.1, momentum=0.9)
    loss.forward(gpu.forward(batch[0]), batch[1])
    execution.train_step(gpu, *batch, loss, sgd)
    twin, twin_loss = copy.deepcopy(sgd), copy.deepcopy(loss)
    execution.train_step(twin.net, *batch, twin_loss, twin)
    execution.train_step(gpu, *batch, loss, sgd)
    same(
        {name: door.to_host(value) for name, value in (gpu.params | sgd.velocity).items()},
        twin.net.params | twin.velocity,
        0,
    )
    assert all(twin.velocity[name] is not value for name, value in sgd.velocity.items())
    # what the optimizer remembers of parameters that have moved on is not copied
    memory = copy.deepcopy(gpu.to("cpu") and sgd)._collector.weights
    assert memory == []
    gpu.to("cuda")
    door.put(3, gpu.params["G.bias"])
    assert (door.to_host(gpu.params["G.bias"]) == 3).all()


def test_a_network_leaves_with_its_memory(batch):
    gpu = network().to("cuda")
    loss, sgd = SoftmaxCrossEntropy().to("cuda"), SGD(gpu, lr=0.1)
    execution.train_step(gpu, *batch, loss, sgd)
    gone = weakref.ref(gpu)
    del gpu, loss, sgd
    gc.collect()
    assert gone() is None


def test_parts_on_two_devices_are_an_error(batch):
    x, labels = batch
    gpu = network().to("cuda")
    y = door.pack(x, "cuda", "test")
    with pytest.raises(
        DtypeError,
        match=r"is on 'cpu' and expects its arrays, got CudaNative\(.*of the cuda; bring all parts to one device",  # noqa: E501
    ):
        network().forward(y)
    with pytest.raises(DtypeError, match="the device 'cuda' computes in float32 or float64, got complex128"):
        gpu.forward(x.astype(complex))


def test_gradients_of_a_network_on_the_gpu(batch):
    net = Sequential(
        layers.Conv2d(1, 2, 2, rng=0), layers.Tanh(), layers.Flatten(), layers.Dense(2 * 4, 2, rng=1)
    ).to("cuda")
    report = check_gradients(net, batch[0][:2, :1, :3, :3], sample=2, quiet=True)
    assert report.ok and {row.array for row in report.rows} == {
        "y",
        "dx",
        "0_Conv2d.dweight",
        "0_Conv2d.dbias",
        "3_Dense.dweight",
        "3_Dense.dbias",
    }


def test_an_object_of_a_users_own_computes_in_numpy(batch):
    class Twice:
        params, grads = {}, {}
        forward = backward = staticmethod(lambda x: 2 * x)

    x, labels = batch
    a, b = (
        Sequential(layers.ReLU(), Twice(), layers.Flatten(), layers.Dense(32, 3, rng=0))
        .astype(np.float64)
        .to(device)
        for device in ("cpu", "cuda")
    )
    assert execution.strategy(b, x)[0] == "calls"
    values = [
        execution.train_step(net, x, labels, SoftmaxCrossEntropy().to(net.device), SGD(net, lr=0.1))[0]
        for net in (a, b)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-12) and math.isfinite(values[0])
    same(a.params, b.params)


def test_what_is_missing_is_said_in_one_sentence(monkeypatch):
    from tinyconv.kernels._cuda import gpu

    for sentence in ("no driver", "too old"):
        monkeypatch.setattr(gpu, "missing", lambda: sentence)
        with pytest.raises(DeviceError, match=sentence):
            network().to("cuda")
        with pytest.raises(DeviceError, match=sentence):
            SoftmaxCrossEntropy().to("cuda")
