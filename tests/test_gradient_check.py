"""The checker itself: it passes what is right, on a user's own class too, and fails what is wrong."""

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.layers import Conv2d, Dense, ReLU, ScaledTanh


class Square:
    """y = weight x^2, written by a user: no base class, no training flag."""

    supports_complex_step = True

    def __init__(self):
        self.params, self.grads = {"weight": np.array([0.5, -2.0, 3.0])}, {}

    def forward(self, x):
        self.x = x
        return self.params["weight"] * x**2

    def backward(self, dy):
        self.grads = {"weight": (dy * self.x**2).sum(axis=0)}
        return dy * 2 * self.params["weight"] * self.x


def broken(**methods):
    return type("Broken", (Square,), methods)()


X = np.random.default_rng(5).standard_normal((4, 3))


def test_a_users_class_passes(capsys):
    report = tc.check_gradients(Square(), X)
    assert report.ok and [(row.array, row.oracle) for row in report.rows] == [
        ("dx", "complex"),
        ("dweight", "complex"),
    ]
    assert report.largest_error("complex") < 1e-14
    assert "dweight" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name, backward",
    {
        "sign": lambda self, dy: Square.backward(self, -dy),
        "factor": lambda self, dy: 2 * Square.backward(self, dy),
        "ignores dy": lambda self, dy: Square.backward(self, np.ones_like(dy)),
        "flips dy": lambda self, dy: Square.backward(self, dy[::-1]),
        "one element": lambda self, dy: Square.backward(self, dy) + 1e-4 * np.eye(4, 3),
        "not a number": lambda self, dy: Square.backward(self, dy) * np.nan,
    }.items(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_dx_is_found(name, backward):
    report = tc.check_gradients(broken(backward=backward), X, quiet=True)
    assert not report.ok and any(row.array == "dx" and not row.ok for row in report.rows)


def test_the_worst_element_is_named():
    def backward(self, dy):
        dx = Square.backward(self, dy)
        dx[2, 1] += 10
        return dx

    row = tc.check_gradients(broken(backward=backward), X, quiet=True).rows[0]
    assert row.index == (2, 1) and row.backward - row.expected == pytest.approx(10)
    assert "[2, 1]" in str(tc.check_gradients(broken(backward=backward), X, quiet=True))


def test_wrong_parameter_gradients_are_found():
    def sums_wrong(self, dy):
        dx = Square.backward(self, dy)
        self.grads["weight"] /= len(dy)
        return dx

    def missing(self, dy):
        dx = Square.backward(self, dy)
        self.grads = {}
        return dx

    def misshapen(self, dy):
        dx = Square.backward(self, dy)
        self.grads["weight"] = self.grads["weight"][:, None]
        return dx

    for backward, words in (
        (sums_wrong, "WRONG, above"),
        (missing, r"expected a gradient of shape \(3,\), got none"),
        (misshapen, r"got \(3, 1\)"),
    ):
        with pytest.raises(AssertionError, match=f"wrong gradients(.|\n)*dweight.*{words}"):
            tc.assert_gradients(broken(backward=backward), X)


@pytest.mark.parametrize(
    "method, kernel",
    [
        ("_backward_input", lambda self, dy: -Conv2d._backward_input(self, dy)),
        ("_backward_input", lambda self, dy: Conv2d._backward_input(self, dy[:, :, ::-1, ::-1].copy())),
        (
            "_backward_parameters",
            lambda self, dy: {
                name: 1.001 * grad for name, grad in Conv2d._backward_parameters(self, dy).items()
            },
        ),
    ],
    ids=["sign", "flipped", "a thousandth"],
)
def test_a_broken_layer_of_our_own_is_found(method, kernel, rng):
    layer = type("Broken", (Conv2d,), {method: kernel})(1, 2, 3, rng=rng).to("reference")
    assert not tc.check_gradients(layer, rng.standard_normal((2, 1, 5, 5)), quiet=True).ok


def test_a_sample_is_seeded_and_as_large_as_asked(rng):
    layer, x = Dense(20, 10, rng=0), rng.standard_normal((3, 20))
    report = tc.check_gradients(layer, x, sample=7, seed=3, quiet=True)
    assert [(row.checked, row.size) for row in report.rows[:3]] == [(7, 60), (7, 200), (7, 10)] and report.ok
    assert report == tc.check_gradients(layer, x, sample=7, seed=3, quiet=True)
    assert report != tc.check_gradients(layer, x, sample=7, seed=4, quiet=True)


def test_the_object_stays_as_it_is(rng):
    net = tc.Sequential(Dense(4, 3, rng=0), ScaledTanh())
    before = {name: value.copy() for name, value in net.params.items()}
    tc.check_gradients(net, rng.standard_normal((2, 4)), quiet=True)
    assert net.device == "cpu" and not net.grads
    for name, value in before.items():
        assert net.params[name].dtype == np.float32
        np.testing.assert_array_equal(net.params[name], value)


def test_a_kink_nearby_is_no_false_alarm():
    x = np.array([[1e-3, -2e-4, 0.5, -1.0]])
    assert tc.check_gradients(ReLU(), x, quiet=True).ok


def test_zero_compared_with_zero_is_refused_and_not_called_wrong():
    """A bias before the mean is taken off: exact zero, of which backward and every oracle see
    rounding alone.
    """

    class Centred(Square):
        def forward(self, x):
            self.x = x
            y = self.params["weight"][0] + 0.37 * x
            return y - y.mean()

        def backward(self, dy):
            dy = dy - dy.mean()
            self.grads = {"weight": np.array([dy.sum(), 0, 0])}
            return 0.37 * dy

    report = tc.check_gradients(Centred(), X, quiet=True)
    assert report.verdict == "refused" and [(found.array, found.name) for found in report.refusals] == [
        ("dweight", "zero")
    ]
    assert (
        "forward does not depend on weight here: zero was compared with zero" in str(report)
        and report.rows[0].ok
    )


def test_objects_and_points_that_cannot_be_checked():
    with pytest.raises(TypeError, match="without forward"):
        tc.check_gradients(object(), X)
    with pytest.raises(TypeError, match="takes scores, labels; for a loss give labels="):
        tc.check_gradients(tc.SoftmaxCrossEntropy(), X)
    single = Square()
    single.forward = lambda x: np.float32(x)
    with pytest.raises(tc.errors.DtypeError, match="gives float32; keep its parameters in float64"):
        tc.check_gradients(single, X)
    with pytest.raises(tc.errors.DtypeError, match="real numbers in x, got complex128"):
        tc.check_gradients(Square(), X + 1j)
    with pytest.raises(ValueError, match="not finite at this x"):
        tc.check_gradients(Square(), np.full((2, 3), np.inf))
