"""AlexNet as the paper has it, to the last parameter; its variants; its gradients at full size; cifar_net."""

import re
from itertools import product

import numpy as np
import pytest

from tinyconv.cli import main
from tinyconv.layers import Conv2d, Dense, Dropout, LocalResponseNorm, MaxPool2d, ReLU, Tanh
from tinyconv.models import PRESETS, alexnet, cifar_net

ROWS = {
    "conv1": ((96, 55, 55), 34_944, 105_415_200),
    "conv2": ((256, 27, 27), 307_456, 223_948_800),
    "conv3": ((384, 13, 13), 885_120, 149_520_384),
    "conv4": ((384, 13, 13), 663_936, 112_140_288),
    "conv5": ((256, 13, 13), 442_624, 74_760_192),
    "fc6": ((4096,), 37_752_832, 37_748_736),
    "fc7": ((4096,), 16_781_312, 16_777_216),
    "fc8": ((1000,), 4_097_000, 4_096_000),
    "norm1": ((96, 55, 55), 0, 0),
    "pool1": ((96, 27, 27), 0, 0),
    "pool2": ((256, 13, 13), 0, 0),
    "pool5": ((256, 6, 6), 0, 0),
    "flat": ((9216,), 0, 0),
}
PRESET = pytest.mark.parametrize("preset", PRESETS["alexnet"])


@pytest.fixture(scope="module")
def net():
    return alexnet(rng=0)


def layers_with_input(net):
    """{name: (layer, shape of its x without the batch)}"""
    found, shape = {}, (1, *net.input_shape)
    for name, layer in net.named_layers.items():
        found[name] = layer, shape[1:]
        shape = layer.output_shape(shape)
    return found


# ---- sizes and first weights


def test_the_papers_numbers(net):
    summary = net.summary()
    rows = {
        name: (shape, parameters, multiply_adds)
        for name, _, shape, parameters, _, multiply_adds in summary.rows
    }
    assert {name: rows[name] for name in ROWS} == ROWS
    assert summary.parameters == 60_965_224 and summary.multiply_adds == 724_406_816
    assert sum(rows[f"conv{k}"][1] for k in range(1, 6)) == 2_334_080
    one = alexnet(groups=1).summary()
    assert one.parameters == 62_378_344 and one.multiply_adds == 1_135_256_096
    assert sum(row[3] for row in one.rows if row[0].startswith("conv")) == 3_747_200


def test_the_papers_first_weights(net):
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"):
        weight, bias = net.params[f"{name}.weight"], net.params[f"{name}.bias"]
        assert weight.dtype == bias.dtype == np.float32
        some = weight.reshape(-1)[:10_000]
        assert abs(some.mean()) < 5e-4 and some.std() == pytest.approx(0.01, rel=0.03)
        assert (bias == (name in ("conv2", "conv4", "conv5", "fc6", "fc7"))).all()


def test_the_papers_layers(net):
    names = list(net.named_layers)
    assert names[:9] == ["conv1", "relu1", "norm1", "pool1", "conv2", "relu2", "norm2", "pool2", "conv3"]
    assert names[-7:] == ["fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "fc8"]
    assert repr(net.named_layers["norm1"]) == "LocalResponseNorm(size=5, k=2.0, alpha=0.0001, beta=0.75)"
    assert repr(net.named_layers["drop6"]) == "Dropout(rate=0.5, scale='test')"
    assert [layer.groups for layer in net.layers if isinstance(layer, Conv2d)] == [1, 2, 1, 2, 2]


@PRESET
def test_presets(preset):
    net = alexnet(classes=10, rng=0, preset=preset)
    torchvision, caffe = preset == "torchvision", preset in ("caffe", "caffenet")
    assert net.summary().parameters == (61_100_840 if torchvision else 60_965_224) - 990 * 4097
    assert net.input_shape == ((3, 227, 227) if caffe else (3, 224, 224))
    norms = [layer for layer in net.layers if isinstance(layer, LocalResponseNorm)]
    assert [(n.k, n.alpha, n.alpha_over_size) for n in norms] == (
        [] if torchvision else 2 * [(1 if caffe else 2, 1e-4, preset != "paper")]
    )
    assert {layer.scale for layer in net.layers if isinstance(layer, Dropout)} == {
        "training" if caffe or torchvision else "test"
    }
    order = {
        "paper": "relu1 norm1 pool1",
        "cuda-convnet": "norm1 pool1 relu1",
        "caffe": "relu1 norm1 pool1",
        "caffenet": "relu1 pool1 norm1",
        "torchvision": "relu1 pool1 conv2",
    }[preset]
    assert list(net.named_layers)[1:4] == order.split()
    bias = {
        name.partition(".")[0]: set(value.tolist())
        for name, value in net.params.items()
        if name.endswith("bias")
    }
    if torchvision:
        assert list(net.named_layers)[-7:] == ["drop6", "fc6", "relu6", "drop7", "fc7", "relu7", "fc8"]
        assert (
            np.abs(net.params["fc7.weight"]).max() == pytest.approx(1 / 64, rel=1e-4)
            and len(bias["fc7"]) > 4000
        )
    else:
        one = np.float32(0.1) if preset == "caffe" else 1
        assert bias == {
            name: {one if name in ("conv2", "conv4", "conv5", "fc6", "fc7") else 0} for name in bias
        }
        deviation = {
            name: net.params[f"{name}.weight"].reshape(-1)[:10_000].std() for name in ("conv3", "fc6")
        }
        expected = {"conv3": 0.03 if preset == "cuda-convnet" else 0.01, "fc6": 0.005 if caffe else 0.01}
        assert deviation == pytest.approx(expected, rel=0.03)


def test_what_cannot_be():
    with pytest.raises(
        ValueError, match="the preset 'paper', 'cuda-convnet', 'caffe', 'caffenet', 'torchvision', got 'vgg'"
    ):
        alexnet(preset="vgg")
    with pytest.raises(ValueError, match="groups=2 or 1 with the preset 'paper', got 3"):
        alexnet(3)
    with pytest.raises(ValueError, match="groups=1 with the preset 'torchvision', got 2"):
        alexnet(2, preset="torchvision")
    with pytest.raises(ValueError, match="'relu' or 'tanh', got 'sigmoid'"):
        cifar_net("sigmoid")
    with pytest.raises(ValueError, match="cifar_net: expected norm True or False, got 'foo'"):
        cifar_net(norm="foo")
    for model in (alexnet, cifar_net):
        with pytest.raises(ValueError, match=f"{model.__name__}: expected classes of 1 or more, got 0"):
            model(classes=0)


def test_summary_prints_what_differs(capsys):
    assert main(["summary", "alexnet", "--diff", "paper,caffe"]) == 0
    rows = {line.split("  ")[0]: line.split()[-2:] for line in capsys.readouterr().out.splitlines()[2:]}
    assert (
        rows["image side"] == ["224", "227"]
        and rows["norm alpha over size"] == ["no", "yes"]
        and rows["dropout scale"] == ["test", "training"]
    )
    assert not {"maps", "groups", "after conv1", "parameters", "fc6"} & set(rows)
    assert main(["summary", "alexnet", "--diff", "caffe,torchvision"]) == 0
    out = capsys.readouterr().out
    assert "60,965,224" in out and "61,100,840" in out and "64x55x55, 23,296 parameters" in out
    assert re.search(r"norm k +1.0 +-\n", out) and re.search(r"norm alpha over size +yes +-\n", out)
    assert (
        main(["summary", "alexnet", "--preset", "torchvision"]) == 0
        and "61,100,840" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["alexnet", "--diff", "paper,vgg"],
            "expected presets of alexnet: paper, cuda-convnet, caffe, caffenet, torchvision, got 'vgg'",
        ),
        (["alexnet", "--preset", "vgg"], "got 'vgg'"),
        (["alexnet", "--diff", "paper"], "expected two presets or more"),
        (["lenet5", "--preset", "paper"], "lenet5 has no presets; those that have: alexnet: paper"),
    ],
)
def test_summary_of_what_is_not_there(arguments, message, capsys):
    assert main(["summary", *arguments]) == 1 and message in capsys.readouterr().err


@pytest.mark.parametrize("activation, Activation", [("relu", ReLU), ("tanh", Tanh)])
@pytest.mark.parametrize("norm", [True, False])
def test_cifar_net(activation, Activation, norm, rng):
    net = cifar_net(activation, norm, rng=0)
    summary = net.summary()
    assert summary.parameters == 89_578 and summary.multiply_adds == 12_298_240
    assert sum(isinstance(layer, Activation) for layer in net.layers) == 3
    assert sum(isinstance(layer, LocalResponseNorm) for layer in net.layers) == (2 if norm else 0)
    trace = net.trace(rng.standard_normal((16, 3, 32, 32)).astype(np.float32))
    assert all(
        0.2 < np.sqrt(np.mean(value**2)) < 4 for value in trace.values()
    )  # neither vanishes nor explodes
    assert cifar_net(classes=7).forward(trace["x"]).shape == (16, 7)


# ---- gradients at full size, each element summed up as its contract page says


def padded(layer, x):
    (PH, PW), (SH, SW) = layer.padding, layer.stride
    return np.pad(x, ((0, 0), (0, 0), (PH, PH + SH), (PW, PW + SW)))  # with room for a window more: ceil


class OfConv2d:
    def __init__(self, layer, x, dy):
        self.layer, self.x, self.dy, (self.S, _), (self.P, _) = (
            layer,
            padded(layer, x),
            dy,
            layer.stride,
            layer.padding,
        )
        self.weight, self.bias = (layer.params[name].astype(np.float64) for name in ("weight", "bias"))
        (self.O, self.C, self.K, _), self.groups = self.weight.shape, layer.groups  # C: input maps of a group

    def y(self, n, o, i, j):
        first, h, w = o // (self.O // self.groups) * self.C, i * self.S, j * self.S
        return (
            self.bias[o]
            + (self.weight[o] * self.x[n, first : first + self.C, h : h + self.K, w : w + self.K]).sum()
        )

    def dx(self, n, c, h, w):
        of_group, total = (
            slice(c // self.C * (self.O // self.groups), (c // self.C + 1) * (self.O // self.groups)),
            0.0,
        )
        for u, v in product(range(self.K), repeat=2):
            (i, rest_i), (j, rest_j) = divmod(h + self.P - u, self.S), divmod(w + self.P - v, self.S)
            if rest_i == rest_j == 0 and 0 <= i < self.dy.shape[2] and 0 <= j < self.dy.shape[3]:
                total += self.weight[of_group, c % self.C, u, v] @ self.dy[n, of_group, i, j]
        return total

    def dweight(self, o, c, u, v):
        c, (OH, OW) = o // (self.O // self.groups) * self.C + c, self.dy.shape[2:]
        return (
            self.dy[:, o] * self.x[:, c, u : u + self.S * OH : self.S, v : v + self.S * OW : self.S]
        ).sum()

    def dbias(self, o):
        return self.dy[:, o].sum()


class OfDense:
    def __init__(self, layer, x, dy):
        self.x, self.dy, self.weight, self.bias = x, dy, layer.params["weight"], layer.params["bias"]

    def y(self, n, o):
        return self.bias[o] + self.weight[o].astype(np.float64) @ self.x[n]

    def dx(self, n, c):
        return self.weight[:, c].astype(np.float64) @ self.dy[n]

    def dweight(self, o, c):
        return self.dy[:, o] @ self.x[:, c]

    def dbias(self, o):
        return self.dy[:, o].sum()


class OfMaxPool2d:
    def __init__(self, layer, x, dy):
        self.x, self.dy = x, dy

    def y(self, n, c, i, j):
        return self.x[n, c, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max()

    def dx(self, n, c, h, w):
        total, (OH, OW) = 0.0, self.dy.shape[2:]
        for i, j in product(
            range(max(0, h // 2 - 1), min(OH, h // 2 + 1)), range(max(0, w // 2 - 1), min(OW, w // 2 + 1))
        ):
            if self.y(n, c, i, j) == self.x[n, c, h, w]:
                total += self.dy[n, c, i, j]
        return total


class OfLocalResponseNorm:
    def __init__(self, layer, x, dy):
        self.x, self.dy, self.k, self.alpha, self.beta = x, dy, layer.k, layer.alpha, layer.beta

    def near(self, c):
        return range(max(0, c - 2), min(self.x.shape[1] - 1, c + 2) + 1)

    def d(self, n, c, i, j):
        return self.k + self.alpha * sum(self.x[n, m, i, j] ** 2 for m in self.near(c))

    def y(self, n, c, i, j):
        return self.x[n, c, i, j] * self.d(n, c, i, j) ** -self.beta

    def dx(self, n, c, i, j):
        total = sum(
            self.dy[n, m, i, j] * self.x[n, m, i, j] * self.d(n, m, i, j) ** (-self.beta - 1)
            for m in self.near(c)
        )
        return (
            self.dy[n, c, i, j] * self.d(n, c, i, j) ** -self.beta
            - 2 * self.alpha * self.beta * self.x[n, c, i, j] * total
        )


SUMS = {Conv2d: OfConv2d, Dense: OfDense, MaxPool2d: OfMaxPool2d, LocalResponseNorm: OfLocalResponseNorm}
SIZED = [
    "conv1",
    "norm1",
    "pool1",
    "conv2",
    "norm2",
    "pool2",
    "conv3",
    "conv4",
    "conv5",
    "pool5",
    "fc6",
    "fc7",
    "fc8",
]


def numbers(layer, shape, rng):
    """Normalised are sums of thousands of pixels of up to 128: so large that alpha = 1e-4 matters."""
    return rng.standard_normal(shape) * (30 if isinstance(layer, LocalResponseNorm) else 1)


@pytest.mark.parametrize("name", [*SIZED, "ceil"])
@pytest.mark.parametrize("N", [1, 17], ids=["one image", "17 images"])
def test_sampled_elements_in_float64(net, name, N, rng):
    ceil = Conv2d(3, 96, 11, stride=4, ceil=True, rng=0)
    layer, shape = (ceil, net.input_shape) if name == "ceil" else layers_with_input(net)[name]
    x = numbers(layer, (N, *shape), rng)
    y = layer.forward(x)
    dy = rng.standard_normal(y.shape)
    arrays = {"y": y, "dx": layer.backward(dy), **{f"d{key}": value for key, value in layer.grads.items()}}
    sums = SUMS[type(layer)](layer, x, dy)
    for array, found in arrays.items():
        places = [np.unravel_index(place, found.shape) for place in rng.integers(found.size, size=40)]
        places += [tuple(size - 1 for size in found.shape), (0,) * found.ndim]  # and the corners
        expected = np.array([getattr(sums, array)(*place) for place in places])
        typical = np.sqrt(np.mean(expected**2))
        assert typical > 0, array
        np.testing.assert_allclose(
            [found[place] for place in places], expected, rtol=0, atol=1e-11 * typical, err_msg=array
        )
    layer.grads = {}


def linear_part(layer, x):
    """What a layer does to x as a linear map: to a small change of x for a normalisation, which is not
    linear; in float64.
    """
    if not isinstance(layer, LocalResponseNorm):
        return None
    h, x, layer = 1e-4, x.astype(np.float64), layer.replica()
    return (layer.forward(x * (1 + h)) - layer.forward(x * (1 - h))) / (2 * h)  # along x itself


def test_adjoint_identity_of_every_layer(net, rng):
    """<dy, L(x)> = <dx, x> (and = <dweight, weight>) in float32 at batch 16, for 224x224 images, with the
    biases' share taken off.

    Each product is one of n random terms that are off by the rounding of sums of K terms, eps sqrt(K):
    together by eps sqrt(K n) of a term.
    """
    checked = []
    for name, (layer, shape) in layers_with_input(net).items():
        x = numbers(layer, (16, *shape), rng).astype(np.float32)
        y = layer.forward(x, training=True)
        dy = rng.standard_normal(y.shape).astype(np.float32)
        dx, change = layer.backward(dy), linear_part(layer, x)
        inner = lambda a, b: np.einsum("i,i", a.reshape(-1), b.reshape(-1), dtype=np.float64)
        products = {"y": inner(dy, y if change is None else change), "dx": inner(dx, x)}
        K = 1
        if layer.params:
            products["y"] -= inner(layer.grads["bias"], layer.params["bias"])
            products["dweight"] = inner(layer.grads["weight"], layer.params["weight"])
            K = layer.params["weight"][0].size
        tolerance = (
            8
            * np.finfo(np.float32).eps
            * np.sqrt(K * y.size)
            * float(np.sqrt(np.mean(y.astype(np.float64) ** 2)))
        )
        for array, value in products.items():
            assert abs(value - products["y"]) < tolerance, (
                f"{name}: {array} {value} against {products['y']}, tolerance {tolerance:.1e}"
            )
        assert abs(products["y"]) > 100 * tolerance, (
            f"{name}: {products['y']} tells nothing within {tolerance:.1e}"
        )
        checked.append(name)
        layer.grads, layer.cache = {}, None
    assert checked == list(net.named_layers) and len(checked) == 23
