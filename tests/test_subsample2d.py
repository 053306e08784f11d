"""subsample2d: the windows are added, times a coefficient, plus a bias."""

import numpy as np
import pytest

from tinyconv.layers import Subsample2d


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_by_hand(device):
    layer = Subsample2d(2).astype(np.float64).to(device)
    layer.params["coefficient"][:], layer.params["bias"][:] = (0.5, -1.0), (10.0, 0.0)
    x = np.arange(12.0).reshape(1, 2, 2, 3)  # the third column fills no window
    np.testing.assert_allclose(layer.forward(x), [[[[10 + 0.5 * (0 + 1 + 3 + 4)]], [[-(6 + 7 + 9 + 10)]]]])
    dx = layer.backward(np.array([[[[2.0]], [[3.0]]]]))
    np.testing.assert_allclose(dx, [[[[1, 1, 0], [1, 1, 0]], [[-3, -3, 0], [-3, -3, 0]]]])
    np.testing.assert_allclose(layer.grads["coefficient"], [2 * 8, 3 * 32])
    np.testing.assert_allclose(layer.grads["bias"], [2, 3])
