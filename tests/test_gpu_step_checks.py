"""The check of a whole training step on the GPU: it allows for another winner of a maximum, and for nothing
else.
"""

import importlib

import numpy as np
import pytest

from tinyconv import Sequential, execution, layers, losses
from tinyconv.benchmarks import workloads
from tinyconv.kernels._cuda import package

if package.INSTALLED:
    from tinyconv.kernels._cuda.native import CudaNative
pytestmark = pytest.mark.skipif(
    not (package.INSTALLED and package.SIMULATOR), reason="a rehearsal in numba-cuda's simulator"
)


def network():
    """A network whose maxima nearly tie: its small filters stand on a large bias."""
    net = Sequential(
        C1=layers.Conv2d(1, 2, 3, rng=0),
        P1=layers.MaxPool2d(2),
        R1=layers.ReLU(),
        F=layers.Flatten(),
        D=layers.Dense(8, 5, rng=1),
        input_shape=(1, 6, 6),
    )
    net.named_layers["C1"].params["weight"] *= np.float32(1e-2)
    net.named_layers["C1"].params["bias"][...] = 1
    return net, losses.SoftmaxCrossEntropy()


@pytest.fixture
def step_checks(monkeypatch):
    from tinyconv.benchmarks.gpu import step_checks, tasks

    monkeypatch.setitem(workloads.MODELS, "ties", network)
    monkeypatch.setitem(workloads.RECIPES, "ties", {"lr": 0.01, "momentum": 0.9})
    tasks._built.cache_clear()
    yield step_checks
    tasks._built.cache_clear()


@pytest.fixture
def by_calls(monkeypatch):
    """Steps are calls one by one: what these tests put around kernels can be captured in no graph."""
    monkeypatch.setattr(execution, "plan_for", lambda *_: None)


def change(monkeypatch, operation, names, changed):
    """Put changed(result) in the place of the results of some functions of an operation on the GPU."""
    cuda = importlib.import_module(f"tinyconv.kernels.{operation}.cuda")

    def around(right):
        def function(*arguments, **options):
            made = right(*arguments, **options)
            array = made.data if isinstance(made, CudaNative) else made
            array[...] = changed(array.copy_to_host()).astype(np.float32)
            return made

        return function

    for name in names:
        monkeypatch.setattr(cuda, name, around(getattr(cuda, name)))


def test_a_right_step_is_right(step_checks):
    assert step_checks.step("ties", 5, "float32")["status"] == "ok"


def test_other_winners_are_no_mistake(step_checks, by_calls, monkeypatch):
    def rough(y):
        """As if the factors had 10 bits."""
        return y * (1 + 2.0**-9 * np.random.default_rng(0).uniform(-1, 1, y.shape))

    change(monkeypatch, "conv2d", ["forward"], rough)
    assert step_checks.step("ties", 5, "tf32")["status"] == "ok"
    # the reference by itself takes other winners: the same right kernels are far off
    monkeypatch.setattr(step_checks, "decisions", lambda *_: {})
    row = step_checks.step("ties", 5, "tf32")
    assert row["status"] == "wrong" and "C1.weight" in row["why"] and row["error"] > 5


@pytest.mark.parametrize("operation", ["relu", "max_pool2d", "conv2d", "dense"])
def test_a_wrong_way_back_is_wrong(step_checks, by_calls, monkeypatch, operation):
    name = "backward_input" if operation in ("relu", "max_pool2d") else "backward_weight"
    change(monkeypatch, operation, [name], lambda gradient: 1.02 * gradient)
    for precision in ("float32", "tf32"):
        assert step_checks.step("ties", 5, precision)["status"] == "wrong"


@pytest.mark.parametrize("rule", ["SGD", "SGD, clipped", "Adam"])
def test_captured_steps_are_the_reference_s(step_checks, rule):
    assert step_checks.updates("ties", 3, rule)["status"] == "ok"


def test_a_wrong_update_is_wrong(step_checks, monkeypatch):
    def clipped(net, recipe):
        optimizer = step_checks.OPTIMIZERS["SGD, clipped"](net, recipe)
        optimizer.clip *= 1.1 if net.device == "cuda" else 1
        return optimizer

    monkeypatch.setitem(step_checks.OPTIMIZERS, "mistaken", clipped)
    assert step_checks.updates("ties", 3, "mistaken")["status"] == "wrong"


def test_scores_that_are_not_finite_are_wrong(step_checks):
    expected = {"scores": np.ones(3)}
    assert (
        step_checks.compared({"scores": np.array([1, 1, np.nan])}, expected, "float32")["status"] == "wrong"
    )
    assert step_checks.compared({"scores": np.ones(4)}, expected, "float32")["status"] == "wrong"
