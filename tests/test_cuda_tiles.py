"""conv2d and dense on the GPU, or in numba-cuda's simulator: the plain kernels, the tiles, and the intrinsics
that the tiles are made of.
"""

import numpy as np
import pytest

from tinyconv.kernels import load
from tinyconv.kernels._cuda import convolution, launch, memory, package, ptx, tile_shapes, tiles
from tinyconv.kernels._cuda.native import CudaNative

pytestmark = pytest.mark.skipif(not package.INSTALLED, reason="numba-cuda is not installed: tinyconv[cuda]")


def native(x):
    return CudaNative(memory.to_gpu(np.moveaxis(x, 0, -1)), x.shape)


def host(y):
    return np.moveaxis(memory.to_host(y.data), -1, 0) if isinstance(y, CudaNative) else memory.to_host(y)


# (x's shape, O, kernel_size, stride, padding, groups, ceil)
CONVOLUTIONS = [
    ((1, 1, 5, 6), 1, (3, 2), (1, 1), (0, 0), 1, False),
    ((17, 2, 2, 3), 3, (3, 3), (1, 1), (1, 1), 1, False),
    ((4, 4, 7, 6), 6, (3, 2), (2, 3), (1, 0), 2, False),
    ((4, 3, 8, 7), 5, (3, 4), (2, 2), (0, 1), 1, True),
    ((5, 2, 7, 5), 4, (1, 2), (3, 1), (0, 0), 2, False),
]  # stride over the window: pixels that nothing reads


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("x_shape, O, kernel_size, stride, padding, groups, ceil", CONVOLUTIONS)
def test_conv2d(x_shape, O, kernel_size, stride, padding, groups, ceil, dtype, rng):
    reference, conv2d = load("conv2d", "reference"), load("conv2d", "cuda")
    x, weight = (
        rng.standard_normal(shape).astype(dtype)
        for shape in (x_shape, (O, x_shape[1] // groups, *kernel_size))
    )
    bias = rng.standard_normal(O).astype(dtype)
    options = stride, padding, groups
    y = reference.forward(x, weight, bias, *options, ceil)
    dy = rng.standard_normal(y.shape).astype(dtype)
    there = memory.to_gpu(weight)
    close(conv2d.forward(native(x), there, memory.to_gpu(bias), *options, ceil), y)
    close(
        conv2d.forward(native(x), there, None, *options, ceil),
        reference.forward(x, weight, None, *options, ceil),
    )
    close(
        conv2d.backward_input(native(dy), there, x.shape, *options),
        reference.backward_input(dy, weight, x.shape, *options),
    )
    close(
        conv2d.backward_weight(native(dy), native(x), kernel_size, *options),
        reference.backward_weight(dy, x, kernel_size, *options),
    )
    close(conv2d.backward_bias(native(dy)), reference.backward_bias(dy))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("x_shape, O", [((17, 7), 3), ((1, 5), 9), ((4, 9, 3, 2), 5), ((3, 2, 5), 1)])
def test_dense(x_shape, O, dtype, rng):
    reference, dense = load("dense", "reference"), load("dense", "cuda")
    x, weight, bias = (rng.standard_normal(shape).astype(dtype) for shape in (x_shape, (O, x_shape[1]), O))
    y = reference.forward(x, weight, bias)
    dy, there = rng.standard_normal(y.shape).astype(dtype), memory.to_gpu(weight)
    close(dense.forward(native(x), there, memory.to_gpu(bias)), y)
    close(dense.forward(native(x), there, None), reference.forward(x, weight, None))
    close(dense.backward_input(native(dy), there), reference.backward_input(dy, weight))
    close(dense.backward_weight(native(dy), native(x)), reference.backward_weight(dy, x))
    close(dense.backward_bias(native(dy)), reference.backward_bias(dy))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_relu_on_the_way(dtype, rng):
    """with_relu and masked_backward_input are relu behind forward and its backward behind backward_input, to
    the bit.
    """
    conv2d, dense, relu = (load(name, "cuda") for name in ("conv2d", "dense", "relu"))
    x, weight, bias = (rng.standard_normal(shape).astype(dtype) for shape in ((5, 2, 4, 5), (3, 2, 3, 3), 3))
    options, there, z = (
        ((1, 1), (1, 1), 1),
        memory.to_gpu(weight),
        native(rng.standard_normal(x.shape).astype(dtype)),
    )
    y = conv2d.forward(native(x), there, memory.to_gpu(bias), *options)
    same(conv2d.with_relu(native(x), there, memory.to_gpu(bias), *options), relu.forward(y))
    dx = conv2d.backward_input(y, there, x.shape, *options)
    same(conv2d.masked_backward_input(y, there, x.shape, *options, z), relu.backward_input(dx, z))
    same(
        conv2d.with_relu(
            native(x),
            memory.to_gpu(weight[:, :, :, :1].repeat(5, 3).repeat(2, 2)[:, :, :4]),
            None,
            (1, 1),
            (0, 0),
            1,
        ),
        relu.forward(
            conv2d.forward(
                native(x),
                memory.to_gpu(weight[:, :, :, :1].repeat(5, 3).repeat(2, 2)[:, :, :4]),
                None,
                (1, 1),
                (0, 0),
                1,
            )
        ),
    )
    x, weight = (rng.standard_normal(shape).astype(dtype) for shape in ((17, 9), (3, 9)))
    there, z = memory.to_gpu(weight), native(rng.standard_normal(x.shape).astype(dtype))
    y = dense.forward(native(x), there, memory.to_gpu(bias))
    same(dense.with_relu(native(x), there, memory.to_gpu(bias)), relu.forward(y))
    same(dense.masked_backward_input(y, there, z), relu.backward_input(dense.backward_input(y, there), z))


FORMS = [
    ((4, 4, 3, 3), 6, (2, 3), (1, 1), (0, 1), 2),
    ((3, 5, 4, 3), 18, (2, 3), (1, 1), (0, 1), 1),
]  # copies of 16 bytes, and of 4


@pytest.mark.parametrize("x_shape, O, kernel_size, stride, padding, groups", FORMS)
@pytest.mark.parametrize("splits", [1, 3])
@pytest.mark.parametrize(
    "tile",
    tile_shapes.TILES + tile_shapes.TENSOR_TILES,
    ids=lambda tile: f"{tile.BM}x{tile.BN}{' tf32' * tile.tensor}",
)
def test_every_tile(tile, splits, x_shape, O, kernel_size, stride, padding, groups, rng, monkeypatch):
    """Whichever tile is taken and however often k is split: the same numbers, but for rounding. What goes on
    behind the sum goes on behind the last part.
    """
    if not package.SIMULATOR and max(tile.BN, tile.BM) > tile.threads:
        pytest.skip("this tile has too few threads for copies of 4 bytes")
    monkeypatch.setattr(tiles, "choice", lambda *arguments: (tile, splits))
    reference, conv2d, options = (
        load("conv2d", "reference"),
        load("conv2d", "cuda"),
        (stride, padding, groups),
    )
    rounded = tf32 if tile.tensor else lambda a: a
    x, weight = (
        rounded(rng.standard_normal(shape).astype(np.float32))
        for shape in (x_shape, (O, x_shape[1] // groups, *kernel_size))
    )
    bias, there = rng.standard_normal(O).astype(np.float32), memory.to_gpu(weight)
    y = reference.forward(x, weight, bias, *options)
    dy, z = (
        rounded(rng.standard_normal(y.shape).astype(np.float32)),
        rng.standard_normal(x.shape).astype(np.float32),
    )
    close(conv2d.with_relu(native(x), there, memory.to_gpu(bias), *options), np.maximum(y, 0))
    dx = reference.backward_input(dy, weight, x.shape, *options)
    close(
        conv2d.masked_backward_input(native(dy), there, x.shape, *options, native(z)),
        np.where(z > 0, dx, np.float32(0)),
    )
    dweight = conv2d.backward_weight(native(dy), native(x), kernel_size, *options)
    close(dweight, reference.backward_weight(dy, x, kernel_size, *options))
    same(conv2d.backward_weight(native(dy), native(x), kernel_size, *options), dweight)


@pytest.mark.parametrize(
    "tile", [tile_shapes.GPU_TILES[0], tile_shapes.GPU_TENSOR_TILES[0]], ids=["float32", "tf32"]
)
def test_a_tile_of_a_real_gpu(tile, rng, monkeypatch):
    """Several warps, and for tf32 16 x 8 sums a thread: what the small tiles of the simulator do not have."""
    monkeypatch.setattr(tiles, "choice", lambda *arguments: (tile, 1))
    x, weight = (rng.standard_normal(shape).astype(np.float32) for shape in ((4, 17), (130, 17)))
    if tile.tensor:
        x, weight = tf32(x), tf32(weight)
    close(load("dense", "cuda").forward(native(x), memory.to_gpu(weight), None), x @ weight.T)


def tf32(a):
    """The nearest numbers with 10 bits behind the point, ties away from zero."""
    return ((a.view(np.uint32) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)


def test_tf32(rng):
    """Each factor is rounded to TF32, which moves it by up to 2^-11 of itself; products and sums
    are float32.
    """
    dense, x, weight = (
        load("dense", "cuda"),
        *(rng.standard_normal(shape).astype(np.float32) for shape in ((5, 21), (9, 21))),
    )
    with launch.computing_in("tf32"):
        found = host(dense.forward(native(x), memory.to_gpu(weight), None))
    close(found, tf32(x) @ tf32(weight).T)
    error, bound = np.abs(found - x @ weight.T), 2.0**-10 * np.abs(x) @ np.abs(weight).T
    assert (error < 1.01 * bound).all() and error.max() > 1e-5, "nothing was rounded"
    close(dense.forward(native(x), memory.to_gpu(weight), None), x @ weight.T)


def test_no_images():
    """A batch of none: outputs of none, and gradients of parameters that are sums of nothing."""
    conv2d, dense, options = load("conv2d", "cuda"), load("dense", "cuda"), ((1, 1), (1, 1), 1)
    x, dy, weight = (
        CudaNative.empty((0, 2, 4, 5), np.float32),
        CudaNative.empty((0, 3, 4, 5), np.float32),
        memory.to_gpu(np.ones((3, 2, 3, 3), np.float32)),
    )
    assert conv2d.forward(x, weight, None, *options).shape == (0, 3, 4, 5)
    assert conv2d.backward_input(dy, weight, x.shape, *options).shape == x.shape
    assert not host(conv2d.backward_weight(dy, x, (3, 3), *options)).any()
    x, dy = CudaNative.empty((0, 4), np.float32), CudaNative.empty((0, 3), np.float32)
    assert not host(dense.backward_weight(dy, x)).any()


def test_more_groups_than_blocks_reach():
    assert not convolution.fits((3, 3), np.zeros(1, np.float32), groups=launch.ROWS + 1)
    assert tile_shapes.choice(1, 4, 9, launch.ROWS + 1, False, False, 1, 1, True, False)[1] == 1
    with pytest.raises(ValueError, match="at most 65,535 maps"):
        launch.row_blocks(4, 5, 70_000)


@pytest.mark.skipif(not package.SIMULATOR, reason="an intrinsic can be called from a kernel alone")
def test_numpy_intrinsics(rng):
    """The twins keep the contracts of _cuda_ptx.py."""
    a, b = ptx.Fragment(4, True, 12, 1, 0, 3), ptx.Fragment(8, False, 40, 4, 1, 16)
    shared = rng.standard_normal(600).astype(np.float32)
    sums = ptx.multiply_add(a, b, range(8))(np.ones(32, np.float32), shared, 5, 200)
    for i, j in np.ndindex(4, 8):
        column = j // 4 * 16 + j % 4
        expected = 1 + sum(shared[5 + 3 * i * 12 + k] * shared[200 + column + 40 * k] for k in range(8))
        np.testing.assert_allclose(sums[i * 8 + j], expected, rtol=1e-5, atol=1e-5)
    ptx.putter(a, b, 50, 1, 2)(np.arange(32), shared, 100)
    np.testing.assert_array_equal(shared[100 + 50 * 3 + 16 :][:4], np.arange(3 * 8 + 4, 3 * 8 + 8))
    ptx.copier(4)(shared, 8, np.arange(20), 3, True)
    ptx.copier(4)(shared, 12, np.arange(20), 10**9, False)
    np.testing.assert_array_equal(shared[8:16], [3, 4, 5, 6, 0, 0, 0, 0])


def same(found, expected):
    np.testing.assert_array_equal(host(found), host(expected))


def close(found, expected, error=None):
    """Within the rounding errors of sums of some hundred terms, or `error`."""
    found = found if isinstance(found, np.ndarray) else host(found)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=(error or 64 * np.finfo(expected.dtype).eps) * np.abs(expected).max()
    )
