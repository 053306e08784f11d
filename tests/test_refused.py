"""What a user brings is computed right, or refused by name: shapes of parameters, layers that nothing trains,
recordings that lie.
"""

import copy

import numpy as np
import pytest
from conftest import EVERYWHERE

import tinyconv as tc
from tinyconv import execution
from tinyconv.device import move
from tinyconv.errors import DtypeError, RecordingError, ShapeError
from tinyconv.layers import RBF, Conv2d, Dense, Dropout, Flatten, ReLU, Subsample2d, TableConv2d, Tanh
from tinyconv.network import walk

LOSS = tc.SoftmaxCrossEntropy()


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


WRONG = [
    (lambda: Conv2d(6, 16, 3, rng=0), {"bias": zeros(1)}, r"expected bias of shape \(16,\), got \(1,\)"),
    (
        lambda: Conv2d(6, 16, 3, rng=0),
        {"weight": zeros(32, 6, 3, 3)},
        r"expected weight of shape \(16, 6, 3, 3\), got \(32, 6, 3, 3\)",
    ),
    (
        lambda: Conv2d(6, 16, 3, groups=2, rng=0),
        {"weight": zeros(16, 6, 3, 3)},
        r"expected weight of shape \(16, 3, 3, 3\)",
    ),
    (
        lambda: Conv2d(6, 16, 8, rng=0),
        {"weight": zeros(16, 6, 4, 4)},
        r"expected weight of shape \(16, 6, 8, 8\)",
    ),
    (lambda: Dense(384, 16, rng=0), {"bias": zeros(3)}, r"expected bias of shape \(16,\), got \(3,\)"),
    (
        lambda: Dense(384, 16, rng=0),
        {"weight": zeros(16 * 384)},
        r"expected weight of shape \(16, 384\), got \(6144,\)",
    ),
    (
        lambda: TableConv2d(np.ones((16, 6)), 3, rng=0),
        {"weight": zeros(3, 3, 3)},
        r"expected weight of shape \(96, 3, 3\), got \(3, 3, 3\)",
    ),
    (lambda: TableConv2d(np.ones((16, 6)), 3, rng=0), {"weight": zeros(16, 6, 3, 3)}, r"got \(16, 6, 3, 3\)"),
    (
        lambda: Subsample2d(6, rng=0),
        {"coefficient": zeros(2)},
        r"expected coefficient of shape \(6,\), got \(2,\)",
    ),
    (lambda: Subsample2d(6, rng=0), {"bias": zeros(6, 1)}, r"expected bias of shape \(6,\), got \(6, 1\)"),
    (
        lambda: RBF(np.ones((10, 384))),
        {"centers": zeros(4, 384)},
        r"expected centers of shape \(10, 384\), got \(4, 384\)",
    ),
    (
        lambda: Dropout(0.5, rng=0),
        {"seed": np.zeros(3, np.uint64)},
        r"expected the state seed of shape \(\), got \(3,\)",
    ),
]


def put(layer, arrays):
    for name, array in arrays.items():
        (layer.state if name in layer.state else layer.params)[name] = move(array, layer.device)


@EVERYWHERE
@pytest.mark.parametrize(
    "make, arrays, sentence",
    WRONG,
    ids=[f"{make().__class__.__name__} {next(iter(arrays))}" for make, arrays, _ in WRONG],
)
def test_parameters_of_another_shape_are_refused(make, arrays, sentence, device):
    """By hand in one layer, in a network whose step is recorded already, and in one that predicts."""
    x = np.random.default_rng(0).standard_normal((3 if device == "cuda" else 20, 6, 8, 8)).astype(np.float32)
    layer = make().to(device)
    x = x.reshape(len(x), -1) if isinstance(layer, (Dense, RBF)) else x
    layer.forward(x, training=True)
    put(layer, arrays)
    with pytest.raises(ShapeError, match=sentence):
        layer.forward(x, training=True)
    if device == "cuda":
        return
    layer = make().to(device)
    net = tc.Sequential(
        L=layer, F=Flatten(), D=Dense(int(np.prod(layer.output_shape(x.shape)[1:])), 4, rng=0)
    ).to(device)
    loss, labels = tc.SoftmaxCrossEntropy().to(device), np.arange(20) % 4
    net.train_step(x, labels, loss, tc.SGD(net))
    put(layer, arrays)
    with pytest.raises(ShapeError, match=sentence):
        net.train_step(x, labels, loss, tc.SGD(net))
    if "seed" not in arrays:
        with pytest.raises(ShapeError, match=sentence):
            execution.forward(net, x)


@pytest.mark.parametrize(
    "array, sentence",
    [
        ([[1.0]], "expected weight as a NumPy array, got list"),
        (np.zeros((4, 3), int), "expected weight in float32 or float64, got int64"),
        (np.zeros((4, 3), complex), "got complex128"),
        (np.zeros((4, 3), object), "got object"),
        (np.zeros((4, 3), np.float16), "got float16"),
    ],
    ids=["list", "int", "complex", "object", "float16"],
)
def test_parameters_that_are_no_numbers_of_ours_are_refused(array, sentence):
    net, x = tc.Sequential(D=Dense(3, 4, rng=0)), np.ones((20, 3), np.float32)
    net.named_layers["D"].params["weight"] = array
    with pytest.raises(DtypeError, match=sentence):
        net.forward(x)
    with pytest.raises(DtypeError, match=sentence):
        net.train_step(x, np.arange(20) % 4, LOSS, None)


def test_a_missing_parameter_is_named():
    layer = Conv2d(1, 2, 3, rng=0)
    del layer.params["bias"]
    with pytest.raises(ShapeError, match="expected bias of shape .* and there is none"):
        layer.forward(np.ones((1, 1, 4, 4), np.float32))


def test_a_parameter_put_into_a_network_reaches_its_layer():
    inner = tc.Sequential(D=Dense(3, 4, rng=0))
    net, weight = tc.Sequential(S=inner), np.ones((4, 3), np.float32)
    net.params["S.D.weight"] = weight
    assert inner.layers[0].params["weight"] is weight
    np.testing.assert_allclose(
        net.forward(np.ones((1, 3), np.float32)), 3 + inner.layers[0].params["bias"][None]
    )
    net.params.update({"S.D.bias": zeros(4)})
    np.testing.assert_array_equal(net.forward(np.ones((1, 3), np.float32)), [[3, 3, 3, 3]])
    with pytest.raises(KeyError, match="'S.D.wieght' is none of S.D.weight, S.D.bias"):
        net.params["S.D.wieght"] = weight
    for change in (
        lambda: net.params.pop("S.D.weight"),
        lambda: net.params.clear(),
        lambda: net.params.setdefault("new", weight),
    ):
        with pytest.raises(KeyError, match="none can be added or taken away"):
            change()
    net.params["S.D.weight"] = zeros(4, 4)
    with pytest.raises(ShapeError, match=r"expected weight of shape \(4, 3\), got \(4, 4\)"):
        net.forward(np.ones((1, 3), np.float32))


class Attributes:
    """self.W and self.dW, no params."""

    def __init__(self):
        self.b = np.zeros(4, np.float32)

    def forward(self, x):
        return x + self.b

    def backward(self, dy):
        self.db = dy.sum(0)
        return dy


class AttributesBeside(Attributes):
    """One parameter in params, another one not."""

    def __init__(self):
        super().__init__()
        self.params, self.grads = {"c": np.ones(1, np.float32)}, {}

    def backward(self, dy):
        self.grads["c"] = np.zeros(1, np.float32)
        return super().backward(dy)


class InAList(Attributes):
    def __init__(self):
        self.weights = [np.zeros(4, np.float32)]

    def forward(self, x):
        return x + self.weights[0]

    def backward(self, dy):
        self.gradients = [dy.sum(0)]
        return dy


class WithinAnother(Attributes):
    def __init__(self):
        self.inner = Attributes()

    def forward(self, x):
        return self.inner.forward(x)

    def backward(self, dy):
        return self.inner.backward(dy)


class OnOurBase(tc.Layer):
    def __init__(self):
        super().__init__()
        self.W = np.zeros(4, np.float32)

    def _forward(self, x, training):
        return x + self.W

    def _backward_input(self, dy):
        self.gW = dy.sum(0)
        return dy


class HoldsALayer(tc.Layer):
    def __init__(self):
        super().__init__()
        self.dense = Dense(4, 4, rng=0)

    def _forward(self, x, training):
        return self.dense.forward(x)

    def _backward_input(self, dy):
        return self.dense.backward(dy)


class AddsOnSequential(tc.Sequential):
    def __init__(self):
        super().__init__(Tanh())
        self.scale = np.ones(4, np.float32)

    def _forward(self, x, training):
        return super()._forward(x, training) * self.scale


@pytest.mark.parametrize(
    "make, name",
    [
        (Attributes, "self.b, and its gradient in db"),
        (AttributesBeside, "self.b"),
        (InAList, r"self.weights\[0\]"),
        (WithinAnother, "self.inner.b"),
        (OnOurBase, "self.W, and its gradient in gW"),
        (HoldsALayer, r"self.dense.params\['weight'\]"),
        (AddsOnSequential, "self.scale"),
    ],
)
def test_a_layer_that_nothing_trains_is_refused(make, name):
    net, x = (
        tc.Sequential(D=Dense(6, 4, rng=0), B=make()),
        np.random.default_rng(0).standard_normal((20, 6)).astype(np.float32),
    )
    before = {key: value.copy() for key, value in net.params.items()}
    with pytest.raises(TypeError, match=f"holds {name}.*put what is trained into self.params"):
        net.train_step(x, np.arange(20) % 4, LOSS, tc.SGD(net, lr=0.1))
    for key, value in before.items():
        np.testing.assert_array_equal(net.params[key], value)
    assert net.forward(x).shape == (20, 4)  # to predict with it is no mistake


class Constants(Attributes):
    """What is fixed says so, and intermediate arrays are no parameters, even with a gradient beside them."""

    def __init__(self):
        self.shift = np.full(4, 0.5, np.float32)
        self.state = {"shift": self.shift}
        self.h = np.zeros((20, 4), np.float32)

    def forward(self, x):
        self.x, self.h = x, x + self.shift
        return np.tanh(self.h)

    def backward(self, dy):
        self.dh = dy * (1 - np.tanh(self.h) ** 2)
        self.dx = self.dh
        return self.dx


class SaysItHasNone(Attributes):
    def __init__(self):
        self.params, self.constant = {}, np.ones(4, np.float32)

    def forward(self, x):
        return x * self.constant

    def backward(self, dy):
        return dy * self.constant


@pytest.mark.parametrize("make", [Constants, SaysItHasNone])
def test_constants_and_caches_are_no_parameters(make):
    net = tc.Sequential(D=Dense(6, 4, rng=0), B=make())
    x = np.random.default_rng(0).standard_normal((20, 6)).astype(np.float32)
    optimizer = tc.SGD(net, lr=0.1)
    first, second = (net.train_step(x, np.arange(20) % 4, LOSS, optimizer) for _ in range(2))
    assert second < first


class Lies(Tanh):
    """Says that it may be recorded, and has a line of NumPy."""

    recordable = per_image = True

    def _forward(self, x, training):
        y = super()._forward(x, training)
        y.data[...] *= 2
        return y


class LiesOnTheWayBack(Tanh):
    recordable = per_image = True

    def _backward_input(self, dy):
        dx = super()._backward_input(dy)
        dx.data[...] *= 2
        return dx


class LiesAboutItsState(Tanh):
    recordable = per_image = True

    def __init__(self):
        super().__init__()
        self.state["calls"] = np.zeros(1)

    def _forward(self, x, training):
        self.state["calls"] = self.state["calls"] + training
        return super()._forward(x, training)


class AddsInNumPy(tc.Sequential):
    recordable = per_image = True

    def _forward(self, x, training):
        y = super()._forward(x, training)
        y.data[...] += x.data
        return y


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("whole", [False, True], ids=["images", "layers"])
@pytest.mark.parametrize(
    "make, name",
    [
        (Lies, "S.L = Lies"),
        (LiesOnTheWayBack, "S.L = LiesOnTheWayBack"),
        (LiesAboutItsState, "S.L"),
        (lambda: AddsInNumPy(Tanh()), "S.L = AddsInNumPy"),
    ],
)
def test_a_layer_that_says_recordable_and_is_not_is_named(make, name, whole, dtype):
    more = {"drop": Dropout(0.1, rng=0)} if whole else {}
    net = tc.Sequential(
        C=Dense(6, 4, rng=0), S=tc.Sequential(T=Tanh(), L=make()), **more, D=Dense(4, 4, rng=1)
    ).astype(dtype)
    x = np.random.default_rng(0).standard_normal((40, 6)).astype(dtype)
    before = copy.deepcopy(dict(net.state))
    with pytest.raises(
        RecordingError, match=rf"^{name}.*says recordable = True, but its recorded step differs"
    ):
        net.train_step(x, np.arange(40) % 4, LOSS, tc.SGD(net))
    for key, value in before.items():
        np.testing.assert_array_equal(net.state[key], value)


@pytest.mark.parametrize("N", [40, 17, 3, 1])
def test_a_layer_that_says_nothing_of_single_images_sees_the_whole_batch(N):
    seen = []

    class Looks(Tanh):
        recordable = True  # and per_image is not said

        def _forward(self, x, training):
            seen.append(x.shape[0])
            return super()._forward(x, training)

    net = tc.Sequential(D=Dense(6, 5, rng=0), L=Looks(), E=Dense(5, 4, rng=1))
    x = np.random.default_rng(0).standard_normal((N, 6)).astype(np.float32)
    assert execution.strategy(net, x)[0] == "layers"
    net.train_step(x, np.arange(N) % 4, LOSS, tc.SGD(net))
    assert seen and set(seen) == {N}


def test_a_subclass_does_not_inherit_what_its_base_says():
    class Clipped(Dense):
        def _parameter(self, name, like, optional=False):
            return np.clip(super()._parameter(name, like, optional), -0.1, 0.1)

    net = tc.Sequential(Clipped(6, 4, rng=0))
    name, why = execution.strategy(net, np.zeros((20, 6), np.float32))
    assert name == "calls" and "Clipped does not say recordable = True" in why
    assert "computed layer by layer, since 0_Clipped" in str(net.summary((6,)))


def test_backward_of_a_strangers_layer_must_give_the_shape_of_x():
    class Wrong:
        params, grads = {}, {}

        def forward(self, x):
            return x

        def backward(self, dy):
            return dy.sum(axis=0)

    net = tc.Sequential(Dense(6, 4, rng=0), Wrong())
    with pytest.raises(ShapeError, match=r"backward gave dx of shape \(4,\); expected \(20, 4\), that of x"):
        net.train_step(np.ones((20, 6), np.float32), np.arange(20) % 4, LOSS, tc.SGD(net))


def test_residual_needs_two_arrays_of_one_shape():
    net = tc.Residual(Conv2d(3, 4, 3, padding=1, rng=0))
    with pytest.raises(
        ShapeError,
        match=r"expected two arrays of one shape to add, got \(2, 4, 5, 5\) and \(2, 3, 5, 5\).*give a shortcut",  # noqa: E501
    ):
        net.forward(np.ones((2, 3, 5, 5), np.float32))
    with pytest.raises(ShapeError, match="make the shortcut give the shape"):
        tc.Residual(ReLU(), Conv2d(3, 2, 1)).output_shape((1, 3, 4, 4))


def test_a_nested_network_is_counted_once_and_whole():
    """Three dense layers, two of them in a Sequential of their own: 24 multiply-adds each."""
    net = tc.Sequential(
        A=Dense(4, 6, rng=0), S=tc.Sequential(B=Dense(6, 4, rng=1), C=Dense(4, 6, rng=2)), input_shape=(4,)
    )
    summary = net.summary()
    assert summary.multiply_adds == 72 == net.multiply_adds((1, 4)) and summary.parameters == 72 + 16
    assert [row[0] for row in summary.rows] == ["A", "S.B", "S.C"]


def test_a_block_that_changes_the_shape_is_walked():
    block = tc.Residual(
        tc.Sequential(
            a=Conv2d(2, 4, 3, stride=2, padding=1, rng=0), r=ReLU(), b=Conv2d(4, 4, 3, padding=1, rng=1)
        ),
        Conv2d(2, 4, 1, stride=2, rng=2),
    )
    net = tc.Sequential(block=block, F=Flatten(), D=Dense(64, 3, rng=3), input_shape=(2, 8, 8))
    nodes = {node.name: node for node in walk(net, (5, 2, 8, 8))}
    assert nodes["block"].x_shape == nodes["block"].y_shape == (5, 4, 4, 4)
    assert nodes["block"].sources == ("block.body.b", "block.shortcut") and nodes["F"].sources == ("block",)
    assert nodes["block.shortcut"].sources == nodes["block.body.a"].sources == ("x",)
    assert net.summary().multiply_adds == 16 * (4 * 2 * 9 + 4 * 4 * 9 + 4 * 2) + 64 * 3
    x = np.random.default_rng(0).standard_normal((5, 2, 8, 8)).astype(np.float32)
    net.train_step(x, np.arange(5) % 3, LOSS, tc.SGD(net))
    assert execution.strategy(net, x).name == "images"
    with pytest.raises(ShapeError, match=r"^Conv2d\(in_channels=2.*expected x of shape \(N, 2, H, W\)"):
        net.summary((3, 8, 8))


def test_fusing_looks_at_edges():
    from tinyconv.execution.fusing import fused

    block = tc.Residual(
        tc.Sequential(a=Conv2d(2, 2, 3, padding=1, rng=0), r=ReLU(), b=Conv2d(2, 2, 3, padding=1, rng=1))
    )
    net = fused(
        tc.Sequential(
            C=Conv2d(1, 2, 3, padding=1, rng=2),
            R=ReLU(),
            block=block,
            S=ReLU(),
            F=Flatten(),
            D=Dense(32, 3, rng=3),
        ).replica(),
        (3, 1, 4, 4),
    )
    C, R, block, S, F, D = net.layers
    a, r, b = block.named_layers["body"].layers
    assert C.fused == ("relu behind",) and R.fused == (
        "before",
    )  # two ways lead from R on: its way back is its own
    assert a.fused == ("relu behind",) and r.fused == ("before", "behind") and b.fused == ("relu before",)
    assert S.fused == () and D.fused == ()  # a sum stands before S
