"""LeNet-5 as the paper has it, to the last parameter; its codes; scanning; the baseline."""

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.models import lenet5, mlp
from tinyconv.models.digit_codes import HEIGHT, WIDTH, digit_codes
from tinyconv.models.lenet5 import C3_TABLE

TABLE_I = {
    0: "012",
    1: "123",
    2: "234",
    3: "345",
    4: "045",
    5: "015",
    6: "0123",
    7: "1234",
    8: "2345",
    9: "0345",
    10: "0145",
    11: "0125",
    12: "0134",
    13: "1245",
    14: "0235",
    15: "012345",
}


def test_the_papers_numbers():
    summary = lenet5(rng=0).summary()
    rows = {
        name: (shape, parameters, connections) for name, _, shape, parameters, connections, _ in summary.rows
    }
    assert rows["C1"] == ((6, 28, 28), 156, 122304) and rows["S2"] == ((6, 14, 14), 12, 5880)
    assert rows["C3"] == ((16, 10, 10), 1516, 151600) and rows["S4"] == ((16, 5, 5), 32, 2000)
    assert (
        rows["C5"] == ((120, 1, 1), 48120, 48120)
        and rows["F6"] == ((84,), 10164, 10164)
        and rows["output"] == ((10,), 0, 840)
    )
    assert summary.parameters == 60000 and summary.connections == 340908
    assert lenet5("dense").summary().parameters == 60850 and mlp().summary().parameters == 79510


def test_table_i():
    assert C3_TABLE.shape == (16, 6) and (C3_TABLE.sum(axis=0) == 10).all()
    assert {o: "".join(map(str, np.flatnonzero(row))) for o, row in enumerate(C3_TABLE)} == TABLE_I


def test_squashes_are_the_papers():
    squashes = [layer for layer in lenet5().layers if isinstance(layer, tc.layers.ScaledTanh)]
    assert len(squashes) == 6 and {(s.amplitude, s.slope) for s in squashes} == {(1.7159, 2 / 3)}


def test_initial_weights_are_uniform_in_2_4_over_fan_in():
    params = lenet5(rng=0).params
    for name, fan_in in {"C1": 25, "S2": 4, "S4": 4, "C5": 400, "F6": 120}.items():
        for key in ("weight", "coefficient", "bias"):
            if (value := params.get(f"{name}.{key}")) is not None:
                assert np.abs(value).max() <= 2.4 / fan_in
                assert (
                    value.size < 100
                    or np.abs(value).max() > 0.95 * 2.4 / fan_in
                    and abs(value.mean()) < 0.1 * 2.4 / fan_in
                )
    weight, maps = params["C3.weight"], C3_TABLE.sum(axis=1)[np.argwhere(C3_TABLE)[:, 0]]
    for seen in (3, 4, 6):
        assert 0.95 < np.abs(weight[maps == seen]).max() / (2.4 / (25 * seen)) <= 1


def test_digit_codes():
    codes = digit_codes()
    assert codes.shape == (10, HEIGHT * WIDTH) == (10, 84) and set(np.unique(codes)) == {-1, 1}
    distance = (codes[:, None] != codes).sum(axis=2)
    assert distance[~np.eye(10, dtype=bool)].min() == 14


@pytest.mark.parametrize("head", ["rbf", "dense"])
def test_a_wider_image_is_scanned(head, rng):
    """C5 is a convolution: column k of the row of outputs is what LeNet-5 says of the 32x32 window at 4k."""
    net, x = lenet5(head, rng=0), rng.standard_normal((2, 1, 32, 64)).astype(np.float32)
    row = net.forward(x)
    assert net.trace(x)["C5"].shape == (2, 120, 1, 9) and row.shape == (2, 10, 1, 9)
    for k in range(9):
        np.testing.assert_allclose(
            row[:, :, 0, k],
            net.forward(np.ascontiguousarray(x[..., 4 * k : 4 * k + 32])),
            rtol=1e-4,
            atol=1e-4,
        )


def test_heads():
    assert lenet5(classes=3).forward(np.zeros((1, 1, 32, 32), np.float32)).shape == (1, 3)
    assert lenet5("dense", classes=26).forward(np.zeros((1, 1, 32, 32), np.float32)).shape == (1, 26)
    with pytest.raises(ValueError, match="head 'rbf' or 'dense', got 'softmax'"):
        lenet5("softmax")
    with pytest.raises(ValueError, match="codes for 1 to 10 classes, got 11"):
        lenet5(classes=11)


def test_an_image_of_the_wrong_size():
    with pytest.raises(tc.errors.ShapeError, match=r"Conv2d.*a window of 5 does not fit into 4 pixels"):
        lenet5().forward(np.zeros((1, 1, 28, 28), np.float32))
    with pytest.raises(tc.errors.ShapeError, match=r"Dense\(in_features=784.*got \(1, 1024\)"):
        mlp().forward(np.zeros((1, 1, 32, 32), np.float32))
