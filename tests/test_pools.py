"""max_pool2d and avg_pool2d: ties, padding, overlap, NaN."""

import numpy as np
import pytest
from conftest import EVERYWHERE

from tinyconv.errors import ShapeError
from tinyconv.layers import AvgPool2d, MaxPool2d


@EVERYWHERE
def test_first_maximum_gets_all_of_dy(device):
    pool = MaxPool2d(2).to(device)
    x = np.array([[[[3.0, 3.0], [3.0, 3.0]]]])
    assert pool.forward(x) == 3
    np.testing.assert_array_equal(pool.backward(np.array([[[[5.0]]]])), [[[[5, 0], [0, 0]]]])


@EVERYWHERE
def test_overlapping_windows_add_up(device):
    pool = MaxPool2d(2, stride=1).to(device)
    x = np.array([[[[0.0, 1.0, 0.0], [0.0, 9.0, 2.0]]]])
    np.testing.assert_array_equal(pool.forward(x), [[[[9, 9]]]])
    np.testing.assert_array_equal(pool.backward(np.array([[[[1.0, 10.0]]]])), [[[[0, 0, 0], [0, 11, 0]]]])


@EVERYWHERE
def test_padding_never_wins_but_counts_in_the_mean(device):
    x = np.full((1, 1, 2, 2), -4.0)
    np.testing.assert_array_equal(MaxPool2d(2, padding=1).to(device).forward(x), np.full((1, 1, 2, 2), -4.0))
    np.testing.assert_array_equal(AvgPool2d(2, padding=1).to(device).forward(x), np.full((1, 1, 2, 2), -1.0))


@EVERYWHERE
def test_nan_is_never_hidden(device):
    x = np.array([[[[1.0, np.nan], [2.0, 3.0]]]])
    assert (
        np.isnan(MaxPool2d(2).to(device).forward(x)).all()
        and np.isnan(AvgPool2d(2).to(device).forward(x)).all()
    )


@EVERYWHERE
def test_minus_infinity_has_a_winner_inside_the_map(device):
    pool = MaxPool2d(2, padding=1).to(device)
    x = np.full((1, 1, 2, 2), -np.inf)
    assert np.isneginf(pool.forward(x)).all()
    np.testing.assert_array_equal(
        pool.backward(np.ones((1, 1, 2, 2))), np.ones((1, 1, 2, 2))
    )  # each window holds one place of the map


# size of the map, window, stride, padding, ceil, positions; checked against PyTorch 2.13's max_pool1d
WINDOWS = [
    (55, 3, 2, 0, False, 27),
    (55, 3, 2, 0, True, 27),
    (32, 3, 2, 0, False, 15),
    (32, 3, 2, 0, True, 16),
    (5, 2, 2, 1, True, 3),
    (5, 2, 3, 1, True, 2),
    (6, 2, 3, 1, True, 3),
    (4, 3, 3, 1, True, 2),
    (3, 2, 5, 1, True, 1),
    (2, 3, 2, 0, True, 1),
    (7, 1, 4, 0, True, 2),
]


@pytest.mark.parametrize("H, window, stride, padding, ceil, positions", WINDOWS)
def test_positions_of_a_window(H, window, stride, padding, ceil, positions):
    assert MaxPool2d(window, stride, padding, ceil).output_shape((1, 1, H, H)) == (1, 1, positions, positions)


@EVERYWHERE
@pytest.mark.parametrize("N", [1, 17])
@pytest.mark.parametrize("H, window, stride, padding, ceil, positions", WINDOWS[3:])
def test_ceil_pools_what_is_there(H, window, stride, padding, ceil, positions, N, device, rng):
    """A window that reaches beyond the map and its padding is cut off there: for the mean it counts less, for
    the maximum nothing changes.
    """
    N, W = (N, 40) if device != "cuda" else (min(N, 3), 8)  # the simulator is slow
    x = rng.standard_normal((N, 2, H, W))
    largest, mean = (
        Pool((window, 3), (stride, 2), (padding, 0), ceil).to(device) for Pool in (MaxPool2d, AvgPool2d)
    )
    y, means = largest.forward(x), mean.forward(x)
    dy = rng.standard_normal(y.shape)
    dx_of_largest, dx_of_mean = np.zeros(x.shape), np.zeros(x.shape)
    assert y.shape == means.shape == (N, 2, positions, W // 2)
    for i in range(positions):
        for j in range(W // 2):
            top, left = i * stride - padding, 2 * j
            rows, columns = slice(max(top, 0), min(top + window, H)), slice(left, min(left + 3, W))
            seen, count = (
                x[:, :, rows, columns],
                (min(top + window, H + padding) - top) * (min(left + 3, W) - left),
            )
            np.testing.assert_array_equal(y[:, :, i, j], seen.max(axis=(2, 3)))
            np.testing.assert_allclose(means[:, :, i, j], seen.sum(axis=(2, 3)) / count, rtol=0, atol=1e-14)
            dx_of_largest[:, :, rows, columns] += np.where(
                seen == y[:, :, i, j, None, None], dy[:, :, i, j, None, None], 0
            )
            dx_of_mean[:, :, rows, columns] += dy[:, :, i, j, None, None] / count
    np.testing.assert_allclose(largest.backward(dy), dx_of_largest, rtol=0, atol=1e-13)
    np.testing.assert_allclose(mean.backward(dy), dx_of_mean, rtol=0, atol=1e-13)


@EVERYWHERE
def test_beyond_the_map_never_wins(device):
    x = np.full((1, 1, 2, 2), -np.inf)
    pool = MaxPool2d(3, stride=2, ceil=True).to(device)
    assert np.isneginf(pool.forward(x)) and pool.output_shape((1, 1, 4, 4)) == (1, 1, 2, 2)
    np.testing.assert_array_equal(pool.backward(np.ones((1, 1, 1, 1))), [[[[1, 0], [0, 0]]]])
    assert MaxPool2d(3, stride=2, ceil=True).to(device).forward(np.full((1, 1, 2, 2), -4.0)) == -4
    assert (
        AvgPool2d(3, stride=2, ceil=True).to(device).forward(np.full((1, 1, 2, 2), -4.0)) == -4
    )  # divided by 4, not 9


@pytest.mark.parametrize("Pool", [MaxPool2d, AvgPool2d])
def test_options_that_cannot_be(Pool):
    with pytest.raises(ValueError, match="padding: expected 0 or more and less than the size"):
        Pool(2, padding=2)
    with pytest.raises(ShapeError, match=r"Pool2d\(size=\(5, 5\).*a window of 5 does not fit into 4 pixels"):
        Pool(5).forward(np.zeros((1, 1, 4, 4)))
    with pytest.raises(
        ShapeError, match=r"ceil=True.*a window of 5 does not fit into 2 pixels with padding 0"
    ):
        Pool(5, stride=3, ceil=True).forward(np.zeros((1, 1, 2, 2)))
