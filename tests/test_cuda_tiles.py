"""conv2d and dense on the GPU, or in numba-cuda's simulator: the plain kernels, the tiles, and the intrinsics that the tiles are made of."""
import numpy as np
import pytest

from tinyconv.kernels import _cuda, load
from tinyconv.kernels._cuda_native import CudaNative

pytestmark = pytest.mark.skipif(_cuda.missing() is not None, reason=f"{_cuda.missing()}; or set NUMBA_ENABLE_CUDASIM=1")


def native(x):
    return CudaNative(_cuda.to_gpu(np.moveaxis(x, 0, -1)), x.shape)


def host(y):
    return np.moveaxis(_cuda.to_host(y.data), -1, 0) if isinstance(y, CudaNative) else _cuda.to_host(y)


# (x's shape, O, kernel_size, stride, padding, groups, ceil)
CONVOLUTIONS = [((1, 1, 5, 6), 1, (3, 2), (1, 1), (0, 0), 1, False),
                ((17, 2, 5, 4), 3, (3, 3), (1, 1), (1, 1), 1, False),
                ((4, 4, 7, 6), 6, (3, 2), (2, 3), (1, 0), 2, False),
                ((4, 3, 8, 7), 5, (3, 4), (2, 2), (0, 1), 1, True),
                ((5, 2, 7, 5), 4, (1, 2), (3, 1), (0, 0), 2, False)]          # stride over the window: pixels that nothing reads


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("x_shape, O, kernel_size, stride, padding, groups, ceil", CONVOLUTIONS)
def test_conv2d(x_shape, O, kernel_size, stride, padding, groups, ceil, dtype, rng):
    reference, conv2d = load("conv2d", "reference"), load("conv2d", "cuda")
    x, weight = (rng.standard_normal(shape).astype(dtype) for shape in (x_shape, (O, x_shape[1] // groups, *kernel_size)))
    bias = rng.standard_normal(O).astype(dtype)
    options = stride, padding, groups
    y = reference.forward(x, weight, bias, *options, ceil)
    dy = rng.standard_normal(y.shape).astype(dtype)
    there = _cuda.to_gpu(weight)
    close(conv2d.forward(native(x), there, _cuda.to_gpu(bias), *options, ceil), y)
    close(conv2d.forward(native(x), there, None, *options, ceil), reference.forward(x, weight, None, *options, ceil))
    close(conv2d.backward_input(native(dy), there, x.shape, *options), reference.backward_input(dy, weight, x.shape, *options))
    close(conv2d.backward_weight(native(dy), native(x), kernel_size, *options), reference.backward_weight(dy, x, kernel_size, *options))
    close(conv2d.backward_bias(native(dy)), reference.backward_bias(dy))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("x_shape, O", [((17, 7), 3), ((1, 5), 9), ((4, 9, 3, 2), 5), ((3, 2, 5), 1)])
def test_dense(x_shape, O, dtype, rng):
    reference, dense = load("dense", "reference"), load("dense", "cuda")
    x, weight, bias = (rng.standard_normal(shape).astype(dtype) for shape in (x_shape, (O, x_shape[1]), O))
    y = reference.forward(x, weight, bias)
    dy, there = rng.standard_normal(y.shape).astype(dtype), _cuda.to_gpu(weight)
    close(dense.forward(native(x), there, _cuda.to_gpu(bias)), y)
    close(dense.forward(native(x), there, None), reference.forward(x, weight, None))
    close(dense.backward_input(native(dy), there), reference.backward_input(dy, weight))
    close(dense.backward_weight(native(dy), native(x)), reference.backward_weight(dy, x))
    close(dense.backward_bias(native(dy)), reference.backward_bias(dy))


def close(found, expected, error=None):
    """Within the rounding errors of sums of some hundred terms, or `error`."""
    found = host(found)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=(error or 64 * np.finfo(expected.dtype).eps) * np.abs(expected).max())
