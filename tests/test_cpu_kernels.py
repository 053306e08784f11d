"""What every kernel of the cpu must bear: one image a block or many, being repeated from a tape, writing over
its input, Python instead of Numba.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

from tinyconv.device import unpack
from tinyconv.kernels import load
from tinyconv.kernels._cpu.native import Native, lanes
from tinyconv.kernels._cpu.tape import recording
from tinyconv.kernels._windows import pool_output_shape

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


class Batch:
    """A batch of images among the arguments of a kernel."""

    def __init__(self, *shape, scale=1):
        self.shape, self.scale = shape, scale

    def array(self, rng, dtype):
        x = self.scale * rng.standard_normal(self.shape)
        x.reshape(-1)[::5] = np.round(x.reshape(-1)[::5])  # zeros, and ties for max_pool2d
        return x.astype(dtype)


def native(x, L):
    """(N, ...) with L images side by side; the unused lanes hold zeros."""
    blocks = -(-len(x) // L)
    padded = np.zeros((blocks * L, *x.shape[1:]), x.dtype)
    padded[: len(x)] = x
    return Native(np.ascontiguousarray(np.moveaxis(padded.reshape(blocks, L, *x.shape[1:]), 1, -1)), x.shape)


def maps(C):
    return np.linspace(-1, 1, C)


KEY = np.array([2**63 + 5], np.uint64)
LABELS = np.array([0, 3, -1, 1, 2, 2, -1, 0, 1, 3, 3, 0, 1, -1, 2, 1, 0, 2, 1])
N = len(LABELS)
CASES = [
    ("scaled_tanh", "forward", (Batch(N, 3, 2, 5, scale=3), 1.7159, 2 / 3)),
    ("scaled_tanh", "backward_input", (Batch(N, 3, 2, 5), Batch(N, 3, 2, 5), 1.7159, 2 / 3)),
    ("tanh", "forward", (Batch(N, 7, scale=3),)),
    ("tanh", "backward_input", (Batch(N, 7), Batch(N, 7))),
    ("sigmoid", "forward", (Batch(N, 7, scale=3),)),
    ("sigmoid", "backward_input", (Batch(N, 7), Batch(N, 7))),
    ("relu", "forward", (Batch(N, 3, 1, 5),)),
    ("relu", "backward_input", (Batch(N, 3, 1, 5), Batch(N, 3, 1, 5))),
    ("dropout", "forward", (Batch(N, 3, 2, 2), 0.3, KEY, 16, 1 / 0.7)),
    ("dropout", "backward_input", (Batch(N, 5), 0.3, KEY, 0, 1.0)),
    ("rbf", "forward", (Batch(N, 5), maps(20).reshape(4, 5))),
    ("rbf", "forward", (Batch(N, 5, 2, 3), maps(20).reshape(4, 5))),
    ("rbf", "backward_input", (Batch(N, 4, 1, 2), Batch(N, 5, 1, 2), maps(20).reshape(4, 5))),
    ("rbf", "backward_centers", (Batch(N, 4, 2, 1), Batch(N, 5, 2, 1), maps(20).reshape(4, 5))),
]
for size, H, W in (((2, 2), 6, 8), ((2, 2), 5, 7), ((1, 3), 1, 3), ((3, 1), 4, 1), ((1, 1), 1, 1)):
    y = (N, 3, H // size[0], W // size[1])
    CASES += [
        ("subsample2d", "forward", (Batch(N, 3, H, W), maps(3), maps(3), size)),
        ("subsample2d", "backward_input", (Batch(*y), maps(3), (N, 3, H, W), size)),
        ("subsample2d", "backward_coefficient", (Batch(*y), Batch(N, 3, H, W), size)),
        ("subsample2d", "backward_bias", (Batch(*y),)),
    ]
for size, stride, padding, H, W in (
    ((2, 2), (2, 2), (0, 0), 6, 5),
    ((3, 3), (2, 2), (0, 0), 7, 9),
    ((3, 3), (1, 2), (1, 2), 4, 5),
    ((1, 2), (3, 1), (0, 1), 5, 1),
    ((1, 1), (1, 1), (0, 0), 1, 1),
):
    options, y = (size, stride, padding), pool_output_shape((N, 3, H, W), size, stride, padding)
    CASES += [
        ("max_pool2d", "forward", (Batch(N, 3, H, W), *options)),
        ("max_pool2d", "backward_input", (Batch(*y), Batch(N, 3, H, W), *options)),
        ("avg_pool2d", "forward", (Batch(N, 3, H, W), *options)),
        ("avg_pool2d", "backward_input", (Batch(*y), (N, 3, H, W), *options)),
    ]
for C, H, W in ((7, 3, 3), (1, 1, 1), (4, 9, 31)):
    for options in ((5, 2.0, 0.4, 0.75), (3, 1.0, 0.7, 1.3)):
        CASES += [
            ("local_response_norm", "forward", (Batch(N, C, H, W), *options)),
            ("local_response_norm", "backward_input", (Batch(N, C, H, W), Batch(N, C, H, W), *options)),
        ]
LOSSES = [("softmax_cross_entropy", ()), ("rbf_loss", ("mse", 10.0)), ("rbf_loss", ("map", 2.0))]
for loss, options in LOSSES:
    CASES += [
        (loss, "forward", (Batch(N, 4, scale=3), np.maximum(LABELS, 0), *options)),
        (
            loss,
            "backward_input",
            (np.linspace(0.1, 1, N), Batch(N, 4, scale=3), np.maximum(LABELS, 0), *options),
        ),
    ]
ALL = pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{case[0]}.{case[1]}-{place}") for place, case in enumerate(CASES)]
)


def arguments(case, dtype, L=None):
    """For the reference, or for the cpu with L images side by side."""
    rng = np.random.default_rng(5)
    for value in case[2]:
        if isinstance(value, Batch):
            yield value.array(rng, dtype) if L is None else native(value.array(rng, dtype), L)
        else:
            yield value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def found(case, dtype, L):
    y = getattr(load(case[0], "cpu"), case[1])(*arguments(case, dtype, L))
    return unpack(y) if isinstance(y, Native) else y


@ALL
@DTYPES
@pytest.mark.parametrize("single", [False, True], ids=["L", "1"])
def test_any_number_of_lanes(case, dtype, single):
    expected = getattr(load(case[0], "reference"), case[1])(*arguments(case, np.float64))
    y = found(case, dtype, 1 if single else lanes(dtype))
    assert y.dtype == dtype and y.shape == expected.shape
    np.testing.assert_allclose(
        y, expected, rtol=0, atol=100 * np.finfo(dtype).eps * max(1, np.abs(expected).max())
    )


def bits(array):
    return array.view(np.uint8).tobytes()


@ALL
@DTYPES
@pytest.mark.parametrize("single", [False, True], ids=["L", "1"])
def test_repeated_from_a_tape(case, dtype, single):
    """All that a wrapper does to data is done by kernels, and they rely on nothing that stood in their
    outputs.
    """
    given = list(arguments(case, dtype, 1 if single else lanes(dtype)))
    inputs = [
        value.data if isinstance(value, Native) else value
        for value in given
        if isinstance(value, (Native, np.ndarray))
    ]
    with recording() as calls:
        y = getattr(load(case[0], "cpu"), case[1])(*given)
    y, before = y.data if isinstance(y, Native) else y, [bits(value) for value in inputs]
    expected = bits(y)
    for _, values in calls:
        for value in values:
            if (
                isinstance(value, np.ndarray)
                and value.dtype.kind == "f"
                and not any(np.shares_memory(value, mine) for mine in inputs)
            ):
                value.fill(np.nan)
    assert np.isnan(y).all()
    for k, values in calls:
        assert k.compiled(*values) is None
    assert bits(y) == expected and [bits(value) for value in inputs] == before


def test_sum_of_squares_repeated_from_a_tape():
    dweight = np.linspace(-2, 3, 77).astype(np.float32)
    with recording() as calls:
        expected = load("sgd", "cpu").sum_of_squares(dweight)
    ((k, values),) = calls
    values[1].fill(np.nan)
    k.compiled(*values)
    assert values[1][0] == expected == pytest.approx((dweight.astype(np.float64) ** 2).sum(), rel=1e-14)


@DTYPES
@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_the_reference_to_the_last_element(dtype, nesterov, rng):
    """77 numbers: registers that are full, and one that is not."""
    start = [rng.standard_normal(77).astype(dtype) for _ in range(3)]
    ends = []
    for backend in ("reference", "cpu"):
        ends.append([value.copy() for value in start])
        load("sgd", backend).update(*ends[-1], 0.1, 0.9, 0.01, nesterov, 0.5)
    for expected, value in zip(*ends):
        np.testing.assert_allclose(value, expected, rtol=0, atol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("operation", ["scaled_tanh", "tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("function", ["forward", "backward_input"])
@DTYPES
def test_writing_over_the_input(operation, function, dtype):
    case = next(case for case in CASES if case[:2] == (operation, function))
    given = list(arguments(case, dtype, 1))
    with recording() as calls:
        expected = getattr(load(operation, "cpu"), function)(*given).data
    (k, values), x = calls[0], given[0].data.reshape(-1)
    k.compiled(x, *values[1:-1], x)
    np.testing.assert_array_equal(x, expected.reshape(-1))


@pytest.mark.parametrize("loss, options", LOSSES)
@DTYPES
@pytest.mark.parametrize("single", [False, True], ids=["L", "1"])
def test_lanes_without_an_image(loss, options, dtype, single):
    """Label -1, or behind the last label: loss 0 and dscores 0, whatever stands there."""
    kernel, L = load(loss, "cpu"), 1 if single else lanes(dtype)
    scores = native(Batch(N, 4, scale=3).array(np.random.default_rng(1), dtype), L)
    used = (LABELS >= 0).nonzero()[0]
    dy = np.linspace(0.1, 1, N).astype(dtype)
    y, dscores = kernel.forward(scores, LABELS, *options), kernel.backward_input(dy, scores, LABELS, *options)
    all_labels = np.maximum(LABELS, 0)
    np.testing.assert_array_equal(y[used], kernel.forward(scores, all_labels, *options)[used])
    np.testing.assert_array_equal(
        unpack(dscores)[used], unpack(kernel.backward_input(dy, scores, all_labels, *options))[used]
    )
    scores.data[...] = np.nan
    y, dscores = kernel.forward(scores, LABELS, *options), kernel.backward_input(dy, scores, LABELS, *options)
    unused = np.delete(np.arange(len(scores.data) * L), used)
    assert not y[LABELS < 0].any() and not np.moveaxis(dscores.data, -1, 1).reshape(-1, 4)[unused].any()


def test_max_pool_never_hides_nan():
    pool, x = load("max_pool2d", "cpu"), np.arange(16.0).reshape(1, 1, 4, 4)
    x[0, 0, 0, 1] = x[0, 0, 1, 0] = np.nan
    options = (2, 2), (2, 2), (0, 0)
    np.testing.assert_array_equal(
        pool.forward(native(x, 1), *options).data[..., 0], [[[[np.nan, 7], [13, 15]]]]
    )
    dx = pool.backward_input(native(np.ones((1, 1, 2, 2)), 1), native(x, 1), *options).data[0, 0, ..., 0]
    np.testing.assert_array_equal(np.argwhere(dx), [[0, 1], [1, 3], [3, 1], [3, 3]])


def test_the_same_in_python():
    """NUMBA_DISABLE_JIT=1 runs the same text in NumPy: one small case of every function of every
    operation.
    """
    program = """if True:
        import numba, numpy as np, test_cpu_kernels as tests
        assert numba.config.DISABLE_JIT
        for case in {case[:2]: case for case in tests.CASES}.values():
            tests.test_any_number_of_lanes(case, np.float32, False)
            tests.test_any_number_of_lanes(case, np.float64, True)
        """
    here, environment = os.path.dirname(__file__), {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=here, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
