"""What the checker says of a wrong gradient: every mutant is found and, but for those that no hypothesis
explains, named.
"""

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.gradient_check import check_full_size, check_gradients, from_file, self_test
from tinyconv.gradient_check.diagnosis.hypotheses import HYPOTHESES
from tinyconv.gradient_check.self_test.mutants import MUTANTS
from tinyconv.gradient_check.self_test.other_checkers import OTHERS
from tinyconv.layers import Conv2d, Dense, MaxPool2d, ReLU, Subsample2d, Tanh

NAMELESS = {
    "local_response_norm: exponent off by one behind the denominator",
    "softmax_cross_entropy: probabilities kept above 0.1",
}


@pytest.mark.parametrize("mutant", [pytest.param(mutant, id=mutant.title) for mutant in MUTANTS])
def test_a_mutant_is_found_and_named(mutant):
    obj, x, options = mutant.build(seed=1)
    report = check_gradients(obj, x, seed=1, quiet=True, **options)
    assert not report.ok
    said = {found.name for found in (*report.diagnoses, *report.refusals)}
    assert mutant.title in NAMELESS or said & set(mutant.names), report
    if (
        "networks" not in mutant.title
        and mutant.operation != "sequential"
        and report.verdict == "wrong"
        and mutant.array != "y"
    ):
        assert {row.array for row in report.rows if not row.ok} == {
            mutant.array
        }  # the other arrays are right, and said to be
    assert all(found.sentence.endswith(".") and "{" not in found.sentence for found in report.diagnoses)


@pytest.mark.parametrize("mutant", [pytest.param(mutant, id=mutant.title) for mutant in MUTANTS])
def test_what_a_mutant_was_made_of_is_right(mutant):
    rng = np.random.default_rng(1)
    _, x, options = mutant.build(seed=1)
    report = check_gradients(mutant.make(rng).to("reference"), x, seed=1, quiet=True, **options)
    assert report.ok, report


def test_the_tables():
    names = {hypothesis.name for hypothesis in HYPOTHESES}
    assert len(names) == len(HYPOTHESES) and len({mutant.title for mutant in MUTANTS}) == len(MUTANTS) >= 90
    refusals = {"input changed", "not deterministic", "not linear in dy", "unnamed"}
    assert {name for mutant in MUTANTS for name in mutant.names} <= names | refusals
    assert {mutant.operation for mutant in MUTANTS} >= {
        "conv2d",
        "table_conv2d",
        "subsample2d",
        "max_pool2d",
        "avg_pool2d",
        "dense",
        "rbf",
        "tanh",
        "sigmoid",
        "relu",
        "local_response_norm",
        "dropout",
        "softmax_cross_entropy",
        "rbf_loss",
        "sequential",
    }


def test_the_self_test_counts():
    scores = self_test.run(seeds=2, others=False)
    assert (
        scores.ok
        and scores.mutants == len(MUTANTS) == scores.killed[self_test.OURS]
        and scores.points == 2 * len(self_test.RIGHT)
    )
    assert {title for title, _ in scores.unnamed} == NAMELESS
    assert f"{len(MUTANTS)} of {len(MUTANTS)} (100.0%)" in str(scores) and "0 of 34 (0.00%)" in str(scores)


@pytest.mark.parametrize("checker", OTHERS)
def test_the_criteria_of_others_pass_what_is_right_and_fail_what_is_grossly_wrong(checker):
    from tinyconv.gradient_check.subjects import subject

    layer, x = Tanh().to("reference"), np.random.default_rng(0).uniform(-1, 1, (3, 4))
    assert OTHERS[checker](subject(layer, x), np.random.default_rng(0))
    layer._backward_input = lambda dy: -3 * dy
    assert not OTHERS[checker](subject(layer, x), np.random.default_rng(0))


def test_where_the_wrong_elements_lie():
    def spoiled(place, x_shape=(3, 2, 5, 6)):
        class Spoiled(Conv2d):
            def _backward_input(self, dy):
                dx = super()._backward_input(dy)
                dx[place] += 1
                return dx

        return (
            check_gradients(
                Spoiled(2, 3, 3, rng=0).to("reference"),
                np.random.default_rng(0).standard_normal(x_shape),
                quiet=True,
            )
            .diagnoses[0]
            .where
        )

    assert (
        spoiled((1, 0, 2, 3))
        == "wrong: 1 of 180 elements, all in image 1 and in channel 0 (the first) and in row 2 and in column 3"  # noqa: E501
    )
    assert (
        spoiled((slice(None), slice(None), slice(None), -1))
        == "wrong: 30 of 180 elements, all in column 5 (the last)"
    )
    assert spoiled((slice(None), 1)) == "wrong: 90 of 180 elements, all in channel 1 (the last)"
    assert spoiled(...) == "wrong: every one of 180 elements"
    border = np.ones((3, 2, 5, 6), bool)
    border[:, :, 1:-1, 1:-1] = False
    assert spoiled(border) == "wrong: 108 of 180 elements, all on the border"


def test_of_a_network_the_layer_at_fault_is_named():
    class Wrong(Subsample2d):
        def _backward_input(self, dy):
            return super()._backward_input(dy) / 4

    net = tc.Sequential(
        C1=Conv2d(1, 3, 3, rng=0),
        S2=Wrong(3, rng=0),
        A2=Tanh(),
        flat=tc.layers.Flatten(),
        F3=Dense(12, 4, rng=0),
    ).to("reference")
    report = check_gradients(net, np.random.default_rng(0).standard_normal((2, 1, 6, 6)), quiet=True)
    assert report.verdict == "wrong" and [(found.array, found.name) for found in report.diagnoses] == [
        ("S2.dx", "known factor")
    ]
    assert (
        "in layer S2, Wrong(channels=3, size=(2, 2)): dx is the true gradient times 0.25, 1 / the product "
        "of size." in str(report)
    )


class Stateful:
    """y = weight x, by a user, with bad habits to choose."""

    def __init__(self, habit=""):
        self.habit, self.params, self.grads = habit, {"weight": np.array([0.5, 2.0, -1.0], np.float32)}, {}

    def forward(self, x):
        self.x = x
        if self.habit == "random":
            return self.params["weight"] * x * (1 + np.random.default_rng().random())
        y = self.params["weight"] * x
        if self.habit == "parameter":
            self.params["weight"] *= 0.5
        if self.habit == "ignored":
            y = x * 1.0
        return y

    def backward(self, dy):
        if self.habit == "dy":
            dy *= 2
            dy /= 2
            dy[0, 0] += 1
            dy = dy - np.eye(*dy.shape) * (np.arange(len(dy)) == 0)[:, None]
        self.grads = {"weight": (dy * self.x).sum(axis=0) * (self.habit != "ignored")}
        if self.habit == "x":
            self.x += 1
        return dy * (1 if self.habit == "ignored" else self.params["weight"])


@pytest.mark.parametrize(
    "habit, name, sentence",
    [
        ("random", "not deterministic", "forward gives another y for the same x"),
        ("parameter", "parameter changed", "forward or backward changes weight"),
        ("ignored", "zero", "forward does not depend on weight here"),
        ("dy", "dy changed", "backward changes the dy that it is given"),
        ("x", "input changed", "changes its input x"),
    ],
)
def test_a_pass_that_proves_nothing_is_refused(habit, name, sentence):
    x = np.random.default_rng(0).standard_normal((4, 3))
    report = check_gradients(Stateful(habit), x, quiet=True)
    assert not report.ok and name in {found.name for found in report.refusals} and sentence in str(report)
    assert check_gradients(Stateful(), x, quiet=True).ok
    with pytest.raises(AssertionError, match=sentence):
        tc.assert_gradients(Stateful(habit), x)


def affine(x, weight, bias):
    return x @ weight + bias


def affine_backward(dout, x, weight):
    return dout @ weight.T, x.T @ dout, dout.sum(axis=0)


def cached_affine(x, weight, bias, param):
    return x @ weight * param["scale"] + bias, (x, weight, param)


def cached_affine_backward(dout, cache):
    x, weight, param = cache
    return dout @ weight.T * param["scale"], x.T @ dout * param["scale"], dout.sum(axis=0)


class TorchStyle:
    @staticmethod
    def forward(ctx, x, weight, power):
        ctx.save_for_backward(x, weight)
        ctx.power = power
        return x**power * weight

    @staticmethod
    def backward(ctx, dy):
        x, weight = ctx.saved_tensors
        return dy * ctx.power * x ** (ctx.power - 1) * weight, (dy * x**ctx.power).sum(axis=0), None


def test_functions_and_classes_in_other_styles():
    rng = np.random.default_rng(0)
    x, weight, bias = rng.standard_normal((4, 3)), rng.standard_normal((3, 3)), rng.standard_normal(3)
    assert [row.array for row in tc.assert_gradients((affine, affine_backward), (x, weight, bias)).rows] == [
        "dx",
        "dweight",
        "dbias",
    ]
    tc.assert_gradients((cached_affine, cached_affine_backward), (x, weight, bias, {"scale": 3.0}))
    assert len(tc.assert_gradients(TorchStyle, (x, bias, 2)).rows) == 2
    tc.assert_gradients((np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2)))  # finds its own x
    wrong = check_gradients(
        (affine, lambda dout, x, weight: (dout @ weight, x.T @ dout, dout.sum(axis=0))),
        (x, weight, bias),
        quiet=True,
    )
    assert [(found.array, found.name) for found in wrong.diagnoses] == [("dx", "parameter transposed")]
    with pytest.raises(TypeError, match="expected dy and arguments that are named as those of forward"):
        check_gradients((affine, lambda dout, a, b: dout), (x, weight, bias), quiet=True)


def test_shapes_are_found():
    shapes = lambda obj, **options: {row.x_shape for row in tc.assert_gradients(obj, **options).rows}
    found = shapes(Conv2d(3, 4, 3, stride=2, padding=1, rng=0))
    assert (
        {shape[0] for shape in found} >= {1, 2}
        and all(shape[1] == 3 for shape in found)
        and (5, 3, 1, 1) in found
    )
    assert all(shape[1:] == (7,) for shape in shapes(Dense(7, 2, rng=0)))
    assert len(shapes(tc.SoftmaxCrossEntropy())) == 3
    assert shapes(
        tc.Sequential(
            Conv2d(2, 3, 5, rng=0), tc.layers.Flatten(), Dense(3 * 3 * 2, 2, rng=0), input_shape=(2, 7, 6)
        )
    ) == {(2, 2, 7, 6)}
    assert shapes(Stateful()) == {(2, 3), (1, 3), (5, 3)}
    with pytest.raises(
        ValueError, match="found no x that .* takes; it raises ZeroDivisionError: division by zero"
    ):
        check_gradients((lambda x: x[:0] + 1 / 0, lambda dy: dy), quiet=True)


def test_from_a_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "import numpy as np\n"
        "class Scale:\n"
        "    def __init__(self, n=3):\n"
        "        self.params, self.grads = {'weight': np.arange(1.0, n + 1)}, {}\n"
        "    def forward(self, x):\n"
        "        self.x = x\n"
        "        return x * self.params['weight']\n"
        "    def backward(self, dy):\n"
        "        self.grads['weight'] = (dy * self.x).mean(0)\n"
        "        return dy * self.params['weight']\n"
        "forward, backward = np.sin, lambda dy, x: dy * np.cos(x)\n"
    )
    assert from_file(f"{path}:Scale(5)").params["weight"].size == 5
    report = check_gradients(from_file(f"{path}:Scale"), quiet=True)
    assert [(found.array, found.name) for found in report.diagnoses] == [("dweight", "batch factor")]
    with pytest.raises(tc.errors.DataError, match="NameError: name 'Nothing' is not defined"):
        from_file(f"{path}:Nothing")
    with pytest.raises(tc.errors.DataError, match="expected FILE.py:CLASS"):
        from_file(f"{tmp_path}/missing.py:Scale")


def test_float32_is_judged_by_the_reference():
    x = np.random.default_rng(0).standard_normal((3, 2, 6, 5))
    report = check_gradients(Conv2d(2, 3, 3, rng=0), x, dtype="float32", quiet=True)
    assert report.ok and [(row.array, row.oracle) for row in report.rows[3:]] == [
        (name, "reference") for name in ("y", "dx", "dweight", "dbias")
    ]
    assert 0 < report.largest_error("reference") < 1e-5

    class Rough(Conv2d):
        def _backward_parameters(self, dy):
            return {
                name: gradient if dy.dtype == np.float64 else gradient * np.float32(1.001)
                for name, gradient in super()._backward_parameters(dy).items()
            }

    report = check_gradients(Rough(2, 3, 3, rng=0).to("reference"), x, dtype="float32", quiet=True)
    assert {(row.array, row.oracle) for row in report.rows if not row.ok} == {
        ("dweight", "reference"),
        ("dbias", "reference"),
    }


def test_full_size_sees_one_wrong_element():
    class Wrong(Dense):
        def _backward_parameters(self, dy):
            grads = super()._backward_parameters(dy)
            grads["weight"][17, 3] *= 1.001
            return grads

    for cls in (Dense, Wrong):
        net = tc.Sequential(
            C1=Conv2d(1, 4, 5, rng=0),
            A1=ReLU(),
            P1=MaxPool2d(2),
            flat=tc.layers.Flatten(),
            F1=cls(4 * 12 * 12, 50, rng=0),
            A2=Tanh(),
            input_shape=(1, 28, 28),
        )
        report = check_full_size(net, quiet=True)
        wrong = [row.array for row in report.rows if not row.ok]
        assert wrong == ([] if cls is Dense else ["F1.dweight", "network"]) and report.ok == (cls is Dense), (
            report
        )
        assert {row.oracle for row in report.rows} == {"linear", "complex"}


def test_full_size_sees_a_wrong_way_from_layer_to_layer():
    class Skips(tc.Sequential):
        def _backward(self, dy, need_dx):
            for layer in (self.layers[2], self.layers[0]):
                dy = layer.backward(dy)
            return dy

    net = Skips(Dense(4, 4, rng=0), Tanh(), Dense(4, 3, rng=0), input_shape=(4,))
    report = check_full_size(net, quiet=True)
    assert [row.array for row in report.rows if not row.ok] == ["network"]
