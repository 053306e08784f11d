"""The native form of the cpu: images innermost, unused lanes zero."""

import numpy as np
import pytest

from tinyconv.device import unpack
from tinyconv.kernels._cpu.native import Native, images_together, lanes, vector_bytes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("images", [1, 3, 15, 16, 17, 33])
@pytest.mark.parametrize("inner", [(2, 3, 1), (5,)])
def test_round_trip(images, inner, dtype, rng):
    x = rng.standard_normal((images, *inner)).astype(dtype)
    native, L = Native.pack(x), images_together(images, dtype)
    assert native.shape == x.shape and native.data.shape == (-(-images // L), *inner, L)
    np.testing.assert_array_equal(unpack(native), x)
    for n in range(images):
        np.testing.assert_array_equal(native.data[n // L, ..., n % L], x[n])
    used = np.arange(native.data.shape[0] * L) < images
    assert not native.data[-1][..., ~used[-L:]].any()


def test_few_images_stay_apart():
    """Fewer than half a vector: then pixels, not images, lie side by side, and the array is plain (N, C, H,
    W).
    """
    L = lanes(np.float32)
    assert [images_together(N, np.float32) for N in (1, L // 2 - 1, L // 2, L, 3 * L)] == [1, 1, L, L, L]


def test_lanes_fill_one_vector():
    assert lanes(np.float32) * 4 == lanes(np.float64) * 8 == vector_bytes() and vector_bytes() in (16, 32, 64)


def test_part_is_a_view_of_whole_blocks(rng):
    L = lanes(np.float64)
    x = rng.standard_normal((2 * L + 1, 2))
    native = Native.pack(x)
    first, last = native.part(0, 1), native.part(1, 3)
    assert first.shape == (L, 2) and last.shape == (L + 1, 2)
    np.testing.assert_array_equal(unpack(last), x[L:])
    last.data[0] = 0
    assert not unpack(native)[L : 2 * L].any()


def test_reshape_moves_no_data(rng):
    native = Native.pack(rng.standard_normal((3, 2, 2, 1)))
    flat = native.reshape((3, 4))
    assert isinstance(flat, Native) and flat.data.base is not None
    np.testing.assert_array_equal(unpack(flat), unpack(native).reshape(3, 4))
