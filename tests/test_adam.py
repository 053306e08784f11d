"""adam: against the algorithm of the paper in float64; decay both ways; the same bits after a resume."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest

import tinyconv as tc
from tinyconv import checkpoint, layers
from tinyconv.kernels import load
from tinyconv.optim import SGD, Adam, cosine

STEPS = 7
# registers that are full and one that is not; one number; none of rank above 0; nothing at all
SHAPES = {"a": (3, 1, 5, 5), "b": (77,), "c": (1,), "d": (), "e": (0, 4), "f": (16, 2)}


def kingma_ba(weight, gradients, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, decoupled=True):
    """Algorithm 1 of Kingma and Ba 2015 in the paper's letters.

    The decay is that of Loshchilov and Hutter 2019, algorithm 2: line 6, or, decoupled, line 12.
    """
    theta, m, v = weight.astype(np.float64), 0.0, 0.0
    for t, g in enumerate(gradients, start=1):
        alpha = lr(t - 1) if callable(lr) else lr
        before = theta
        g = g.astype(np.float64) + (0.0 if decoupled else weight_decay * theta)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        theta = theta - alpha * m_hat / (np.sqrt(v_hat) + eps)
        if decoupled:
            theta = theta - alpha * weight_decay * before
    return theta


def problem(rng, dtype=np.float64, device="cpu", shapes=SHAPES):
    """A net of parameters alone, and the gradients of every step."""
    params = {
        name: rng.standard_normal(shape).astype(dtype) if shape else np.array(rng.standard_normal(), dtype)
        for name, shape in shapes.items()
    }
    gradients = [
        {
            name: np.asarray(10.0 ** rng.integers(-3, 3) * rng.standard_normal(value.shape)).astype(dtype)
            for name, value in params.items()
        }
        for _ in range(STEPS)
    ]
    return SimpleNamespace(params=params, grads={}, device=device), gradients


def train(net, gradients, optimizer):
    for net.grads in gradients:
        optimizer.step()


OPTIONS = [
    {},
    {"lr": 0.3, "beta1": 0.0, "beta2": 0.5},
    {"lr": cosine(0.1, STEPS), "eps": 0.1},
    {"lr": 0.1, "weight_decay": 0.2},
    {"lr": 0.1, "weight_decay": 0.2, "decoupled": False},
]


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "options", OPTIONS, ids=["default", "betas", "schedule", "decoupled", "in the gradient"]
)
def test_steps_are_those_of_the_paper(options, dtype, device, rng):
    net, gradients = problem(rng, dtype, device)
    start = copy.deepcopy(net.params)
    train(net, gradients, Adam(net, **options))
    # An update has some ten operations, each rounded once, and moves a weight by a few rates (3 at most, for
    # these betas): errors of ten units in the
    # last place of a weight of size 4, in each step. float64 is held to the 1e-12.
    tolerance = 1e-12 if dtype == np.float64 else STEPS * 10 * np.finfo(dtype).eps * 4
    for name, weight in net.params.items():
        expected = kingma_ba(start[name], [grads[name] for grads in gradients], **{"lr": 1e-3, **options})
        assert weight.dtype == dtype
        np.testing.assert_allclose(weight, expected, rtol=0, atol=tolerance, err_msg=name)
        assert weight.size == 0 or not np.array_equal(weight, start[name])


def test_large_parameters_go_without_a_tape(rng):
    shapes = {"large": (2**20 + 3,), "small": (5,)}
    net, gradients = problem(rng, shapes=shapes)
    start, optimizer = copy.deepcopy(net.params), Adam(net, lr=0.1)
    train(net, gradients[:2], optimizer)
    assert optimizer._tapes is None
    for name, weight in net.params.items():
        np.testing.assert_allclose(
            weight, kingma_ba(start[name], [grads[name] for grads in gradients[:2]], 0.1), rtol=0, atol=1e-12
        )


def test_the_first_step_is_of_the_size_of_the_rate(rng):
    """What the bias corrections are for: m_hat = g and v_hat = g^2, whatever the betas."""
    net, (grads, *_) = problem(rng, shapes={"w": (9,)})
    before = net.params["w"].copy()
    train(net, [grads], Adam(net, lr=0.25, beta1=0.99, beta2=0.9999))
    np.testing.assert_allclose(before - net.params["w"], 0.25 * np.sign(grads["w"]), rtol=1e-5)


def test_clipping_acts_on_the_gradient_before_the_means(rng):
    net, gradients = problem(rng)
    start = copy.deepcopy(net.params)
    clipped = []
    for grads in gradients:
        norm = np.sqrt(sum(np.sum(grad**2) for grad in grads.values()))
        clipped.append({name: grad * min(1, 0.5 / norm) for name, grad in grads.items()})
    train(net, gradients, Adam(net, lr=0.1, clip=0.5))
    for name, weight in net.params.items():
        np.testing.assert_allclose(
            weight, kingma_ba(start[name], [grads[name] for grads in clipped], 0.1), rtol=0, atol=1e-12
        )


def test_decoupled_decay_shrinks_all_weights_alike(rng):
    """Without a gradient a weight loses the share lr weight_decay; not decoupled, it moves by the rate."""
    zeros = {"w": np.zeros(6)}
    for decoupled, expected in (
        (True, lambda w: (1 - 0.1 * 0.5) * w),
        (False, lambda w: w - 0.1 * np.sign(w)),
    ):
        net, _ = problem(rng, shapes={"w": (6,)})
        before = net.params["w"].copy()
        train(net, [zeros], Adam(net, lr=0.1, weight_decay=0.5, decoupled=decoupled, eps=1e-12))
        np.testing.assert_allclose(net.params["w"], expected(before), rtol=1e-6)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_resumed_run_has_the_same_bits(tmp_path, threads, rng):
    x = rng.standard_normal((30, 1, 6, 6)).astype(np.float32)
    labels, loss = np.arange(30) % 4, tc.SoftmaxCrossEntropy()

    def new():
        net = tc.Sequential(
            C=layers.Conv2d(1, 3, 3, rng=0), A=layers.Tanh(), F=layers.Flatten(), D=layers.Dense(48, 4, rng=1)
        )
        return net, Adam(net, lr=0.01, weight_decay=0.01)

    whole, optimizer = new()
    for step in range(6):
        if step == 3:
            checkpoint.write(tmp_path / "run.npz", whole, optimizer)
        whole.train_step(x, labels, loss, optimizer, threads)
    resumed, other = new()
    checkpoint.read(tmp_path / "run.npz", resumed, other)
    assert other.steps == 3 and other.slots["square"]["D.weight"].any()
    for _ in range(3):
        resumed.train_step(x, labels, loss, other, threads)
    for name, weight in whole.params.items():
        assert resumed.params[name].tobytes() == weight.tobytes(), name
        assert other.slots["mean"][name].tobytes() == optimizer.slots["mean"][name].tobytes(), name


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("decoupled", [True, False])
def test_the_cpu_is_the_reference_to_the_last_element(dtype, decoupled, rng):
    start = [np.abs(rng.standard_normal(77)).astype(dtype) for _ in range(4)]
    ends = []
    for backend in ("reference", "cpu"):
        ends.append([value.copy() for value in start])
        load("adam", backend).update(*ends[-1], 0.1, 0.9, 0.99, 1e-8, 0.01, decoupled, 3, 0.5)
    for expected, value in zip(*ends, strict=True):
        np.testing.assert_allclose(value, expected, rtol=0, atol=8 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(ends[1][1], start[1], "dweight is only read")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"lr": -1}, "Adam: expected lr of 0 or more, got -1"),
        ({"beta1": 1}, "Adam: expected beta1 of 0 or more and below 1, got 1"),
        ({"beta2": -0.1}, "beta2 of 0 or more and below 1"),
        ({"eps": 0}, "expected eps of 1.2e-38"),
        ({"eps": 1e-45}, "expected eps of 1.2e-38"),
        ({"weight_decay": float("inf")}, "weight_decay of 0 or more, got inf"),
        ({"clip": 0}, "clip above 0, or None, got 0"),
        ({"decoupled": "no"}, "decoupled True or False, got 'no'"),
        ({"lr": "0.1"}, "lr of 0 or more, got '0.1'"),
    ],
)
def test_settings_out_of_range_are_refused(options, message, rng):
    net, _ = problem(rng)
    with pytest.raises(ValueError, match=message):
        Adam(net, **options)
    ((name, value),) = options.items()
    optimizer = Adam(net)
    before = repr(optimizer)
    with pytest.raises(ValueError, match=message):
        setattr(optimizer, name, value)
    assert repr(optimizer) == before


def test_adam_and_sgd_are_two_of_a_kind(rng):
    net, _ = problem(rng)
    assert set(Adam(net).slots) == {"mean", "square"} and set(SGD(net).slots) == {"velocity"}
    assert tc.Adam is Adam is tc.optimizers.Adam
