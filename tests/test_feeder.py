"""Feeder: the same batches whatever the threads, bounded, and errors and interrupts that leave nothing
behind.
"""

import threading
import time

import numpy as np
import pytest

from tinyconv.data import ahead
from tinyconv.data.ahead import Ahead
from tinyconv.data.dataset import Dataset, Images
from tinyconv.data.feeder import Feeder
from tinyconv.data.inputs import Inputs, image_keys
from tinyconv.errors import DataError


class Slow(Images):
    """Images that take a while, of which some cannot be read."""

    def __init__(self, n=50, shape=(3, 6, 6), broken=(), seconds=0.0):
        super().__init__("slow", np.arange(n) % 4, "abcd", "photo 6", shape)
        self.broken, self.seconds, self.reads = broken, seconds, []

    def read_places(self, places):
        self.reads.extend(places)
        time.sleep(self.seconds)
        for place in places:
            if place in self.broken:
                raise DataError(f"image{place}.jpg cannot be read")
        return np.stack([np.full(self.shape, place, np.uint8) for place in places])


@pytest.fixture(autouse=True)
def nothing_left_running():
    before = threading.active_count()
    yield
    assert threading.active_count() <= before


@pytest.fixture
def pieces_of_three(monkeypatch):
    monkeypatch.setattr("tinyconv.data.feeder.PIECE", 3 * 4 * 3 * 4 * 4)


BATCHES = [
    np.array([7, 0, 3, 49, 5, 1, 2]),
    np.array([4]),
    np.array([], int),
    np.array([-1, 7]),
    np.arange(20, 30),
]


@pytest.mark.parametrize("workers", [0, 1, 3, None])
@pytest.mark.parametrize("ahead", [1, 2, 5])
def test_the_same_batches_for_any_threads(rng, pieces_of_three, workers, ahead):
    images = Dataset(
        "some", rng.integers(0, 256, (50, 3, 6, 6), np.uint8), np.arange(50) % 4, tuple("abcd"), "photo 6"
    )
    inputs = Inputs((3, 6, 6), crop=4, mirror=True, shift=1, crops=1)
    key = image_keys(1, 2, np.arange(50))
    for training in (True, False):
        with Feeder(
            images, inputs, BATCHES, keys=key, training=training, ahead=ahead, workers=workers
        ) as feeder:
            fed = list(feeder)
        assert len(fed) == len([chosen for chosen in BATCHES if len(chosen)])
        for chosen, (x, labels) in zip([chosen for chosen in BATCHES if len(chosen)], fed):
            expected = (
                inputs.training(images.images[chosen], key[chosen])
                if training
                else inputs.testing(images.images[chosen])
            )
            np.testing.assert_array_equal(x, expected)
            assert labels.tolist() == images.labels[chosen].tolist() and labels.dtype == np.int64


def test_ten_crops_and_keys_of_a_function(rng, pieces_of_three):
    images = Dataset(
        "some", rng.integers(0, 256, (50, 3, 6, 6), np.uint8), np.arange(50) % 4, tuple("abcd"), "photo 6"
    )
    inputs = Inputs((3, 6, 6), crop=4, crops=10, mirror=True)
    with Feeder(images, inputs, BATCHES[:1], training=False, workers=2) as feeder:
        ((x, labels),) = feeder
    np.testing.assert_array_equal(x, inputs.testing(images.images[BATCHES[0]]))
    assert x.shape == (70, 3, 4, 4) and labels.shape == (7,)
    asked = []

    def key(place, chosen):
        asked.append(place)
        return image_keys(9, place, chosen)

    with Feeder(images, inputs, BATCHES[:2], keys=key, training=True, workers=2) as feeder:
        for place, (x, _) in enumerate(feeder):
            np.testing.assert_array_equal(
                x, inputs.training(images.images[BATCHES[place]], image_keys(9, place, BATCHES[place]))
            )
    assert asked == [0, 1]


def test_no_more_than_ahead_is_read(pieces_of_three):
    images = Slow(100)
    batches = np.arange(100).reshape(10, 10)
    with Feeder(
        images, Inputs(images.shape, crop=4), batches, keys=np.arange(100), training=True, ahead=2, workers=3
    ) as feeder:
        next(feeder)
        time.sleep(0.1)
        assert 10 < len(images.reads) <= 30 and feeder.waited > 0


def test_waiting_is_what_the_training_saves():
    images = Slow(20, seconds=0.02)
    with Feeder(
        images, Inputs(images.shape), np.arange(20).reshape(5, 4), training=False, workers=1
    ) as feeder:
        next(feeder)
        begun = feeder.waited
        for _ in range(3):
            time.sleep(0.1)
            next(feeder)
    assert begun >= 0.02 and feeder.waited - begun < 0.05


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_comes_in_its_place_with_its_name(workers, pieces_of_three):
    images = Slow(40, broken=(25,))
    with Feeder(
        images, Inputs(images.shape), np.arange(40).reshape(4, 10), training=False, workers=workers
    ) as feeder:
        assert next(feeder)[0].shape == (10, 3, 6, 6) and next(feeder)[1].tolist() == [
            i % 4 for i in range(10, 20)
        ]
        with pytest.raises(DataError, match="image25.jpg cannot be read"):
            next(feeder)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_leaving_stops_the_threads(error, pieces_of_three):
    images = Slow(400, seconds=0.01)
    with (
        pytest.raises(error),
        Feeder(
            images, Inputs(images.shape), np.arange(400).reshape(4, 100), training=False, ahead=2, workers=2
        ) as feeder,
    ):
        next(feeder)
        raise error
    read = len(images.reads)
    time.sleep(0.05)
    assert 100 <= len(images.reads) == read < 200 and not list(feeder)


def test_keys_are_asked_for():
    images = Slow(4)
    with pytest.raises(ValueError, match="expected key, uint64"):
        with Feeder(images, Inputs(images.shape, mirror=True), [np.arange(4)], training=True) as feeder:
            next(feeder)


def test_small_batches_in_memory_need_no_thread():
    images = Dataset("some", np.zeros((9, 1, 4, 4), np.uint8), np.zeros(9, np.int64), ("a",), "fit")
    assert (
        Feeder(images, Inputs.digits((1, 4, 4), (1, 4, 4)), [np.arange(9)], training=True)._ahead.workers == 0
    )


def test_ahead_keeps_the_order_and_ends(monkeypatch):
    monkeypatch.setattr(ahead, "available_threads", lambda: 3)

    def work(job):
        time.sleep(0.01 * (job % 3))
        return job * job

    with Ahead(work, range(20)) as squares:
        assert list(squares) == [job * job for job in range(20)] and next(squares, None) is None


def test_work_goes_on_while_a_result_is_in_use():
    begun = [threading.Event() for _ in range(3)]
    with Ahead(lambda job: begun[job].set(), range(3), workers=1, ahead=1) as results:
        next(results)
        assert begun[1].wait(10)
        time.sleep(0.02)
        assert not begun[2].is_set()
