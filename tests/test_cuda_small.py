"""Kernels for layers too small for tiles, on the GPU or in numba-cuda's simulator: convolutions of few maps,
matrix products of few numbers, parts of sums.
"""

import numpy as np
import pytest

from tinyconv.kernels import load
from tinyconv.kernels._cuda import few_maps_shapes, launch, memory, package, reduce, small_products
from tinyconv.kernels._cuda.native import CudaNative
from tinyconv.kernels._cuda.package import cuda

pytestmark = pytest.mark.skipif(not package.INSTALLED, reason="numba-cuda is not installed: tinyconv[cuda]")
DTYPES = [np.float32, np.float64]


def native(x):
    return CudaNative(memory.to_gpu(np.moveaxis(x, 0, -1)), x.shape)


def host(y):
    return np.moveaxis(memory.to_host(y.data), -1, 0) if isinstance(y, CudaNative) else memory.to_host(y)


def close(found, expected, dtype, terms):
    bound = 4 * np.finfo(dtype).eps * np.sqrt(terms) * max(1, np.abs(expected).max())
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound)


# (x's shape, filter, output maps, connections): one image and 17; rows of one piece and of several, which
# overlap; maps that nobody sees; sums that several blocks share
TABLES = [
    ((1, 1, 1, 1), (1, 1), 1, [(0, 0)]),
    ((3, 2, 4, 5), (2, 3), 3, [(0, 0), (1, 0), (1, 1), (2, 1)]),
    ((17, 3, 5, 9), (3, 2), 2, [(1, 2), (0, 0), (1, 0)]),
    ((2, 1, 3, 13), (1, 1), 1, [(0, 0)]),
    ((6, 6, 6, 7), (5, 5), 4, [(o, c) for o in range(4) for c in range(6)]),
    ((10, 2, 6, 14), (5, 4), 2, [(0, 0), (1, 1), (1, 0)]),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("x_shape, filter, O, connections", TABLES)
def test_few_maps(x_shape, filter, O, connections, dtype, rng):
    kernels, reference = load("table_conv2d", "cuda"), load("table_conv2d", "reference")
    connections = np.array(connections)
    arrays = [rng.standard_normal(shape) for shape in (x_shape, (len(connections), *filter), (O,))]
    x, weight, bias = (array.astype(dtype) for array in arrays)
    exact = [array.astype(np.float64) for array in (x, weight, bias)]
    y = reference.forward(*exact, connections)
    dy = rng.standard_normal(y.shape).astype(dtype)
    there, terms = memory.to_gpu(weight), np.prod(filter) * len(connections)
    close(host(kernels.forward(native(x), there, memory.to_gpu(bias), connections)), y, dtype, terms)
    close(
        host(kernels.backward_input(native(dy), there, connections, x_shape)),
        reference.backward_input(dy.astype(np.float64), exact[1], connections, x_shape),
        dtype,
        terms,
    )
    dweights = [host(kernels.backward_weight(native(dy), native(x), connections, filter)) for _ in range(2)]
    expected = reference.backward_weight(dy.astype(np.float64), exact[0], connections, filter)
    close(dweights[0], expected, dtype, y.size)
    np.testing.assert_array_equal(*dweights, "the same bits again")


def test_which_convolutions_have_few_maps():
    plain = (1, 1), (0, 0), 1
    c1 = (6, 1, 5, 5), (64, 1, 32, 32), (64, 6, 28, 28)
    assert few_maps_shapes.fits(*c1, *plain)
    assert not few_maps_shapes.fits(*c1[:2], (64, 6, 14, 14), (2, 2), *plain[1:])
    assert not few_maps_shapes.fits(*c1[:2], (64, 6, 32, 32), (1, 1), (2, 2), 1)
    # windows that reach beyond the map
    assert not few_maps_shapes.fits(*c1[:2], (64, 6, 29, 29), *plain)
    assert not few_maps_shapes.fits((few_maps_shapes.FEW + 1, 1, 5, 5), *c1[1:], *plain)
    assert not few_maps_shapes.fits(*c1[:1], (0, 1, 32, 32), (0, 6, 28, 28), *plain)


@pytest.mark.parametrize("pixels", [1, 5, 10, 28, 101])
@pytest.mark.parametrize("longest", [5, 16])
def test_pieces_cover_a_row(pixels, longest, monkeypatch):
    monkeypatch.setattr(few_maps_shapes, "LONGEST", longest)
    pieces, length = few_maps_shapes.cut(pixels)
    assert length <= longest and pieces * length >= pixels >= length > (pieces - 1) * length - pixels


@pytest.mark.parametrize("connections", range(1, 12))
@pytest.mark.parametrize("warps", [1, 168, 672, 10**6])
def test_slices_share_connections_evenly(warps, connections, monkeypatch):
    monkeypatch.setattr(few_maps_shapes, "ENOUGH", 1056)
    monkeypatch.setattr(few_maps_shapes, "MOST_SLICES", 10)
    slices = few_maps_shapes.slices_of(warps, connections)
    each = -(-connections // slices)
    assert 1 <= slices <= min(10, connections) and each * (slices - 1) < connections
    assert slices == 1 or warps < 1056


@pytest.mark.parametrize("blocks, most, expected", [(40, 6, 6), (1, 8, 1), (132, 8, 8), (10**4, 8, 8)])
def test_maps_of_a_block_leave_every_multiprocessor_its_share(blocks, most, expected):
    assert few_maps_shapes.maps_of_block(blocks, 16, most) == expected
    assert few_maps_shapes.maps_of_block(blocks, 1, most) == 1


# ------------------------------------------------------------------------------------------------ products
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("more, J, K", [(0, 1, 1), (1, 5, 2), (0, 9, 7), (5, 4, 17), (3, 17, 1), (2, 70, 65)])
@pytest.mark.parametrize(
    "biased, relu, masked", [(False, False, False), (True, True, False), (False, False, True)]
)
def test_small_products(more, J, K, biased, relu, masked, dtype, rng):
    M = small_products.ROWS + more
    A, B, bias, z = (rng.standard_normal(shape).astype(dtype) for shape in ((M, K), (K, J), M, (M, J)))
    expected = A.astype(np.float64) @ B + (bias[:, None] if biased else 0)
    expected = np.where(expected <= 0, 0, expected) if relu else expected
    expected = np.where(z > 0, expected, 0) if masked else expected
    # z is no more exact than the sums are where they are near 0, so it is not made of them
    options = memory.to_gpu(bias) if biased else None, relu, memory.to_gpu(z) if masked else None
    for a, across in ((A, True), (A.T, False)):
        out = memory.to_gpu(np.full((M, J), np.nan, dtype))
        there = memory.to_gpu(np.ascontiguousarray(a))
        small_products.times(there, across, memory.to_gpu(B), out, *options)
        close(memory.to_host(out), expected, dtype, K)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("more, J, I", [(0, 1, 0), (1, 5, 1), (0, 9, 5), (5, 4, 15), (3, 17, 1), (2, 70, 61)])
def test_small_products_of_a_transposed_matrix(more, J, I, dtype, rng):
    M, I = small_products.ROWS + more, small_products.ROWS + I
    A, B = (rng.standard_normal(shape).astype(dtype) for shape in ((M, J), (I, J)))
    out = memory.to_gpu(np.full((M, I), np.nan, dtype))
    small_products.times_transposed(memory.to_gpu(A), memory.to_gpu(B), out)
    close(memory.to_host(out), A.astype(np.float64) @ B.T, dtype, J)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("M, K", [(1, 1), (2, 7), (3, 8), (9, 33)])
@pytest.mark.parametrize("biased, relu", [(False, False), (True, True)])
def test_products_with_one_column(M, K, biased, relu, dtype, rng):
    A, b, bias = (rng.standard_normal(shape).astype(dtype) for shape in ((M, K), (K, 1), M))
    expected = A.astype(np.float64) @ b + (bias[:, None] if biased else 0)
    expected = np.where(expected <= 0, 0, expected) if relu else expected
    out = memory.to_gpu(np.full((M, 1), np.nan, dtype))
    there = memory.to_gpu(bias) if biased else None
    small_products.times_vector(memory.to_gpu(A), memory.to_gpu(b), out, there, relu)
    close(memory.to_host(out), expected, dtype, K)


# ------------------------------------------------------------------------------------------------ parts
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("parts", [1, 2, reduce.FAN, reduce.FAN + 1, 19])
@pytest.mark.parametrize("biased, relu, masked", [(False, False, False), (True, True, True)])
def test_parts_are_added(parts, biased, relu, masked, dtype, rng):
    rows, row = 3, 7
    of_parts = rng.standard_normal((parts, rows * row)).astype(dtype)
    bias, z = rng.standard_normal(rows).astype(dtype), rng.standard_normal(rows * row).astype(dtype)
    expected = of_parts.sum(axis=0, dtype=np.float64) + (np.repeat(bias, row) if biased else 0)
    expected = np.where(expected <= 0, 0, expected) if relu else expected
    expected = np.where(z > 0, expected, 0) if masked else expected
    runs = []
    for _ in range(2):
        out = memory.to_gpu(np.full(rows * row, np.nan, dtype))
        reduce.add_parts(
            memory.to_gpu(of_parts),
            out,
            row,
            memory.to_gpu(bias) if biased else None,
            relu,
            memory.to_gpu(z) if masked else None,
        )
        runs.append(memory.to_host(out))
    close(runs[0], expected, dtype, parts)
    np.testing.assert_array_equal(*runs, "the same bits again")


def test_threads_share_parts_where_they_are_many():
    assert [reduce.threads_for(parts) for parts in (1, reduce.FAN, reduce.FAN + 1)] == [1, 1, 2]
    assert reduce.threads_for(10**6) == reduce.BLOCK


if package.INSTALLED:
    add_lanes, add_all = reduce.lane_sums(3, 2), reduce.tree_sums(3, 2)

    @launch.kernel
    def _several_trees(x, sums, totals):
        values, t = cuda.local.array(3, x.dtype), cuda.threadIdx.x
        for v in range(3):
            values[v] = x[v, t]
        add_all(values, totals, 1)
        add_lanes(values, x)
        if t < 2:
            for v in range(3):
                sums[v, t] = values[v]


def test_several_trees_at_once():
    x = np.arange(3 * reduce.BLOCK, dtype=np.float32).reshape(3, reduce.BLOCK)
    sums, totals = memory.to_gpu(np.zeros((3, 2), np.float32)), memory.to_gpu(np.zeros(5, np.float32))
    _several_trees[1, reduce.BLOCK](memory.to_gpu(x), sums, totals)
    np.testing.assert_array_equal(memory.to_host(sums), x.reshape(3, -1, 2).sum(axis=1))
    np.testing.assert_array_equal(memory.to_host(totals), [0, *x.sum(axis=1), 0])
