"""softmax_cross_entropy and rbf_loss: values known by hand, extremes, wrong labels."""

import numpy as np
import pytest
from conftest import EVERYWHERE

from tinyconv.errors import DataError, ShapeError
from tinyconv.losses import RBFLoss, SoftmaxCrossEntropy, top_k


@EVERYWHERE
def test_softmax_by_hand(device):
    loss = SoftmaxCrossEntropy().to(device)
    assert loss.forward(np.zeros((3, 5)), [0, 1, 4]) == pytest.approx(np.log(5))
    scores = np.log(np.array([[1.0, 2.0, 5.0]]))  # probabilities 1/8, 2/8, 5/8
    assert loss.forward(scores, [2]) == pytest.approx(-np.log(5 / 8))
    np.testing.assert_allclose(loss.backward(), [[1 / 8, 2 / 8, 5 / 8 - 1]])
    assert loss.predict(scores) == [2]


@EVERYWHERE
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extremes_neither_overflow_nor_vanish(device, dtype):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        loss = SoftmaxCrossEntropy().to(device)
        assert loss.forward(np.array([[1e4, 0, -1e4]], dtype), [1]) == pytest.approx(1e4)
        np.testing.assert_allclose(loss.backward(), [[1, -1, 0]], atol=1e-6)
        loss = RBFLoss("map", j=10).to(device)
        # all penalties beyond e^-p: p + log(e^-10) = 1000 - 10; naively log(0)
        assert loss.forward(np.array([[1000.0, 2000.0]], dtype), [0]) == pytest.approx(990)
        np.testing.assert_allclose(loss.backward(), [[1, 0]], atol=1e-6)
        # a large j: the right class is nearest, log(e^-500 + e^-300 + e^-400) = -300
        loss = RBFLoss("map", j=500).to(device)
        assert loss.forward(np.array([[300.0, 400.0]], dtype), [0]) == pytest.approx(0, abs=1e-4)
        np.testing.assert_allclose(loss.backward(), [[0, 0]], atol=1e-6)


@EVERYWHERE
def test_rbf_loss_is_equations_8_and_9(device, rng):
    penalties, labels = rng.uniform(0, 12, (17, 10)), rng.integers(10, size=17)
    right = penalties[np.arange(17), labels]
    assert RBFLoss("mse").to(device).forward(penalties, labels) == pytest.approx(right.mean())
    loss = RBFLoss("map", j=3).to(device)
    assert loss.forward(penalties, labels) == pytest.approx(
        np.mean(right + np.log(np.exp(-3) + np.exp(-penalties).sum(axis=1)))
    )
    assert (loss.predict(penalties) == penalties.argmin(axis=1)).all()


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), RBFLoss("map")], ids=repr)
def test_wrong_labels_and_scores(loss):
    scores = np.zeros((3, 10), np.float32)
    with pytest.raises(DataError, match=r"labels from 0 to 9, got labels\[1\] = 10"):
        loss.forward(scores, [0, 10, 3])
    with pytest.raises(DataError, match=r"got labels\[2\] = -1"):
        loss.forward(scores, [0, 1, -1])
    with pytest.raises(DataError, match="integer labels, got float64"):
        loss.forward(scores, [0.0, 1.0, 2.0])
    with pytest.raises(ShapeError, match="one label for each of 3 images"):
        loss.forward(scores, [0, 1])
    with pytest.raises(ShapeError, match=r"scores of shape \(N, classes\), got \(3, 10, 1, 1\)"):
        loss.forward(scores[:, :, None, None], [0, 1, 2])
    with pytest.raises(RuntimeError, match="backward before forward"):
        type(loss)().backward()


def test_options_that_cannot_be():
    with pytest.raises(ValueError, match="'mse' or 'map', got 'mle'"):
        RBFLoss("mle")
    with pytest.raises(ValueError, match="j above 0"):
        RBFLoss("map", j=0)


def test_top_k(rng):
    scores = np.array(
        [[0.1, 0.5, 0.3, 0.2], [4.0, 3.0, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0], [-1.0, -3.0, -2.0, -4.0]]
    )
    assert [top_k(scores, [3, 3, 3, 3], k) for k in (1, 2, 3, 4)] == [1, 1, 0.75, 0]
    assert [top_k(scores, [1, 1, 1, 2], k) for k in (1, 2, 3)] == [
        0.75,
        0,
        0,
    ]  # of equal scores the earlier class comes first
    scores, labels = rng.integers(7, size=(500, 20)), rng.integers(20, size=500)  # with many ties
    assert top_k(scores, labels, 1) == np.mean(SoftmaxCrossEntropy.predict(scores) != labels)
    order = np.argsort(-scores, axis=1, kind="stable")
    assert top_k(scores, labels, 5) == pytest.approx(
        1 - np.mean([label in best for label, best in zip(labels, order[:, :5])])
    )
    assert isinstance(top_k(scores, labels, 5), float)


def test_top_k_of_what_cannot_be():
    scores = np.array([[np.nan, np.nan, np.nan], [0.0, np.nan, 1.0]])
    assert top_k(scores, [1, 2], 3) == 0.5 and top_k(scores, [1, 2], 1) == 1
    with pytest.raises(ValueError, match="k from 1 to the 3 classes, got 4"):
        top_k(scores, [0, 0], 4)
    with pytest.raises(ShapeError, match=r"scores of shape \(N, classes\), got \(3,\)"):
        top_k(scores[0], [0, 0, 0], 1)
    with pytest.raises(DataError, match="labels from 0 to 2"):
        top_k(scores, [0, 3], 1)
