"""What every layer does at its door: dtypes, shapes, the order of calls; and Sequential."""

import copy

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.errors import CheckpointError, DataError, DivergedError, DtypeError, ShapeError
from tinyconv.layers import Conv2d, Dense, Dropout, Flatten, MaxPool2d, ReLU, ScaledTanh, Subsample2d


def small(rng=0, **options):
    return tc.Sequential(
        C1=Conv2d(1, 4, 3, rng=rng),
        A1=ReLU(),
        P2=MaxPool2d(2),
        flat=Flatten(),
        D=Dropout(0.3, rng=1),
        F3=Dense(36, 10, rng=rng),
        input_shape=(1, 8, 8),
        **options,
    )


@pytest.fixture
def batch(rng):
    return rng.standard_normal((50, 1, 8, 8)).astype(np.float32), rng.integers(10, size=50)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_the_dtype_of_x_is_kept(dtype, device, rng):
    layer = Conv2d(2, 3, 3, rng=0).to(device)
    x = rng.standard_normal((2, 2, 5, 5)).astype(dtype)
    y = layer.forward(x)
    dx = layer.backward(np.ones_like(y))
    assert {a.dtype for a in (y, dx, *layer.grads.values())} == {np.dtype(dtype)} and layer.params[
        "weight"
    ].dtype == np.float32
    assert type(y) is type(dx) is np.ndarray


@pytest.mark.parametrize(
    "x, error, message",
    [
        (
            np.zeros((1, 2, 5, 5), np.float16),
            DtypeError,
            r"Conv2d\(in_channels=2.*computes in float32 or float64, got float16; use x.astype",
        ),
        (np.zeros((1, 2, 5, 5), int), DtypeError, "got int64"),
        (np.zeros((1, 2, 5, 5), complex), DtypeError, "got complex128"),
        ([[1.0]], DtypeError, "expected a NumPy array, got list"),
        (
            np.zeros((1, 3, 5, 5)),
            ShapeError,
            r"Conv2d\(in_channels=2.*expected x of shape \(N, 2, H, W\), got \(1, 3, 5, 5\)",
        ),
        (np.zeros((2, 5, 5)), ShapeError, r"expected x of shape \(N, 2, H, W\), got \(2, 5, 5\)"),
        (np.zeros((1, 2, 2, 5)), ShapeError, "a window of 3 does not fit into 2 pixels"),
        (np.zeros((0, 2, 5, 5)), ShapeError, "at least one image"),
    ],
    ids=["float16", "int", "complex", "list", "channels", "3-d", "too small", "empty"],
)
def test_what_a_layer_cannot_take(x, error, message):
    with pytest.raises(error, match=message):
        Conv2d(2, 3, 3).forward(x)


def test_backward_needs_its_forward(rng):
    layer = Subsample2d(2)
    with pytest.raises(
        RuntimeError, match=r"Subsample2d\(channels=2, size=\(2, 2\)\): backward before forward"
    ):
        layer.backward(np.zeros((1, 2, 2, 2)))
    layer.forward(rng.standard_normal((1, 2, 4, 4)))
    with pytest.raises(
        ShapeError, match=r"expected dy of shape \(1, 2, 2, 2\), that of y; got \(1, 2, 4, 4\)"
    ):
        layer.backward(np.zeros((1, 2, 4, 4)))


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_dy_is_converted_to_the_dtype_of_y(device, rng):
    layer, x = Conv2d(2, 3, 3, rng=0).to(device), rng.standard_normal((20, 2, 5, 5)).astype(np.float32)
    dy = rng.standard_normal(layer.forward(x).shape)
    dx, dweight = layer.backward(dy), layer.grads["weight"]
    layer.backward(dy.astype(np.float32))
    assert dx.dtype == dweight.dtype == np.float32
    np.testing.assert_array_equal(dweight, layer.grads["weight"])


def test_parts_on_different_devices(rng):
    net = small()
    with pytest.raises(
        DtypeError, match="SoftmaxCrossEntropy.*is on 'reference'.*bring all parts to one device"
    ):
        net.train_step(
            rng.standard_normal((4, 1, 8, 8)),
            [0, 1, 2, 3],
            tc.SoftmaxCrossEntropy().to("reference"),
            tc.SGD(net),
        )


def test_backward_sets_grads_and_never_adds(rng):
    layer, x = Dense(3, 2, rng=0), rng.standard_normal((4, 3))
    dy = layer.forward(x)
    layer.backward(dy)
    first = copy.deepcopy(layer.grads)
    layer.forward(x)
    layer.backward(dy)
    np.testing.assert_array_equal(layer.grads["weight"], first["weight"])
    assert layer.grads.keys() == layer.params.keys()


def test_the_same_seed_gives_the_same_weights():
    np.testing.assert_array_equal(
        Dense(3, 2, rng=7).params["weight"], Dense(3, 2, rng=np.random.default_rng(7)).params["weight"]
    )
    assert (Dense(3, 2).params["weight"] != Dense(3, 2).params["weight"]).any()


def test_devices_that_are_not_there():
    with pytest.raises(ValueError, match="unknown precision 'bf16': expected one of float32, tf32"):
        small().to("cuda", precision="bf16")
    with pytest.raises(ValueError, match="the device 'cpu' has no tensor cores"):
        small().to("cpu", precision="tf32")
    with pytest.raises(ValueError, match="unknown device 'gpu'"):
        small().to("gpu")
    with pytest.raises(DtypeError, match="float16"):
        small().astype(np.float16)


def test_sequential_is_its_layers_in_a_row(batch):
    net, (x, _) = small(), batch
    y = x
    for layer in net.layers:
        y = layer.forward(y)
    np.testing.assert_array_equal(net.forward(x), y)
    arrays = net.trace(x)
    assert list(arrays) == ["x", "C1", "A1", "P2", "flat", "D", "F3"] and arrays["P2"].shape == (50, 4, 3, 3)
    np.testing.assert_array_equal(arrays["F3"], y)
    dx = net.backward(np.ones_like(y))
    assert dx.shape == x.shape and list(net.grads) == list(net.params) == [
        "C1.weight",
        "C1.bias",
        "F3.weight",
        "F3.bias",
    ]


def test_names_and_repr():
    net = tc.Sequential(ReLU(), ScaledTanh())
    assert list(net.named_layers) == ["0_ReLU", "1_ScaledTanh"] and "0_ReLU: ReLU" in repr(net)
    with pytest.raises(ValueError, match="at least one layer"):
        tc.Sequential()
    relu = ReLU()
    with pytest.raises(ValueError, match="the same layer stands in two places"):
        tc.Sequential(relu, Flatten(), relu)
    with pytest.raises(TypeError, match="layers with forward"):
        tc.Sequential(ReLU(), 3)


def test_summary_counts():
    summary = small().summary()
    assert (summary.parameters, summary.connections, summary.multiply_adds) == (
        410,
        4 * 36 * 10 + 370,
        4 * 36 * 9 + 360,
    )
    assert "4x6x6" in str(summary) and "410" in str(summary)
    with pytest.raises(ShapeError, match="no input_shape"):
        tc.Sequential(ReLU()).summary()


@pytest.mark.parametrize("threads", [1, 2, 3, 9])
def test_threads_compute_the_same_gradients(threads, batch):
    """Also with dropout: the mask belongs to the image, not to the thread."""
    (x, labels), loss = batch, tc.SoftmaxCrossEntropy()
    net, reference = small().astype(np.float64), small().astype(np.float64).to("reference")
    x = x.astype(np.float64)
    value = net.train_step(x, labels, loss, tc.SGD(net, lr=0.1), threads=threads)
    expected = reference.train_step(x, labels, loss, tc.SGD(reference, lr=0.1))
    assert value == pytest.approx(expected, rel=1e-12)
    for name, grad in reference.grads.items():
        np.testing.assert_allclose(net.grads[name], grad, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(net.params[name], reference.params[name], rtol=1e-10)


def test_the_same_threads_give_the_same_bits(batch):
    (x, labels), weights = batch, []
    for _ in range(2):
        net, loss = small(), tc.SoftmaxCrossEntropy()
        optimizer = tc.SGD(net, lr=0.1, momentum=0.9)
        for _ in range(5):
            net.train_step(x, labels, loss, optimizer, threads=3)
        weights.append(net.params["C1.weight"])
    np.testing.assert_array_equal(*weights)


def test_train_step_is_the_four_calls(batch):
    (x, labels), loss, one, four = batch, tc.SoftmaxCrossEntropy(), small(), small()
    value = one.train_step(x, labels, loss, tc.SGD(one, lr=0.1), threads=1)
    optimizer = tc.SGD(four, lr=0.1)
    assert loss.forward(four.forward(x, training=True), labels) == pytest.approx(value)
    four.backward(loss.backward())
    optimizer.step()
    for name, weight in one.params.items():
        np.testing.assert_allclose(weight, four.params[name], rtol=1e-5, atol=1e-7)


class Twice(tc.Layer):
    """A user's layer that holds another: no shallow copy of it could go through two threads."""

    def __init__(self):
        super().__init__()
        self.inner = Dense(64, 10, rng=0)
        self.params = self.inner.params

    def _forward(self, x, training):
        return self.inner.forward(x)

    def _backward_input(self, dy):
        return self.inner.backward(dy)

    def _backward_parameters(self, dy):
        self.inner.backward(dy)
        return self.inner.grads


def test_a_layer_that_holds_another_sees_whole_batches(rng):
    x, labels, grads = rng.standard_normal((640, 1, 8, 8)), rng.integers(10, size=640), []
    for threads in (1, 2):
        net = tc.Sequential(Flatten(), Twice())
        net.train_step(x, labels, tc.SoftmaxCrossEntropy(), tc.SGD(net), threads=threads)
        grads.append(net.grads["1_Twice.weight"])
    np.testing.assert_array_equal(*grads)


def test_batches_and_threads_that_cannot_be(batch):
    (x, labels), net = batch, small()
    with pytest.raises(ShapeError, match="at least one image"):
        net.train_step(x[:0], labels[:0], tc.SoftmaxCrossEntropy(), tc.SGD(net))
    with pytest.raises(ValueError, match="threads: expected 1 or more, got 0"):
        net.train_step(x, labels, tc.SoftmaxCrossEntropy(), tc.SGD(net), threads=0)


def test_an_error_in_a_thread_comes_out(batch):
    (x, labels), net = batch, small()
    labels[-1] = 12
    with pytest.raises(DataError, match=r"from 0 to 9, got labels\[49\] = 12"):
        net.train_step(x, labels, tc.SoftmaxCrossEntropy(), tc.SGD(net), threads=2)
    with pytest.raises(TypeError, match="expected a loss of tinyconv.losses"):
        net.train_step(x, labels, object(), tc.SGD(net))
    with pytest.raises(ShapeError, match="one label for each of 50 images"):
        net.train_step(x, labels[:-1], tc.SoftmaxCrossEntropy(), tc.SGD(net), threads=1)
    with pytest.raises(ShapeError, match="one label for each of 50 images"):
        net.train_step(x, np.append(labels, 0), tc.SoftmaxCrossEntropy(), tc.SGD(net), threads=2)


def test_nan_in_the_data_and_divergence_leave_the_weights_alone(batch):
    (x, labels), net, loss = batch, small(), tc.SoftmaxCrossEntropy()
    before, optimizer = copy.deepcopy(net.params), tc.SGD(net, lr=0.1)
    broken = x.copy()
    broken[3, 0, 1, 2] = np.nan
    with pytest.raises(DataError, match=r"x\[3, 0, 1, 2\] = nan \(1 such\)"):
        net.train_step(broken, labels, loss, optimizer)
    for name, weight in before.items():
        np.testing.assert_array_equal(net.params[name], weight)
    net.params["F3.weight"][:] = np.inf
    with pytest.raises(DivergedError, match="the loss is nan though the data are finite"):
        net.train_step(x, labels, loss, optimizer)


class Scale:
    """A user's own layer: NumPy arrays in and out, and no base class."""

    def __init__(self):
        self.params, self.grads = {"factor": np.array([1.5])}, {}

    def forward(self, x):
        self.x = x
        return self.params["factor"] * x

    def backward(self, dy):
        self.grads["factor"] = np.array([np.sum(dy * self.x)])
        return self.params["factor"] * dy


def test_a_users_layer_stands_in_a_network(batch):
    (x, labels), net = (
        batch,
        tc.Sequential(
            Conv2d(1, 2, 3, rng=0), Scale(), Flatten(), Dense(72, 10, rng=0), input_shape=(1, 8, 8)
        ),
    )
    assert net.summary().parameters == 20 + 1 + 730
    loss, optimizer = tc.SoftmaxCrossEntropy(), tc.SGD(net, lr=0.05)
    values = [net.train_step(x, labels, loss, optimizer, threads=2) for _ in range(30)]
    assert values[-1] < 0.8 * values[0] and net.params["1_Scale.factor"] != 1.5
    assert tc.check_gradients(net, x[:2], sample=10, quiet=True).ok


def test_save_and_load(batch, tmp_path):
    (x, _), net, other = batch, small(rng=0), small(rng=1)
    path = tmp_path / "net.npz"
    net.save(path)
    assert other.load(path) is other
    np.testing.assert_array_equal(other.forward(x), net.forward(x))
    assert [file.name for file in tmp_path.iterdir()] == ["net.npz"]


def test_state_is_saved_too(tmp_path):
    """The codes of RBF units and the counter of a dropout's draws: without them a loaded network would
    answer, or go on, differently.
    """
    make = lambda centers: tc.Sequential(D=Dropout(0.5, rng=1), out=tc.layers.RBF(centers))
    net, other, x = make([[1.0, -1.0]]), make([[0.0, 0.0]]), np.ones((4, 2))
    net.forward(x, training=True)
    net.save(tmp_path / "net.npz")
    other.load(tmp_path / "net.npz")
    np.testing.assert_array_equal(other.forward(x), net.forward(x))
    np.testing.assert_array_equal(other.forward(x, training=True), net.forward(x, training=True))


def test_a_damaged_checkpoint_changes_nothing(tmp_path):
    net, path = small(), tmp_path / "net.npz"
    net.save(path)
    whole, before = path.read_bytes(), copy.deepcopy(net.params)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for damaged in (whole[: len(whole) // 2], bytes(flipped), b"", b"no checkpoint at all", whole[:200]):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="net.npz: damaged, or no tinyconv checkpoint"):
            net.load(path)
    np.savez(path, header=np.array('{"format": "another"}'))
    with pytest.raises(CheckpointError, match="expected 'tinyconv checkpoint', found 'another'"):
        net.load(path)
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        net.load(tmp_path / "missing.npz")
    for name, weight in before.items():
        np.testing.assert_array_equal(net.params[name], weight)


def test_a_checkpoint_of_another_network(tmp_path):
    path = tmp_path / "net.npz"
    small().save(path)
    with pytest.raises(
        CheckpointError,
        match=r"another network: layer 0 is C1 = Conv2d\(.*in the file and C1 = Conv2d\(in_channels=2",
    ):
        tc.Sequential(C1=Conv2d(2, 4, 3)).load(path)
    with pytest.raises(CheckpointError, match="layer 6 is no further layer in the file and more = ReLU"):
        small(more=ReLU()).load(path)


def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    net, path = small(), tmp_path / "net.npz"
    net.save(path)
    whole = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tinyconv.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        net.save(path)
    assert path.read_bytes() == whole and len(list(tmp_path.iterdir())) == 1
