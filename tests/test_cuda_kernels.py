"""What the cuda kernels promise beyond parity with the reference: sums always in the same order, the very
bits of dropout, ties, extremes, options on the GPU.
"""

import math
from importlib import import_module

import numpy as np
import pytest

from tinyconv.kernels import load
from tinyconv.kernels._cuda import launch, memory, package, reduce
from tinyconv.kernels._cuda.native import CudaNative, transpose
from tinyconv.kernels._cuda.package import cuda
from tinyconv.kernels._cuda.reduce import tree_max, tree_sum

if not package.INSTALLED:
    pytest.skip("numba-cuda is not installed: tinyconv[cuda]", allow_module_level=True)
DTYPES = [np.float32, np.float64]


def here(result):
    return result.unpack() if isinstance(result, CudaNative) else memory.to_host(result)


def compare(operation, direction, activations, *options, rtol=0.0, atol=0.0):
    """A kernel against the reference, which computes in float64."""
    native = [CudaNative.pack(a) if a.ndim > 1 else memory.to_gpu(a) for a in activations]
    there = [memory.to_gpu(option) if isinstance(option, np.ndarray) else option for option in options]
    found = here(getattr(load(operation, "cuda"), direction)(*native, *there))
    expected = getattr(load(operation, "reference"), direction)(
        *[a.astype(np.float64) for a in activations], *options
    )
    assert found.dtype == activations[0].dtype
    np.testing.assert_allclose(found, expected, rtol, atol)


# ------------------------------------------------------------------------------------------------ layout
@pytest.mark.parametrize("shape", [(1, 1), (3, 20), (17, 8), (9, 9), (1, 33), (33, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_transpose_turns_tiles_and_their_remains_over(shape, dtype, rng):
    x = rng.integers(0, 256, shape).astype(dtype)
    there, y = memory.to_gpu(x), memory.to_gpu(np.full(shape[::-1], 7, dtype))
    transpose(there, y)
    np.testing.assert_array_equal(memory.to_host(y), x.T)
    np.testing.assert_array_equal(memory.to_host(there), x)


@pytest.mark.parametrize("n", [1, 31, 32, 257, 3456, 7040])
def test_blocks_of_a_row_cover_it_with_whole_warps(n, monkeypatch):
    monkeypatch.setattr(launch, "SIMULATOR", False)
    (blocks, H, C), threads = launch.row_blocks(n, 5, 7)
    assert (H, C) == (5, 7) and threads % launch.WARP == 0 and threads <= launch.THREADS
    assert blocks * threads >= n and (blocks * threads - n) < blocks * launch.WARP


# ------------------------------------------------------------------------------------------------ sums
@pytest.mark.parametrize("M, K", [(1, 1), (5, 3), (1, 1000), (2, 301)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_row_sums(M, K, dtype, rng):
    matrix, eps = rng.standard_normal((M, K)).astype(dtype), np.finfo(dtype).eps
    there, out = memory.to_gpu(matrix), memory.to_gpu(np.full(M, np.nan, dtype))
    reduce.row_sums(there, out)
    sums = memory.to_host(reduce.row_sums(there))
    np.testing.assert_allclose(sums, matrix.sum(axis=1, dtype=np.float64), rtol=0, atol=4 * eps * np.sqrt(K))
    np.testing.assert_array_equal(memory.to_host(out), sums, "the same bits again")
    np.testing.assert_array_equal(memory.to_host(there), matrix)


def test_few_long_rows_are_shared_by_several_blocks():
    assert reduce.parts(1, 1000 * reduce.WORTH) == reduce.BLOCKS
    assert reduce.parts(reduce.BLOCKS + 1, 1000 * reduce.WORTH) == 1
    assert reduce.parts(1, 2 * reduce.WORTH - 1) == 1


@launch.kernel
def _trees(x, width, sums, maxima):
    t = cuda.threadIdx.x
    sums[t] = tree_sum(x[t], width, x)
    sums[t] += tree_sum(x[t], width, x)  # the second must not disturb who still reads the first
    maxima[t] = tree_max(x[t], width, x)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_trees_of_threads(width):
    B = reduce.BLOCK
    x = np.arange(B)[::-1].astype(np.float32)
    sums, maxima = (memory.to_gpu(np.zeros(B, np.float32)) for _ in range(2))
    _trees[1, B](memory.to_gpu(x), width, sums, maxima)
    np.testing.assert_array_equal(
        memory.to_host(sums), 2 * np.tile(x.reshape(-1, width).sum(axis=0), B // width)
    )
    np.testing.assert_array_equal(
        memory.to_host(maxima), np.tile(x.reshape(-1, width).max(axis=0), B // width)
    )


def test_sums_of_gradients_are_the_same_bits_every_time(rng):
    x, dy = (CudaNative.pack(rng.standard_normal((7, 2, 6, 6)).astype(np.float32)) for _ in range(2))
    y = CudaNative.pack(rng.standard_normal((7, 2, 3, 3)).astype(np.float32))
    runs = [
        [
            here(load("subsample2d", "cuda").backward_coefficient(y, x, (2, 2))),
            here(load("subsample2d", "cuda").backward_bias(dy)),
            here(load("table_conv2d", "cuda").backward_weight(dy, x, [(0, 1), (1, 0)], (1, 1))),
            here(load("rbf", "cuda").backward_centers(dy, x, memory.to_gpu(np.ones((2, 2), np.float32)))),
        ]
        for _ in range(2)
    ]
    for first, second in zip(*runs):
        np.testing.assert_array_equal(first, second)


# ------------------------------------------------------------------------------------------------ pools
@pytest.mark.parametrize("special", [np.nan, -np.inf, np.inf, 1.0])
def test_ties_and_extremes_in_max_pool2d(special, rng):
    x = rng.integers(0, 2, (3, 1, 5, 6)).astype(np.float64)
    x[rng.random(x.shape) < 0.4] = special
    x[0] = special  # a whole map of it
    dy = rng.standard_normal((3, 1, 3, 3))
    compare("max_pool2d", "forward", [x], (3, 3), (2, 2), (1, 1))
    compare("max_pool2d", "backward_input", [dy, x], (3, 3), (2, 2), (1, 1), atol=1e-15)


def test_windows_of_more_pixels_than_a_byte_counts(rng):
    x = np.zeros((2, 1, 17, 17))
    x[0, 0, 16, 15] = x[1, 0, 3, 2] = 1
    compare(
        "max_pool2d", "backward_input", [rng.standard_normal((2, 1, 1, 1)), x], (17, 17), (17, 17), (0, 0)
    )


# ------------------------------------------------------------------------------------------------
# local_response_norm
def test_a_large_neighbour_leaves_no_error_behind():
    x = np.ones((1, 9, 1, 2), np.float32)
    x[:, 1] = 1e6  # a running sum of squares would forget the ones
    compare("local_response_norm", "forward", [x], 3, 1.0, 0.5, 0.75, rtol=1e-6)
    compare("local_response_norm", "backward_input", [np.ones_like(x), x], 3, 1.0, 0.5, 0.75, rtol=1e-4)


# ------------------------------------------------------------------------------------------------ dropout
@pytest.mark.parametrize("rate, first", [(0.0, 0), (0.3, 0), (0.5, 5), (0.999, 2)])
def test_dropout_draws_the_bits_of_the_reference(rate, first):
    seed, counter = np.array([2**31 + 7], np.uint64), np.array([41], np.uint64)
    there = memory.to_gpu(seed), memory.to_gpu(counter)
    key, expected = load("dropout", "cuda").draw(*there), load("dropout", "reference").draw(seed, counter)
    assert here(key) == expected and here(there[1]) == counter == 42 and here(there[0]) == seed
    x = np.ones((5, 3, 2, 2), np.float32)
    for direction in ("forward", "backward_input"):
        found = here(getattr(load("dropout", "cuda"), direction)(CudaNative.pack(x), rate, key, first, 2.0))
        np.testing.assert_array_equal(
            found, load("dropout", "reference").forward(x, rate, expected, first, 2.0)
        )


def test_dropout_keeps_what_is_exactly_at_the_rate():
    key, reference = np.array([7], np.uint64), load("dropout", "reference")
    rate = float(reference._uniform(key, np.arange(3, dtype=np.uint64))[1])
    x = np.ones((3, 1), np.float32)
    y = here(load("dropout", "cuda").forward(CudaNative.pack(x), rate, memory.to_gpu(key), 0, 1.0))
    assert y[1] == 1
    np.testing.assert_array_equal(y, reference.forward(x, rate, key, 0, 1.0))


# ------------------------------------------------------------------------------------------------ losses and
# activations
@pytest.mark.parametrize(
    "N, K", [(1, 1), (3, 2), (5, 11)]
)  # one image in a block of two; more classes than threads
@pytest.mark.parametrize(
    "operation, options",
    [("softmax_cross_entropy", ()), ("rbf_loss", ("map", 90.0)), ("rbf_loss", ("mse", 90.0))],
)
def test_losses_without_overflow(N, K, operation, options, rng):
    scores, labels = (
        100 * rng.random((N, K)) + 1000 * (operation == "softmax_cross_entropy"),
        rng.integers(0, K, N),
    )
    reference, kernels, there = (
        load(operation, "reference"),
        load(operation, "cuda"),
        (CudaNative.pack(scores), memory.to_gpu(labels), *options),
    )
    dy = rng.standard_normal(N)
    np.testing.assert_allclose(
        here(kernels.forward(*there)), reference.forward(scores, labels, *options), rtol=1e-12, atol=1e-12
    )
    np.testing.assert_allclose(
        here(kernels.backward_input(memory.to_gpu(dy), *there)),
        reference.backward_input(dy, scores, labels, *options),
        1e-11,
        1e-13,
    )


def test_sigmoid_far_out():
    x = np.array([[-1000, -80, -0.0, 0, 80, 1000, np.nan, np.inf, -np.inf]], np.float32)
    y = here(load("sigmoid", "cuda").forward(CudaNative.pack(x)))
    np.testing.assert_allclose(y[0], [0, np.exp(-80.0), 0.5, 0.5, 1, 1, np.nan, 1, 0], rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 3), (5, 3), (2, 3, 2, 2)])
def test_gradient_of_the_centers(shape, rng):  # which the layer keeps fixed
    compare(
        "rbf",
        "backward_centers",
        [rng.standard_normal((shape[0], 2, *shape[2:])), rng.standard_normal(shape)],
        rng.standard_normal((2, 3)),
        rtol=1e-12,
    )


def test_an_input_map_that_nobody_sees_gets_no_gradient(rng):
    connections = np.array([(1, 2), (0, 0), (1, 0)])  # in any order
    weight, dy = rng.standard_normal((3, 2, 1)), rng.standard_normal((2, 2, 2, 3))
    dx = here(
        load("table_conv2d", "cuda").backward_input(
            CudaNative.pack(dy), memory.to_gpu(weight), connections, (2, 3, 3, 3)
        )
    )
    np.testing.assert_allclose(
        dx,
        load("table_conv2d", "reference").backward_input(dy, weight, connections, (2, 3, 3, 3)),
        atol=1e-14,
    )
    assert not dx[:, 1].any() and dx[:, 0].any() and dx[:, 2].any()


# ------------------------------------------------------------------------------------------------ sgd
def _triples(rng, shapes):
    return [[rng.standard_normal(shape) for _ in range(3)] for shape in shapes]


def _there(triples):
    return [tuple(map(memory.to_gpu, triple)) for triple in triples]


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("scale", [1.0, 0.25, 0.0])
def test_change_reads_its_options_from_the_gpu(nesterov, scale, rng):
    sgd, triples = load("sgd", "cuda"), _triples(rng, [(3, 4), (1,), (2, 2, 5)])
    there, options = _there(triples), memory.to_gpu(np.zeros(5))
    for lr in (0.1, 0.02):  # the same call, other numbers
        memory.put(np.array([lr, 0.9, 0.01, nesterov, scale]), options)
        sgd.change(there, options)
        for found, expected in zip(there, triples):
            load("sgd", "reference").update(*expected, lr, 0.9, 0.01, nesterov, scale)
            for array, value in zip(found, expected):
                np.testing.assert_allclose(memory.to_host(array), value, rtol=1e-13)


def test_more_parameters_than_one_launch_takes(rng):
    sgd = load("sgd", "cuda")
    triples = _triples(rng, [(2,)] * (sgd.TOGETHER + 1))
    there = _there(triples)
    sgd.change(there, memory.to_gpu(np.array([0.1, 0.9, 0.0, 0.0, 1.0])))
    for found, expected in zip(there, triples):
        load("sgd", "reference").update(*expected, 0.1, 0.9, 0.0, False, 1.0)
        np.testing.assert_allclose(memory.to_host(found[0]), expected[0], rtol=1e-13)


def test_a_scale_that_is_no_number_changes_nothing(rng):
    triples = _triples(rng, [(3, 4)])
    there = _there(triples)
    load("sgd", "cuda").change(there, memory.to_gpu(np.array([0.1, 0.9, 0.01, 0.0, np.nan])))
    for found, expected in zip(there[0], triples[0]):
        np.testing.assert_array_equal(memory.to_host(found), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_is_the_reference(decoupled, dtype, rng):
    start = [np.abs(rng.standard_normal((3, 7))).astype(dtype) for _ in range(4)]
    expected, there = [value.astype(np.float64) for value in start], [memory.to_gpu(value) for value in start]
    for step in (1, 2):
        settings = 0.1, 0.9, 0.999, 1e-8, 0.01, decoupled, step, 0.5
        load("adam", "cuda").update(*there, *settings)
        load("adam", "reference").update(*expected, *settings)
    for found, value in zip(there, expected, strict=True):
        assert found.dtype == dtype
        np.testing.assert_allclose(
            memory.to_host(found), value, rtol=0, atol=16 * np.finfo(dtype).eps * np.abs(value).max()
        )


def test_adam_of_more_parameters_than_one_launch_takes_and_of_none(rng):
    adam, contract = load("adam", "cuda"), import_module("tinyconv.kernels.adam")
    rows = [
        [np.abs(rng.standard_normal(2)) for _ in range(4)] for _ in range(load("sgd", "cuda").TOGETHER + 1)
    ]
    there = [tuple(map(memory.to_gpu, row)) for row in rows]
    settings = 0.1, 0.9, 0.999, 1e-8, 0.01, True, 3
    # a scale that is no number changes nothing
    for scale in (np.nan, 0.25):
        adam.change(there, memory.to_gpu(np.array([*contract.numbers(*settings), scale])))
        for found, expected in zip(there, rows, strict=True):
            if scale == 0.25:
                load("adam", "reference").update(*expected, *settings, scale)
            for array, value in zip(found, expected, strict=True):
                np.testing.assert_allclose(memory.to_host(array), value, rtol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 1000])
def test_sum_of_squares(size, dtype, rng):
    dweight = rng.standard_normal(size).astype(dtype)
    total = load("sgd", "cuda").sum_of_squares(memory.to_gpu(dweight))
    assert isinstance(total, float) and math.isclose(
        total, np.sum(dweight.astype(np.float64) ** 2), rel_tol=8 * np.finfo(dtype).eps
    )


@pytest.mark.parametrize("clip, scale", [(None, 1.0), (1.0, 1 / np.sqrt(27 + 3200)), (1e3, 1.0)])
@pytest.mark.parametrize(
    "losses, go", [([1.0, 2.0, 0.0], True), ([1.0, np.inf, 0.0], False), ([0.0] * 9 + [np.nan], False)]
)
def test_guarded_options(clip, scale, losses, go):
    options, dweights = (
        np.array([0.1, 0.9, 0.01, 1.0]),
        [memory.to_gpu(np.full(3, 3.0)), memory.to_gpu(np.full(200, 4.0))],
    )
    there = memory.to_gpu(options)
    guarded = memory.to_host(
        load("sgd", "cuda").guarded_options(there, memory.to_gpu(np.array(losses)), dweights, clip)
    )
    np.testing.assert_allclose(guarded, [0.1, 0.9, 0.01, scale if go else np.nan], rtol=1e-14)
    np.testing.assert_array_equal(memory.to_host(there), options)


def test_no_scale_stands_for_no_change():
    losses, zeros = memory.to_gpu(np.zeros(2)), memory.to_gpu(np.zeros(4))
    assert np.isnan(memory.to_host(load("sgd", "cuda").guarded_options(zeros, losses, [losses], 1.0))[3])


@pytest.mark.parametrize("images", [1, 3, 4, 8, 17])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_four_images_at_once_are_those_of_one(images, dtype, rng):
    """Elementwise operations and max pools load 16 bytes where images come in fours."""
    x = rng.standard_normal((images, 2, 5, 7)).astype(dtype)
    x[:, :, 1, 2:4] = 3  # ties, which the first of a window wins
    x[-1, 0, 3, 3] = np.nan
    dy = rng.standard_normal((images, 2, 3, 4)).astype(dtype)
    geometry = (3, 3), (2, 2), (1, 1)
    reference, cuda = (load("max_pool2d", device) for device in ("reference", "cuda"))
    expected = reference.forward(x, *geometry)
    assert np.array_equal(cuda.forward(CudaNative.pack(x), *geometry).unpack(), expected, equal_nan=True)
    x[-1, 0, 3, 3] = 2
    found = cuda.backward_input(CudaNative.pack(dy), CudaNative.pack(x), *geometry).unpack()
    np.testing.assert_allclose(found, reference.backward_input(dy, x, *geometry), rtol=1e-6, atol=1e-6)
    for name, options in (("relu", ()), ("sigmoid", ()), ("scaled_tanh", (1.7, 0.6)), ("tanh", ())):
        reference, cuda = (load(name, device) for device in ("reference", "cuda"))
        y = reference.forward(x, *options)
        tolerance = {"rtol": 1e-5, "atol": 1e-6}
        np.testing.assert_allclose(cuda.forward(CudaNative.pack(x), *options).unpack(), y, **tolerance)
        second = x if name == "relu" else y.astype(dtype)
        found = cuda.backward_input(CudaNative.pack(x), CudaNative.pack(second), *options).unpack()
        np.testing.assert_allclose(found, reference.backward_input(x, second, *options), **tolerance)
