"""The base of optimizers: refusals, settings during training, replaced arrays, a user's own optimizer."""

import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

import tinyconv as tc
from tinyconv import checkpoint, layers
from tinyconv.data import Dataset, Inputs
from tinyconv.errors import DtypeError, ShapeError
from tinyconv.kernels import load
from tinyconv.kernels._cpu.kernel import shared
from tinyconv.optim import SGD, Adam, Optimizer, constant, cosine, stepped
from tinyconv.training import Trainer

BOTH = pytest.mark.parametrize("kind", [SGD, Adam])
DEVICES = pytest.mark.parametrize("device", ["reference", "cpu"])


class Signs(Optimizer):
    """The example of the docstring: moves by the sign of a running mean."""

    slot_names = ("mean",)

    def __init__(self, net, lr=0.01, share=0.1, **options):
        super().__init__(net, lr, **options)
        self.share = share

    def update(self, name, weight, gradient, mean):
        mean[...] = (1 - self.share) * mean + self.share * gradient
        weight -= self.lr * np.sign(mean)


def target(device="cpu", dtype=np.float64, **gradients):
    """Parameters w (3, 2) and b (2,) of ones, with gradients of ones, or the given ones."""
    params = {"w": np.ones((3, 2), dtype), "b": np.ones(2, dtype)}
    grads = {name: np.ones_like(value) for name, value in params.items()}
    return SimpleNamespace(
        params=params,
        grads={name: grad for name, grad in (grads | gradients).items() if grad is not ...},
        device=device,
    )


def network():
    return tc.Sequential(
        C=layers.Conv2d(1, 3, 3, rng=0), A=layers.Tanh(), F=layers.Flatten(), D=layers.Dense(48, 4, rng=1)
    )


@pytest.fixture
def batch(rng):
    return rng.standard_normal((30, 1, 6, 6)).astype(np.float32), np.arange(30) % 4, tc.SoftmaxCrossEntropy()


# ---- gradients


@DEVICES
@BOTH
@pytest.mark.parametrize(
    "gradient, error, message",
    [
        (..., RuntimeError, "no gradient for b; call backward before step"),
        (None, RuntimeError, r"the gradient of b is None; backward must set it to an array of shape \(2,\)"),
        (
            np.ones((4, 2)),
            ShapeError,
            r"expected the gradient of b in the parameter's shape \(2,\), got \(4, 2\); backward must set",
        ),
        (np.ones(1), ShapeError, r"got \(1,\)"),
        (np.float64(3), ShapeError, r"got \(\)"),
        (np.ones((2, 1)), ShapeError, r"got \(2, 1\)"),
        (np.ones(2, int), DtypeError, "expected the gradient of b in float32 or float64, got int"),
        (np.ones(2, complex), DtypeError, "got complex128"),
        ([1.0, 1.0], DtypeError, r"as a NumPy array of shape \(2,\), got list"),
    ],
    ids=["missing", "None", "not summed", "too short", "one number", "column", "int", "complex", "list"],
)
def test_a_gradient_that_is_not_the_parameters_is_refused(kind, device, gradient, error, message):
    net = target(device)
    optimizer = kind(net, lr=0.1)
    optimizer.step()
    # the arrays of the first step have been checked; the one that comes now has not
    net.grads = target(b=gradient).grads
    before = copy.deepcopy((net.params, optimizer.slots))
    with pytest.raises(error, match=message) as caught:
        optimizer.step()
    assert kind.__name__ in str(caught.value) and "learning rate" not in str(caught.value)
    assert optimizer.steps == 1 and repr((net.params, optimizer.slots)) == repr(before)


@BOTH
def test_gradients_of_another_dtype_or_order_are_taken(kind):
    """float16 to float64, in any order of memory, read-only, and a number for a parameter of rank 0."""
    w = np.arange(6.0).reshape(3, 2)
    ends = []
    for gradient in (
        w,
        np.asfortranarray(w),
        w.astype(np.float16),
        w.astype(">f8"),
        np.broadcast_to(w[:, :1] * [0, 0] + w, w.shape),
        w[::-1][::-1],
    ):
        net = target(w=gradient)
        gradient.flags.writeable = False
        optimizer = kind(net, lr=0.1)
        for _ in range(3):
            optimizer.step()
        ends.append(net.params["w"].tobytes())
    assert len(set(ends)) == 1
    net = SimpleNamespace(params={"s": np.array(1.0)}, grads={"s": np.float64(2.0)})
    kind(net, lr=0.1).step()
    assert net.params["s"] < 1


@pytest.mark.parametrize(
    "form", [lambda w: w.astype(np.float16), np.asfortranarray, lambda w: np.repeat(w, 2, 0)[::2]]
)
def test_a_gradient_that_is_converted_is_read_anew_at_every_step(form):
    net = target(w=form(np.ones((3, 2))))
    optimizer = SGD(net, lr=1.0)
    optimizer.step()
    net.grads["w"][...] = 5
    optimizer.step()
    assert (net.params["w"] == 1 - 1 - 5).all()


# ---- parameters and slots


@DEVICES
@BOTH
def test_a_replaced_parameter_of_the_same_shape_is_trained(kind, device):
    net, twin = target(device), target(device)
    optimizers = [kind(net, lr=0.1), kind(twin, lr=0.1)]
    for optimizer in optimizers:
        optimizer.step()
    old = net.params["w"]
    net.params["w"] = old.copy()
    before = old.copy()
    for optimizer in optimizers:
        optimizer.step()
    np.testing.assert_array_equal(net.params["w"], twin.params["w"])
    np.testing.assert_array_equal(old, before)


@BOTH
def test_a_replaced_parameter_in_another_dtype_takes_its_slots_along(kind, batch):
    x, labels, loss = batch
    net = network()
    optimizer = kind(net, lr=0.1)
    net.train_step(x, labels, loss, optimizer)
    net.astype(np.float64)
    net.train_step(x.astype(np.float64), labels, loss, optimizer)
    for arrays in optimizer.slots.values():
        assert {array.dtype for array in arrays.values()} == {np.dtype(np.float64)}


@DEVICES
@BOTH
def test_a_slot_of_another_shape_is_refused(kind, device):
    net = target(device)
    optimizer = kind(net, lr=0.1)
    optimizer.step()
    slot = optimizer.slot_names[0]
    net.params["b"], net.grads["b"] = np.ones(5), np.ones(5)
    with pytest.raises(
        ShapeError,
        match=rf"expected {slot} of b in the parameter's shape \(5,\), got \(2,\); where the parameter was",
    ):
        optimizer.step()
    optimizer.slots[slot]["b"] = None
    with pytest.raises(RuntimeError, match=rf"the slot {slot} has no array for b; make a new optimizer"):
        optimizer.step()
    optimizer.slots[slot]["b"] = "velocity"
    with pytest.raises(DtypeError, match=rf"expected {slot} of b as an array of float32 or float64, got str"):
        optimizer.step()
    del optimizer.slots[slot]
    with pytest.raises(RuntimeError, match=rf"the slot {slot} has no array for w"):
        optimizer.step()


def test_a_slot_may_be_replaced():
    net = target()
    optimizer = SGD(net, lr=1.0, momentum=0.5)
    optimizer.step()
    # neither contiguous nor of the dtype
    optimizer.velocity["w"] = np.full((2, 3), 8, np.float32).T
    optimizer.step()
    assert (net.params["w"] == 1 - 1 - (0.5 * 8 + 1)).all() and (optimizer.velocity["w"] == 5).all()
    optimizer.velocity = {name: np.full(value.shape, 2.0) for name, value in net.params.items()}
    optimizer.step()
    assert (optimizer.velocity["w"] == 2).all()
    frozen = np.zeros((3, 2))
    frozen.flags.writeable = False
    optimizer.velocity["w"] = frozen
    optimizer.step()
    assert not frozen.any() and (optimizer.velocity["w"] == 1).all()


@BOTH
def test_parameters_that_come_or_go_are_refused(kind):
    net = target()
    optimizer = kind(net, lr=0.1)
    optimizer.step()
    net.params["new"] = net.grads["new"] = np.ones(1)
    with pytest.raises(
        RuntimeError,
        match=f"{kind.__name__}: new: added or removed since the optimizer was made; make a new one",
    ):
        optimizer.step()
    del net.params["new"], net.params["b"]
    with pytest.raises(RuntimeError, match=f"{kind.__name__}: b: added or removed"):
        optimizer.step()


def read_only():
    array = np.ones((2, 2))
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "weight, error, message",
    [
        (np.ones((2, 2)).T[:1], ValueError, "w must lie contiguously"),
        (np.ones((4, 2))[::2], ValueError, "w must lie contiguously"),
        (read_only(), ValueError, r"w must be writable and aligned.*use w.copy\(\)"),
        (
            np.frombuffer(bytearray(33), np.uint8)[1:].view(np.float64),
            ValueError,
            "w must be writable and aligned",
        ),
        (np.ones(2, int), DtypeError, "expected the parameter w in float32 or float64, got int"),
        (np.ones(2, np.float16), DtypeError, "got float16"),
        (np.ones(2, complex), DtypeError, "got complex128"),
        (np.ones(2, ">f8"), DtypeError, "got >f8"),
        ([1.0], DtypeError, "as a NumPy array.*got list"),
        (1.0, DtypeError, "as a NumPy array.*got float"),
    ],
    ids=[
        "transposed",
        "strided",
        "read-only",
        "unaligned",
        "int",
        "float16",
        "complex",
        "big-endian",
        "list",
        "number",
    ],
)
def test_a_parameter_that_cannot_be_updated_is_refused(weight, error, message):
    with pytest.raises(error, match=message):
        SGD(SimpleNamespace(params={"w": weight}, grads={}))
    net = target()
    optimizer = Adam(net)
    optimizer.step()
    net.params["w"], net.grads["w"] = weight, np.ones(np.shape(weight))
    with pytest.raises(error, match=message):
        optimizer.step()


def test_parameters_that_share_memory_are_refused():
    whole = np.ones(6)
    for a, b in ((whole, whole), (whole[:4], whole[2:]), (whole, whole[3:4])):
        with pytest.raises(ValueError, match="SGD: the parameters . and . share memory"):
            SGD(SimpleNamespace(params={"a": a, "b": b}, grads={}))
    SGD(SimpleNamespace(params={"a": whole[:3], "b": whole[3:]}, grads={}))


@BOTH
def test_a_net_without_parameters_takes_steps(kind):
    optimizer = kind(SimpleNamespace(params={}, grads={}), clip=1.0)
    optimizer.step()
    assert optimizer.steps == 1


# ---- settings


@DEVICES
@BOTH
def test_a_setting_takes_effect_at_the_next_step(kind, device):
    """As an optimizer that was made with it, and has the same slots and steps."""
    changes = {"lr": 0.5, "weight_decay": 0.25, "clip": 0.5}
    changes |= (
        {"momentum": 0.5, "nesterov": True}
        if kind is SGD
        else {"beta1": 0.5, "beta2": 0.5, "eps": 0.5, "decoupled": False}
    )
    net = target(device)
    optimizer = kind(net, lr=0.1)
    optimizer.step()
    for name, value in changes.items():
        setattr(optimizer, name, value)
        made_so = {known: getattr(optimizer, known) for known in optimizer._settings()}
        twin = copy.deepcopy(net)
        expected = kind(twin, **made_so)
        expected.slots, expected.steps = copy.deepcopy(optimizer.slots), optimizer.steps
        before = net.params["w"].copy()
        optimizer.step()
        expected.step()
        np.testing.assert_array_equal(net.params["w"], twin.params["w"], err_msg=name)
        assert not np.array_equal(net.params["w"], before)


def test_the_rate_can_be_read_and_set():
    net = target()
    optimizer = SGD(net, lr=stepped(1.0, every=1, factor=0.5))
    assert optimizer.lr == 1.0
    optimizer.step()
    assert optimizer.lr == 0.5 == optimizer.rate(1)
    optimizer.lr = 0.125
    assert optimizer.lr == 0.125 == optimizer.rate(99)
    before = net.params["b"].copy()
    optimizer.step()
    np.testing.assert_allclose(before - net.params["b"], 0.125)
    optimizer.lr = lambda step: step
    assert optimizer.lr == 2.0
    optimizer.rate = constant(0.25)
    assert optimizer.lr == 0.25
    # a NumPy number would turn float32 into float64
    optimizer.lr = np.float64(0.1)
    assert type(optimizer.lr) is float
    with pytest.raises(ValueError, match="expected lr of 0 or more, got -0.1"):
        optimizer.lr = -0.1
    with pytest.raises(
        ValueError, match=r"expected rate as a function step -> rate \(a number is set as lr\), got 0.1"
    ):
        optimizer.rate = 0.1
    assert optimizer.lr == 0.1


@pytest.mark.parametrize("value", [-1.0, float("nan"), None, "0.1"])
def test_a_function_that_gives_no_rate_is_refused(value):
    net = target()
    optimizer = SGD(net, lr=lambda step: value)
    with pytest.raises(
        ValueError, match="SGD: expected a rate of 0 or more at step 0, got .* from the function"
    ):
        optimizer.step()
    assert (net.params["w"] == 1).all() and optimizer.steps == 0


@BOTH
@pytest.mark.parametrize("name", ["learning_rate", "weightdecay", "mean", "betas"])
def test_an_unknown_setting_is_refused(kind, name):
    optimizer = kind(target())
    with pytest.raises(
        AttributeError,
        match=rf"{kind.__name__} has no setting '{name}'; it has lr, weight_decay, clip, (momentum|beta1)",
    ):
        setattr(optimizer, name, 0.1)
    assert not hasattr(optimizer, name)


def test_settings_that_do_not_go_together_are_refused():
    optimizer = SGD(target(), momentum=0.9, nesterov=True)
    with pytest.raises(ValueError, match="nesterov=True looks ahead along the momentum"):
        optimizer.momentum = 0
    assert optimizer.momentum == 0.9
    with pytest.raises(ValueError, match="steps as a whole number of 0 or more, got -1"):
        optimizer.steps = -1
    with pytest.raises(ValueError, match="weight_decay of 0 or more, got True"):
        optimizer.weight_decay = True
    assert repr(optimizer) == "SGD(lr=0.01, weight_decay=0.0, clip=None, momentum=0.9, nesterov=True)"


# ---- an optimizer of a user's own


@pytest.mark.parametrize("threads", [1, 2])
@DEVICES
def test_an_optimizer_of_ones_own_trains(device, threads, batch):
    """Signs is SGD on the sign of the gradient where the share is 1: one step of each is the same."""
    x, labels, loss = batch
    net, twin = network().to(device), network().to(device)
    loss = loss.to(device)
    net.train_step(x, labels, loss, Signs(net, lr=0.5, share=1.0), threads)
    twin.train_step(x, labels, loss, SGD(twin, lr=0.0), threads)
    for name, weight in net.params.items():
        expected = twin.params[name] - np.float32(0.5) * np.sign(twin.grads[name])
        np.testing.assert_array_equal(weight, expected)
        assert weight.dtype == np.float32


def test_a_hook_sees_a_gradient_that_is_clipped_and_decayed():
    seen = {}

    class Sees(Optimizer):
        def update(self, name, weight, gradient):
            assert isinstance(gradient, np.ndarray)
            seen[name] = gradient.copy(), self.lr, self.steps
            gradient[...] = 99

    net = SimpleNamespace(
        params={"w": np.ones((3, 2)), "b": np.ones(1), "rank 0": np.array(1.0)},
        grads={"w": np.full((3, 2), 2.0), "b": np.full(1, 2.0), "rank 0": np.array(2.0)},
    )
    optimizer = Sees(net, lr=0.125, weight_decay=0.5, clip=1.0)
    optimizer.step()
    for name in net.params:
        gradient, lr, steps = seen[name]
        np.testing.assert_allclose(gradient, 2 / np.sqrt(8 * 4) + 0.5)
        assert (lr, steps) == (0.125, 0) and (net.grads[name] == 2).all(), (
            "the network's own gradient is not the hook's"
        )


def test_an_optimizer_of_ones_own_is_saved_and_resumed(batch, tmp_path):
    x, labels, loss = batch
    whole = network()
    optimizer = Signs(whole, lr=stepped(0.1, every=2))
    for step in range(6):
        if step == 3:
            checkpoint.write(tmp_path / "run.npz", whole, optimizer)
        whole.train_step(x, labels, loss, optimizer)
    net = network()
    resumed = Signs(net, lr=stepped(0.1, every=2))
    checkpoint.read(tmp_path / "run.npz", net, resumed)
    for _ in range(3):
        net.train_step(x, labels, loss, resumed)
    for name, weight in whole.params.items():
        assert net.params[name].tobytes() == weight.tobytes()


def test_a_subclass_that_defines_update_is_not_updated_by_its_parents_kernels():
    class Still(SGD):
        def update(self, name, weight, gradient, velocity):
            velocity += 1

    net = target()
    optimizer = Still(net, lr=1.0)
    optimizer.step()
    assert (net.params["w"] == 1).all() and (optimizer.velocity["w"] == 1).all() and not optimizer.capturable
    assert SGD(net).capturable and Adam(net).capturable and not Signs(net).capturable


def test_mistakes_in_an_optimizer_of_ones_own_are_named():
    class Forgets(Optimizer):
        slot_names = ("mean",)

    class Returns(Optimizer):
        def update(self, name, weight, gradient):
            return weight - self.lr * gradient

    class Apart(Optimizer):
        def __init__(self, net):
            self.rho = 0.9

    class OneName(Optimizer):
        slot_names = "mean"

    with pytest.raises(
        NotImplementedError, match=r"Forgets must define update\(self, name, weight, gradient, mean\)"
    ):
        Forgets(target()).step()
    with pytest.raises(
        TypeError,
        match=r"Returns: update must change weight in its memory .* return nothing, it returned ndarray",
    ):
        Returns(target()).step()
    with pytest.raises(TypeError, match=r"Apart: its __init__ must call super\(\).__init__\(net, lr, ...\)"):
        Apart(target())
    for taken in ("params", "weight", "a/b"):
        with pytest.raises(
            ValueError, match=f"expected slot_names of words other than .*, got '{taken}'; rename it"
        ):
            type("Taken", (Optimizer,), {"slot_names": (taken,)})(target())
    with pytest.raises(TypeError, match=r"expected slot_names as a tuple of names, such as .*got 'mean'"):
        OneName(target())
    optimizer = Signs(target())
    optimizer.share = 0.5
    with pytest.raises(
        AttributeError,
        match="Signs has no setting 'shares'; it has lr, weight_decay, clip .*makes its attributes",
    ):
        optimizer.shares = 0.5


def test_an_object_with_only_a_step_trains(batch):
    class Plain:
        def __init__(self, net):
            self.net = net

        def step(self):
            for name, weight in self.net.params.items():
                weight -= np.float32(0.1) * self.net.grads[name]

    x, labels, loss = batch
    net, twin = network(), network()
    for _ in range(3):
        net.train_step(x, labels, loss, Plain(net), 2)
        twin.train_step(x, labels, loss, SGD(twin, lr=0.1), 2)
    for name, weight in net.params.items():
        np.testing.assert_allclose(weight, twin.params[name], rtol=0, atol=1e-6)


def stripes(images, seed):
    """Images of horizontal and vertical stripes, with noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=images)
    pictures = rng.integers(0, 120, (images, 1, 8, 8))
    for picture, label in zip(pictures[:, 0], labels, strict=True):
        (picture if label else picture.T)[:, ::2] += 80
    return Dataset("stripes", pictures.astype(np.uint8), labels, ("horizontal", "vertical"), "fit")


@pytest.mark.parametrize("kind", [Adam, Signs])
def test_a_trainer_is_resumed_to_the_same_bits(kind, tmp_path):
    """Stopped in the middle of the second epoch, and gone on with by new objects."""

    def new():
        net = tc.Sequential(F=layers.Flatten(), D=layers.Dense(64, 2, rng=1))
        return Trainer(
            net,
            tc.SoftmaxCrossEntropy(),
            kind(net, lr=cosine(0.02, 12)),
            stripes(100, 0),
            stripes(20, 1),
            Inputs.digits((1, 8, 8), (1, 8, 8)),
            epochs=3,
            batch_size=25,
            threads=1,
        )

    whole, first, second = new(), new(), new()
    whole.run(show=False)
    assert first.run(stop=lambda: first.optimizer.steps == 6, show=False) is False
    first.save(tmp_path / "run.npz")
    second.load(tmp_path / "run.npz")
    assert second.optimizer.steps == 6
    second.run(show=False)
    assert second.optimizer.steps == 12 == whole.optimizer.steps
    for name, weight in whole.net.params.items():
        assert second.net.params[name].tobytes() == weight.tobytes()
    history = whole.progress.history
    assert history[-1]["lr"] == cosine(0.02, 12)(11) and history[-1]["error"] < 0.1


# ---- copies


@BOTH
def test_a_network_that_moves_to_the_reference_is_updated_there(kind, monkeypatch):
    net = target()
    optimizer = kind(net, lr=0.1)
    optimizer.step()
    net.device, called = "reference", []
    reference = load(kind.operation, "reference")
    update = reference.update
    monkeypatch.setattr(reference, "update", lambda *arguments: (called.append(1), update(*arguments))[1])
    optimizer.step()
    assert len(called) == 2
    net.device = "cpu"
    optimizer.step()
    assert len(called) == 2 and optimizer.steps == 3


def test_an_update_takes_as_many_threads_as_are_at_hand():
    net = target()
    optimizer = Adam(net)
    for threads in (2, 2, 1, 2):
        with shared(threads):
            optimizer.step()
        assert len(optimizer._tapes.update_tapes) == threads


@pytest.mark.parametrize("kind", [SGD, Adam, Signs])
def test_copies_have_arrays_of_their_own(kind, batch):
    x, labels, loss = batch
    net = network()
    optimizer = kind(net, lr=0.1)
    net.train_step(x, labels, loss, optimizer)
    twin = copy.deepcopy(optimizer)
    before = copy.deepcopy(net.params)
    twin.net.train_step(x, labels, loss, twin)
    for name, weight in net.params.items():
        np.testing.assert_array_equal(weight, before[name])
    net.train_step(x, labels, loss, optimizer)
    for name, weight in net.params.items():
        np.testing.assert_array_equal(weight, twin.net.params[name])
    with pytest.raises(AttributeError):
        twin.learning_rate = 0.1


def test_the_older_names_stay():
    assert tc.optimizers.SGD is tc.SGD is tc.optim.SGD and tc.Optimizer is Optimizer
    assert tc.optimizers.cosine(0.2, 10)(0) == 0.2
    from tinyconv.optimizers import plateau

    assert plateau is tc.optim.plateau and pickle.loads(pickle.dumps(plateau)) is plateau
