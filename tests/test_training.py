"""Training on a small data set: it learns, stops where it must, and resumes to the same bits."""
import numpy as np
import pytest

import tinyconv as tc
from tinyconv.data import Dataset
from tinyconv.errors import CheckpointError, DivergedError
from tinyconv.layers import Conv2d, Dense, Dropout, Flatten, ReLU
from tinyconv.training import Trainer, evaluate


def stripes(images, seed):
    """Two classes: horizontal and vertical stripes, with noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=images)
    pictures = rng.integers(0, 120, (images, 1, 8, 8))
    for picture, label in zip(pictures[:, 0], labels):
        (picture if label else picture.T)[:, ::2] += 80
    return Dataset("stripes", pictures.astype(np.uint8), labels.astype(np.int64), ("horizontal", "vertical"), "fit")


def trainer(epochs=3, lr=0.05, **options):
    net = tc.Sequential(C1=Conv2d(1, 4, 3, rng=0), A1=ReLU(), flat=Flatten(), D=Dropout(0.2, rng=3), F2=Dense(144, 2, rng=1))
    return Trainer(net, tc.SoftmaxCrossEntropy(), tc.SGD(net, tc.optimizers.cosine(lr, epochs * 7), momentum=0.9), stripes(200, 0), stripes(90, 1),
                   epochs=epochs, batch_size=32, seed=4, threads=2, **options)


def weights(trainer):
    return {name: value.tobytes() for name, value in {**trainer.net.params, **trainer.optimizer.velocity}.items()}


def results(trainer):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in trainer.progress.history]


def test_it_learns():
    t = trainer()
    assert t.run(show=False) is True
    assert t.progress.epoch == 3 and t.optimizer.steps == 21 == 3 * t.steps_per_epoch
    assert t.progress.history[-1]["test_error"] < 0.05 < t.progress.history[-1]["loss"] + 0.05 < 0.4


@pytest.mark.parametrize("stop_after", [1, 7, 10, 14, 20])
def test_a_resumed_run_ends_with_the_same_bits(stop_after, tmp_path):
    whole, path = trainer(), tmp_path / "checkpoint.npz"
    assert whole.run(show=False)
    asked = iter(range(1, 100))
    first = trainer()
    assert first.run(lambda: first.save(path), stop=lambda: next(asked) >= stop_after, show=False) is False
    second = trainer()
    second.load(path)
    assert 0 < second.optimizer.steps <= stop_after
    assert second.run(show=False)
    assert weights(second) == weights(whole) and results(second) == results(whole)


def test_the_seed_decides():
    a, b, c = trainer(1), trainer(1), trainer(1)
    c.seed = 5
    for t in (a, b, c):
        t.run(show=False)
    assert weights(a) == weights(b) != weights(c)


def test_divergence_is_said():
    t, saved = trainer(lr=1e4), []
    with pytest.raises(DivergedError, match="training diverged: .*use a smaller learning rate"):
        t.run(lambda: saved.append(1), show=False)
    assert not saved


def test_divergence_in_the_last_step_of_an_epoch_is_said_before_anything_is_saved():
    t, saved = trainer(1, lr=1e25), []
    t.batch_size = len(t.train)                              # one step: its own loss was fine
    with pytest.raises(DivergedError, match="after epoch 1 the test loss is nan"):
        t.run(lambda: saved.append(1), show=False)
    assert not saved


def test_a_network_without_a_run_cannot_be_resumed(tmp_path):
    t = trainer()
    t.net.save(tmp_path / "net.npz")
    with pytest.raises(CheckpointError, match="expected velocity/C1.weight"):
        t.load(tmp_path / "net.npz")


def test_evaluation():
    t = trainer(1)
    result = evaluate(t.net, t.loss, t.test, chunk=40)
    scores = t.net.forward(t.test.inputs())
    np.testing.assert_allclose(result.scores, scores, rtol=1e-6)
    assert result.mistakes == (scores.argmax(axis=1) != t.test.labels).sum() and result.loss == pytest.approx(t.loss.forward(scores, t.test.labels))
    counts = result.confusion()
    assert counts.sum() == 90 and counts.trace() == 90 - result.mistakes and (counts.sum(axis=1) == np.bincount(t.test.labels)).all()
    assert str(result) == f"test error: {100 * result.mistakes / 90:.2f}% ({result.mistakes} of 90)"
