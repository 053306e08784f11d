"""The checker finds what forward depends on wherever the object keeps it, and never says "ok" of what it has
not looked at.
"""

import threading

import numpy as np
import pytest

import tinyconv as tc

RNG = np.random.default_rng(1)
W34, W42 = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 2))


class Base:
    """y = x W; where W and its gradient are kept is for the classes below. `factor` makes it wrong."""

    def __init__(self, factor=1):
        self.factor_of_a_mistake, self.log = factor, []
        self.make()

    def forward(self, x):
        self.x = x
        return x @ self.weight()

    def backward(self, dy):
        self.keep(self.factor_of_a_mistake * self.x.T @ dy)
        return dy @ self.weight().T


class Attribute(Base):
    def make(self):
        self.W = W34.copy()

    def weight(self):
        return self.W

    def keep(self, gradient):
        self.dW = gradient


class InLists(Base):
    def make(self):
        self.params, self.grads = [W34.copy()], [None]

    def weight(self):
        return self.params[0]

    def keep(self, gradient):
        self.grads[0] = gradient


class DictInADict(Base):
    def make(self):
        self.params, self.grads = {"encoder": {"W": W34.copy()}}, {"encoder": {}}

    def weight(self):
        return self.params["encoder"]["W"]

    def keep(self, gradient):
        self.grads["encoder"]["W"] = gradient


class Box:
    def __init__(self, data):
        self.data, self.grad = data, None


class ParameterObject(Base):
    def make(self):
        self.W = Box(W34.copy())

    def weight(self):
        return self.W.data

    def keep(self, gradient):
        self.W.grad = gradient


class Inner(Base):
    def make(self):
        self.inner = Attribute()

    def weight(self):
        return self.inner.W

    def keep(self, gradient):
        self.inner.dW = gradient


class ViewOfOneArray(Base):
    def make(self):
        self.flat = W34.reshape(-1).copy()
        self.params, self.grads = {"W": self.flat.reshape(3, 4)}, {}

    def weight(self):
        return self.flat.reshape(3, 4)

    def keep(self, gradient):
        self.grads["W"] = gradient


class GivesCopies(Base):
    def make(self):
        self._W, self.grads = W34.copy(), {}

    @property
    def params(self):
        return {"W": self._W.copy()}

    def weight(self):
        return self._W

    def keep(self, gradient):
        self.grads["W"] = gradient


class Integers(Base):
    def make(self):
        self.params, self.grads = {"W": np.arange(12).reshape(3, 4)}, {}

    def weight(self):
        return self.params["W"]

    def keep(self, gradient):
        self.grads["W"] = gradient


class MadeInForward(Attribute):
    def make(self):
        self.W = None

    def weight(self):
        if self.W is None:
            self.W = W34.copy()
        return self.W


class HoldsALock(Attribute):
    def make(self):
        super().make()
        self.lock, self.lines = threading.Lock(), (line for line in ())


STYLES = [
    Attribute,
    InLists,
    DictInADict,
    ParameterObject,
    Inner,
    ViewOfOneArray,
    GivesCopies,
    Integers,
    MadeInForward,
    HoldsALock,
]
X = RNG.standard_normal((5, 3))


@pytest.mark.parametrize("style", STYLES)
def test_right_in_every_style(style):
    report = tc.check_gradients(style(), X, quiet=True)
    assert report.verdict == "ok", report
    assert len(report.rows) == 2


@pytest.mark.parametrize("style", STYLES)
def test_wrong_in_every_style(style):
    report = tc.check_gradients(style(7), X, quiet=True)
    assert report.verdict == "wrong", report
    assert [row.array for row in report.rows if not row.ok] == [report.rows[1].array]


def test_what_forward_depends_on_without_a_gradient_is_named():
    class NoGradient(Attribute):
        def keep(self, gradient):
            pass

    report = tc.check_gradients(NoGradient(), X, quiet=True)
    assert report.verdict == "refused"
    assert "forward depends on self.W; no gradient of it was found; put it in self.grads['W']" in str(report)


def test_integers_that_are_an_index_are_no_parameter_and_integers_that_are_weights_are():
    class Chooses:
        def __init__(self):
            self.order = np.array([2, 0, 1])

        def forward(self, x):
            return x[:, self.order]

        def backward(self, dy):
            dx = np.empty_like(dy)
            dx[:, self.order] = dy
            return dx

    class Weighs(Chooses):
        def forward(self, x):
            return x * self.order

        def backward(self, dy):
            return dy * self.order

    assert tc.check_gradients(Chooses(), X, quiet=True).verdict == "ok"
    report = tc.check_gradients(Weighs(), X, quiet=True)
    assert report.verdict == "refused" and "self.order" in str(report)


def test_a_gradient_under_another_key_is_that_sentence_and_not_a_wrong_dx():
    class AnotherKey(InLists):
        def make(self):
            self.params, self.grads = {"W": W34.copy()}, {}

        def weight(self):
            return self.params["W"]

        def keep(self, gradient):
            self.grads["dW"] = gradient

    class AnAttribute(AnotherKey):
        def keep(self, gradient):
            self.dW = gradient

    for style, place in ((AnotherKey, "self.grads['dW']"), (AnAttribute, "self.dW")):
        report = tc.check_gradients(style(), X, quiet=True)
        assert report.verdict == "refused" and all(row.ok for row in report.rows)
        assert f"the gradient of self.params['W'] is in {place}" in str(report)
        assert "put it in self.grads['W']" in str(report)
        assert tc.check_gradients(style(3), X, quiet=True).verdict == "wrong"


def test_one_weight_in_two_places_has_two_gradients():
    class Tied:
        def __init__(self, factor=1):
            weight, self.factor = W34.copy(), factor
            self.params, self.grads = {"there": weight, "back": weight}, {}

        def forward(self, x):
            self.x, self.h = x, x @ self.params["there"]
            return self.h @ self.params["back"].T

        def backward(self, dy):
            dh = dy @ self.params["back"]
            self.grads = {"there": self.factor * self.x.T @ dh, "back": dy.T @ self.h}
            return dh @ self.params["there"].T

    assert tc.check_gradients(Tied(), X, quiet=True).verdict == "ok"
    report = tc.check_gradients(Tied(2), X, quiet=True)
    assert [row.array for row in report.rows if not row.ok] == ["dthere"]


def test_a_part_of_a_buffer_that_params_does_not_name_is_not_passed_over():
    class Buffer:
        def __init__(self, names):
            self.all = np.arange(1.0, 7.0)
            views = {"scale": self.all[:3], "shift": self.all[3:]}
            self.params, self.grads = {name: views[name] for name in names}, {}

        def forward(self, x):
            self.x = x
            return x * self.all[:3] + self.all[3:]

        def backward(self, dy):
            found = {"scale": (dy * self.x).sum(0), "shift": dy.sum(0)}
            self.grads = {name: found[name] for name in self.params}
            return dy * self.all[:3]

    assert tc.check_gradients(Buffer(("scale", "shift")), X, quiet=True).verdict == "ok"
    report = tc.check_gradients(Buffer(("scale",)), X, quiet=True)
    assert report.verdict == "refused" and "self.all" in str(report)


def test_a_report_says_what_it_took_as_constant():
    class Normalise:
        def __init__(self):
            self.eps, self.state = 1e-5, {"codes": np.array([1.0, 2.0, 3.0])}

        def forward(self, x):
            self.s = np.sqrt((x * x).mean(1, keepdims=True) + self.eps)
            self.h = x / self.s
            return self.h * self.state["codes"]

        def backward(self, dy):
            d = dy * self.state["codes"]
            return (d - self.h * (d * self.h).mean(1, keepdims=True)) / self.s

    report = tc.check_gradients(Normalise(), X, quiet=True)
    assert report.verdict == "ok"
    assert "taken as constant: eps = 1e-05, state['codes']" in str(report)


def test_numbers_in_params_and_arrays_without_an_axis():
    class Slope:
        def __init__(self, value, factor=1):
            self.params, self.grads, self.factor = {"a": value}, {}, factor

        def forward(self, x):
            self.x = x
            return np.where(x > 0, x, self.params["a"] * x)

        def backward(self, dy):
            self.grads["a"] = self.factor * (dy * np.minimum(self.x, 0)).sum()
            return dy * np.where(self.x > 0, 1, self.params["a"])

    for value in (0.25, np.float64(0.25), np.array(0.25), 2):
        assert tc.check_gradients(Slope(value), X, quiet=True).verdict == "ok"
        report = tc.check_gradients(Slope(value, 5), X, quiet=True)
        assert report.verdict == "wrong" and not report.rows[1].ok


def test_other_conventions():
    class Loss:
        def forward(self, x, t):
            self.d = x - t
            return (self.d**2).mean()

        def backward(self, dout=1):
            return 2 * self.d / self.d.size

    class WithNone(Attribute):
        def backward(self, dy):
            return super().backward(dy), None

    class Nothing:
        def forward(self, x):
            self.output = x * x

        def backward(self, dy):
            pass

    assert tc.check_gradients(Loss(), X, labels=X + 1, quiet=True).verdict == "ok"
    assert tc.check_gradients(WithNone(), X, quiet=True).verdict == "ok"
    with pytest.raises(TypeError, match=r"forward of Nothing returns nothing.*return self\.output"):
        tc.check_gradients(Nothing(), X, quiet=True)
