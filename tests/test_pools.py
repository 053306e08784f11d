"""max_pool2d and avg_pool2d: ties, padding, overlap, NaN."""
import numpy as np
import pytest

from tinyconv.errors import ShapeError
from tinyconv.layers import AvgPool2d, MaxPool2d

DEVICES = pytest.mark.parametrize("device", ["reference", "cpu"])


@DEVICES
def test_first_maximum_gets_all_of_dy(device):
    pool = MaxPool2d(2).to(device)
    x = np.array([[[[3.0, 3.0], [3.0, 3.0]]]])
    assert pool.forward(x) == 3
    np.testing.assert_array_equal(pool.backward(np.array([[[[5.0]]]])), [[[[5, 0], [0, 0]]]])


@DEVICES
def test_overlapping_windows_add_up(device):
    pool = MaxPool2d(2, stride=1).to(device)
    x = np.array([[[[0.0, 1.0, 0.0], [0.0, 9.0, 2.0]]]])
    np.testing.assert_array_equal(pool.forward(x), [[[[9, 9]]]])
    np.testing.assert_array_equal(pool.backward(np.array([[[[1.0, 10.0]]]])), [[[[0, 0, 0], [0, 11, 0]]]])


@DEVICES
def test_padding_never_wins_but_counts_in_the_mean(device):
    x = np.full((1, 1, 2, 2), -4.0)
    np.testing.assert_array_equal(MaxPool2d(2, padding=1).to(device).forward(x), np.full((1, 1, 2, 2), -4.0))
    np.testing.assert_array_equal(AvgPool2d(2, padding=1).to(device).forward(x), np.full((1, 1, 2, 2), -1.0))


@DEVICES
def test_nan_is_never_hidden(device):
    x = np.array([[[[1.0, np.nan], [2.0, 3.0]]]])
    assert np.isnan(MaxPool2d(2).to(device).forward(x)).all() and np.isnan(AvgPool2d(2).to(device).forward(x)).all()


@DEVICES
def test_minus_infinity_has_a_winner_inside_the_map(device):
    pool = MaxPool2d(2, padding=1).to(device)
    x = np.full((1, 1, 2, 2), -np.inf)
    assert np.isneginf(pool.forward(x)).all()
    np.testing.assert_array_equal(pool.backward(np.ones((1, 1, 2, 2))), np.ones((1, 1, 2, 2)))     # each window holds one place of the map


@pytest.mark.parametrize("Pool", [MaxPool2d, AvgPool2d])
def test_options_that_cannot_be(Pool):
    with pytest.raises(ValueError, match="padding: expected 0 or more and less than the size"):
        Pool(2, padding=2)
    with pytest.raises(ShapeError, match=r"Pool2d\(size=\(5, 5\).*a window of 5 does not fit into 4 pixels"):
        Pool(5).forward(np.zeros((1, 1, 4, 4)))
