"""The oracles: which is taken, how exact it is, what it says of its own error, and where it sees a kink."""

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.gradient_check import check_gradients
from tinyconv.gradient_check.oracles import Oracle, central
from tinyconv.gradient_check.subjects import subject

X = np.random.default_rng(3).uniform(0.3, 2, (4, 3))


class Function:
    """y = f(x), dx = dy f'(x), of one number at a time."""

    def __init__(self, f, derivative):
        self.f, self.derivative = f, derivative

    def forward(self, x):
        self.x = x
        return self.f(x)

    def backward(self, dy):
        return dy * self.derivative(self.x)


def cube(x):
    return np.asarray(x.real**3, float)  # takes complex numbers, and drops the imaginary part without a word


@pytest.mark.parametrize(
    "f, derivative, oracle",
    [
        (np.exp, np.exp, "complex"),
        (lambda x: np.abs(x) ** 3, lambda x: 3 * x * np.abs(x), "central"),
        (cube, lambda x: 3 * x**2, "central"),
        (lambda x: np.real(3 * x), lambda x: np.full_like(x, 3), "linear"),
        (
            lambda x: np.array([[float(v) * 2 for v in row] for row in x]),
            lambda x: np.full_like(x, 2),
            "linear",
        ),
    ],
    ids=["exp", "abs", "real part", "linear", "no complex"],
)
def test_the_sharpest_oracle_that_is_right_is_taken(f, derivative, oracle):
    report = check_gradients(Function(f, derivative), X, quiet=True)
    assert report.ok and {row.oracle for row in report.rows} == {oracle}, report
    wrong = check_gradients(Function(f, lambda x: derivative(x) * (1 + 1e-7)), X, quiet=True)
    assert wrong.verdict == "wrong", wrong


def test_differences_know_their_own_error():
    """Along a line, of functions gentle and rough: the true slope lies within the error that is stated, and 9
    digits are reached.
    """
    for f, derivative, x in (
        (np.sin, np.cos, 0.4),
        (np.exp, np.exp, 3.0),
        (np.sqrt, lambda x: 0.5 / np.sqrt(x), 0.02),
        (lambda x: np.sin(60 * x), lambda x: 60 * np.cos(60 * x), 0.7),
        (np.log, lambda x: 1 / x, 0.001),
    ):
        along = lambda t: np.array([f(x + t)])
        along.scale = 1.0
        slope = central(along, along(0.0))
        off = abs(slope.y[0] - derivative(x))
        assert (
            off <= 4 * slope.error[0] and slope.error[0] < 1e-8 * abs(derivative(x)) and not slope.kink.any()
        )


@pytest.mark.parametrize("distance", [0, 1e-9, 1e-7, 1e-6, 1e-5, 1e-3, 0.0199, 0.1])
def test_a_kink_is_seen_or_evaded_at_any_distance(distance):
    along = lambda t: np.array([np.abs(t - distance) + 3 * t, np.sin(t)])
    along.scale = 1.0
    slope = central(along, along(0.0))
    assert not slope.kink[1] and abs(slope.y[1] - 1) <= 4 * slope.error[1] < 1e-8
    assert slope.kink[0] or abs(slope.y[0] - 2) <= 4 * slope.error[0] < 1e-6
    assert slope.kink[0] == (distance < 2e-6)


def test_elements_on_a_kink_are_skipped_and_counted():
    x = np.random.default_rng(0).standard_normal((8, 64))
    x[[0, 3, 5], [1, 2, 60]] = 0
    for obj in (tc.layers.ReLU(), Function(lambda x: (np.real(x) + np.abs(x)) / 2, lambda x: (x >= 0) * 1.0)):
        report = check_gradients(obj, x, quiet=True)
        assert report.ok and report.rows[0].skipped == 3 and "kink, 3 of 512 skipped" in str(report), report
        assert report.rows[0].oracle == ("complex" if isinstance(obj, tc.layers.ReLU) else "central")


def test_what_lies_on_a_kink_is_not_counted_among_the_wrong():
    x = np.random.default_rng(0).standard_normal((8, 8))
    x[0, 0] = 0
    wrong = Function(
        lambda x: (np.real(x) + np.abs(x)) / 2, lambda x: (x >= 0) + 0.5 * (np.arange(64).reshape(8, 8) == 19)
    )
    assert (
        check_gradients(wrong, x, quiet=True).diagnoses[0].where
        == "wrong: 1 of 64 elements, all in image 2 and in feature 3"
    )


def test_too_many_kinks_are_a_verdict_of_their_own():
    report = check_gradients(tc.layers.ReLU(), np.zeros((3, 4)), quiet=True)
    assert report.verdict == "refused" and [found.name for found in report.refusals] == ["too many kinks"]
    assert "12 of 12 elements lie on a kink" in str(report)


def test_ties_of_max_pooling_are_kinks():
    x = np.random.default_rng(1).standard_normal((2, 2, 6, 6))
    x[0, 0, 0, :2] = 5  # two equal maxima in one window
    report = check_gradients(tc.layers.MaxPool2d(2), x, quiet=True)
    assert report.ok and report.rows[0].skipped == 2


def test_a_sample_is_backed_by_a_sum_over_all_elements():
    """One wrong element of 48,000 that no sample of 66 would meet."""

    class Broken(tc.layers.Dense):
        def _backward_parameters(self, dy):
            grads = super()._backward_parameters(dy)
            grads["weight"][37, 211] += 1e-6
            return grads

    layer, x = Broken(400, 120, rng=0), np.random.default_rng(0).standard_normal((3, 400))
    report = check_gradients(layer, x, quiet=True, diagnose=False)
    row = next(row for row in report.rows if row.array == "dweight")
    assert not row.ok and row.index == (37, 211) and row.checked < 100
    assert check_gradients(tc.layers.Dense(400, 120, rng=0), x, quiet=True).ok


def test_the_element_is_found_with_the_oracle_of_a_users_class():
    oracle = Oracle(subject(Function(lambda x: np.abs(x) ** 3, np.abs), X), np.random.default_rng(0))
    slope = oracle.element("x", (2, 1))
    assert oracle.way("x")[0] == "central" and np.count_nonzero(slope.y) == 1
    assert slope.y[2, 1] == pytest.approx(3 * X[2, 1] ** 2, rel=1e-10)


def test_too_few_digits_are_a_verdict_of_their_own():
    rough = Function(lambda x: np.real(np.sin(x)) + 1e-7 * np.sin(1e9 * np.real(x)), np.cos)
    report = check_gradients(rough, X, quiet=True, diagnose=False)
    assert report.verdict != "ok" and not any(
        row.tolerance < 1e-6 and not row.ok for row in report.rows if not row.skipped
    )
