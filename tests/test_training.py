"""Training on a small data set: it learns, stops where it must, and resumes to the same bits."""

import numpy as np
import pytest

import tinyconv as tc
from tinyconv import evaluation
from tinyconv.data import Dataset, Inputs
from tinyconv.errors import CheckpointError, DivergedError
from tinyconv.evaluation import average_crops, evaluate
from tinyconv.layers import Conv2d, Dense, Dropout, Flatten, ReLU
from tinyconv.training import Trainer


def stripes(images, seed):
    """Two classes: horizontal and vertical stripes, with noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=images)
    pictures = rng.integers(0, 120, (images, 1, 8, 8))
    for picture, label in zip(pictures[:, 0], labels):
        (picture if label else picture.T)[:, ::2] += 80
    return Dataset(
        "stripes", pictures.astype(np.uint8), labels.astype(np.int64), ("horizontal", "vertical"), "fit"
    )


DIGITS = Inputs.digits((1, 8, 8), (1, 8, 8))
SHIFTED = Inputs(
    (1, 8, 8), scale=0.01, mean=100.0, shift=1, mirror=True
)  # every image is another one in every epoch


def trainer(epochs=3, lr=0.05, inputs=DIGITS, **options):
    net = tc.Sequential(
        C1=Conv2d(1, 4, 3, rng=0), A1=ReLU(), flat=Flatten(), D=Dropout(0.2, rng=3), F2=Dense(144, 2, rng=1)
    )
    return Trainer(
        net,
        tc.SoftmaxCrossEntropy(),
        tc.SGD(net, tc.optimizers.cosine(lr, epochs * 7), momentum=0.9),
        stripes(200, 0),
        stripes(90, 1),
        inputs,
        epochs=epochs,
        batch_size=32,
        seed=4,
        threads=2,
        **options,
    )


def weights(trainer):
    return {
        name: value.tobytes() for name, value in {**trainer.net.params, **trainer.optimizer.velocity}.items()
    }


def results(trainer):
    return [
        {key: value for key, value in row.items() if key not in ("seconds", "waited")}
        for row in trainer.progress.history
    ]


def test_it_learns():
    t = trainer()
    assert t.run(show=False) is True
    assert t.progress.epoch == 3 and t.optimizer.steps == 21 == 3 * t.steps_per_epoch
    assert t.progress.history[-1]["test_error"] < 0.05 < t.progress.history[-1]["loss"] + 0.05 < 0.4


@pytest.mark.parametrize("inputs", [DIGITS, SHIFTED], ids=["digits", "shifted"])
@pytest.mark.parametrize("stop_after", [1, 7, 10, 14, 20])
def test_a_resumed_run_ends_with_the_same_bits(stop_after, inputs, tmp_path):
    whole, path = trainer(inputs=inputs), tmp_path / "checkpoint.npz"
    assert whole.run(show=False)
    asked = iter(range(1, 100))
    first = trainer(inputs=inputs)
    assert first.run(lambda: first.save(path), stop=lambda: next(asked) >= stop_after, show=False) is False
    second = trainer(inputs=inputs)
    second.load(path)
    assert 0 < second.optimizer.steps <= stop_after
    assert second.run(show=False)
    assert weights(second) == weights(whole) and results(second) == results(whole)


def test_a_run_that_was_killed_goes_on_from_the_checkpoint_within_the_epoch(tmp_path):
    class Killed(Exception):
        pass

    whole, path, saved = trainer(inputs=SHIFTED), tmp_path / "checkpoint.npz", []
    assert whole.run(show=False)
    first = trainer(inputs=SHIFTED, checkpoint_seconds=0)

    def save():
        first.save(path)
        saved.append((first.progress.epoch, first.progress.step))
        if len(saved) == 11:
            raise Killed

    with pytest.raises(Killed):
        first.run(save, show=False)
    assert saved == [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (0, 6), (0, 7), (1, 0), (1, 1), (1, 2), (1, 3)]
    second = trainer(inputs=SHIFTED)
    second.load(path)
    assert second.run(show=False) and weights(second) == weights(whole) and results(second) == results(whole)


def test_without_augmentation_training_sees_what_tests_see():
    plain, switched_off = (
        trainer(1, inputs=Inputs((1, 8, 8), scale=0.01, mean=100.0)),
        trainer(1, inputs=SHIFTED, augment=False),
    )
    other = trainer(1, inputs=SHIFTED)
    for t in (plain, switched_off, other):
        t.run(show=False)
    assert weights(plain) == weights(switched_off) != weights(other)


def test_it_stops_at_the_training_error_asked_for():
    whole = trainer(lr=0.003)
    whole.run(show=False)
    errors = [row["error"] for row in whole.progress.history]
    assert errors[0] > errors[1]
    t = trainer(lr=0.003, until_error=errors[1])  # reached, not undercut
    assert (
        t.run(show=False) is True
        and t.finished
        and t.progress.epoch == 2
        and results(t) == results(whole)[:2]
    )
    other = trainer(lr=0.003, until_error=errors[1] * 0.99)
    other.run(show=False)
    assert other.progress.epoch == 3


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
    t.batch_size = len(t.train)  # one step: its own loss was fine
    with pytest.raises(DivergedError, match="after epoch 1 the test loss is nan"):
        t.run(lambda: saved.append(1), show=False)
    assert not saved


def test_a_network_without_a_run_cannot_be_resumed(tmp_path):
    t = trainer()
    t.net.save(tmp_path / "net.npz")
    with pytest.raises(CheckpointError, match="holds a network but no training run; use --resume"):
        t.load(tmp_path / "net.npz")


def test_evaluation():
    t = trainer(1)
    result = evaluate(t.net, t.loss, t.test, DIGITS)
    scores = t.net.forward(DIGITS.testing(t.test.images))
    np.testing.assert_allclose(result.scores, scores, rtol=1e-6)
    assert result.mistakes == (scores.argmax(axis=1) != t.test.labels).sum() and result.loss == pytest.approx(
        t.loss.forward(scores, t.test.labels)
    )
    counts = result.confusion()
    assert (
        counts.sum() == 90
        and counts.trace() == 90 - result.mistakes
        and (counts.sum(axis=1) == np.bincount(t.test.labels)).all()
    )
    assert str(result) == f"test error: {100 * result.mistakes / 90:.2f}% ({result.mistakes} of 90)"
    assert result.top5_error is None


def test_evaluation_in_chunks_gives_the_same(monkeypatch):
    t = trainer(1)
    whole = evaluate(t.net, t.loss, t.test, DIGITS)
    monkeypatch.setattr("tinyconv.evaluation.CHUNK_BYTES", 1)
    assert evaluation.chunk(t.net, DIGITS) == 8
    np.testing.assert_allclose(
        evaluate(t.net, t.loss, t.test, DIGITS).scores, whole.scores, rtol=1e-5, atol=1e-7
    )
    asked = iter([False, True])
    assert evaluate(t.net, t.loss, t.test, DIGITS, stop=lambda: next(asked)) is None


def test_ten_crops_are_averaged_as_probabilities():
    softmax = lambda scores: np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    scores = np.random.default_rng(0).normal(0, 3, (40, 12)).astype(np.float32)
    expected = softmax(scores.astype(float)).reshape(4, 10, 12).mean(axis=1)
    np.testing.assert_allclose(softmax(average_crops(scores, 10)), expected, rtol=1e-5)
    assert average_crops(scores, 1) is scores
    assert np.isfinite(average_crops(np.array([[0.0, 1000.0], [0.0, 900.0]], np.float32), 2)).all()


def test_ten_crops_of_every_image_count_once():
    t = trainer(1)
    inputs = Inputs(
        (1, 8, 8), scale=0.01, mean=100.0, crop=8, crops=10
    )  # all crops alike, but for their reflection
    result = evaluate(t.net, t.loss, t.test, inputs)
    images = t.test.images.astype(np.float32)
    one, mirrored = (
        t.net.forward(0.01 * (x - 100)) for x in (images, np.ascontiguousarray(images[..., ::-1]))
    )
    softmax = lambda scores: np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(result.scores), (softmax(one) + softmax(mirrored)) / 2, rtol=1e-4)
    assert len(result.predictions) == 90


def test_five_best_answers_count_where_there_are_many_classes():
    rng = np.random.default_rng(0)
    net = tc.Sequential(flat=Flatten(), F=Dense(64, 12, rng=0))
    images = Dataset(
        "noise",
        rng.integers(0, 256, (50, 1, 8, 8)).astype(np.uint8),
        rng.integers(12, size=50),
        tuple("abcdefghijkl"),
        "fit",
    )
    result = evaluate(net, tc.SoftmaxCrossEntropy(), images, DIGITS)
    among = [label in np.argsort(-scores)[:5] for scores, label in zip(result.scores, images.labels)]
    assert result.top5_error == pytest.approx(1 - np.mean(among)) and 0 < result.top5_error < result.error
    assert str(result).endswith(f", top-5 error: {100 * result.top5_error:.2f}%")
