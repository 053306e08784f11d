"""A data set whose bytes lie on the GPU: training on it leaves the bits that training on fed batches does."""

import numpy as np
import pytest

from tinyconv import SGD, Adam, Sequential, SoftmaxCrossEntropy, layers
from tinyconv.data import Dataset, Inputs
from tinyconv.data.dataset import Part
from tinyconv.device import to_host
from tinyconv.errors import DivergedError
from tinyconv.execution import resident
from tinyconv.training import Trainer

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed: tinyconv[cuda]")

from tinyconv.data import image_keys  # noqa: E402
from tinyconv.kernels import capturing  # noqa: E402
from tinyconv.kernels._cuda import simulated_driver  # noqa: E402

MANY = dict(crop=(5, 4), mirror=True, colour=0.1, shift=1, outside=-0.5, scale=1 / 128, mean=100.0)


def images(count=11, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=count)
    pixels = rng.integers(256, size=(count, 2, 5, 5), dtype=np.uint8)
    return Dataset("dots", pixels, labels, ("a", "b", "c"), "digit")


def trainer(kind=SGD, augment=True, lr=lambda step: 0.1 / (1 + step), feed=False, batch_size=4, **options):
    inputs = Inputs((2, 5, 5), components=(np.array([2.0, 1.0]), np.eye(2)), **MANY)
    net = Sequential(
        layers.Conv2d(2, 3, 3, rng=0),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dropout(0.3, rng=5),
        layers.Dense(3 * 3 * 2, 3, rng=1),
        input_shape=inputs.shape,
    ).to("cuda")
    loss = SoftmaxCrossEntropy().to("cuda")
    made = Trainer(
        net,
        loss,
        kind(net, lr=lr, **options),
        images(),
        images(5, 1),
        inputs,
        epochs=2,
        batch_size=batch_size,
        seed=3,
        augment=augment,
    )
    if feed:  # no Dataset, so it is fed
        made.train = Part(made.train, np.arange(len(made.train)), "part")
    return made


def result(made):
    history = [
        {k: v for k, v in row.items() if k not in ("seconds", "waited")} for row in made.progress.history
    ]
    arrays = {
        **made.net.params,
        **{f"{s} {n}": a for s, of in made.optimizer.slots.items() for n, a in of.items()},
    }
    return history, made.optimizer.steps, {name: to_host(array).tobytes() for name, array in arrays.items()}


CASES = [
    dict(momentum=0.9),
    dict(momentum=0.9, augment=False),
    dict(kind=Adam, lr=0.01, clip=0.5),
    dict(batch_size=11),
]


@pytest.mark.parametrize("case", CASES)
def test_the_same_bits_as_on_fed_batches(case):
    fed, lying = trainer(feed=True, **case), trainer(**case)
    for made in (fed, lying):
        assert made.run(show=False)
    assert "no Dataset in memory" in fed.why_not_resident and fed.resident is None
    assert lying.resident is not None and lying.why_not_resident is None
    assert result(fed) == result(lying)


@pytest.mark.parametrize("first, second", [(True, False), (False, True), (False, False)])
def test_interrupted_and_resumed_on_either_way(first, second, tmp_path):
    whole = trainer(feed=True, momentum=0.9)
    whole.run(show=False)
    one, asked = trainer(feed=first, momentum=0.9), iter([False, True])
    assert not one.run(show=False, stop=lambda: next(asked, True))
    assert one.progress.step == 2 and one.progress.loss_sum > 0
    one.save(tmp_path / "run.npz")
    two = trainer(feed=second, momentum=0.9)
    two.load(tmp_path / "run.npz")
    assert two.run(show=False) and result(two) == result(whole)


def test_a_loss_that_is_not_finite_is_reported_and_nothing_is_saved():
    saved = []
    for feed in (True, False):
        made = trainer(feed=feed, lr=1e30, momentum=0.9)
        with pytest.raises(DivergedError, match="the loss is"):
            made.run(save=lambda: saved.append(1), show=False)
    assert not saved


def test_parts_that_are_replaced_and_images_that_are_changed_are_used():
    lying, fed = trainer(momentum=0.9), trainer(momentum=0.9, feed=True)
    for made in (lying, fed):
        made.run(show=False)
        made.optimizer = Adam(made.net, lr=0.01)
        train = images(9, seed=4)
        made.train = train if made is lying else Part(train, np.arange(9), "part")
        made.test, made.epochs = images(7, seed=5), 3
        made.run(show=False)
        train.images[...] = 255 - train.images
        made.test.images[...] = 255 - made.test.images
        made.epochs = 4
        made.run(show=False)
    assert lying.resident is not None and fed.resident is None and result(lying) == result(fed)


def test_a_step_is_three_graphs(monkeypatch):
    """And one mark waited for, one recorded: nothing is copied, and no kernel is launched from Python."""
    made, calls = trainer(momentum=0.9), []
    made.run(show=False)
    epoch = made.resident
    epoch.begin(np.arange(11), image_keys(0, 0, np.arange(11)))
    for name in [name for name in vars(simulated_driver) if name.startswith("cu")]:
        monkeypatch.setattr(simulated_driver, name, lambda *_, name=name: (calls.append(name), (0,))[1])
    for name in ("put", "to_gpu"):
        monkeypatch.setattr(capturing, name, lambda *_, name=name: calls.append(name))
    for _ in range(2):  # at two rates: the numbers of both are there
        epoch.step()
    assert calls == 2 * ["cuEventSynchronize", *["cuGraphLaunch"] * 3, "cuEventRecord"]


def test_what_cannot_lie_on_the_gpu_is_said(monkeypatch):
    made = trainer()
    ask = lambda **changes: resident.why_not(
        *{
            "net": made.net,
            "loss": made.loss,
            "optimizer": made.optimizer,
            "images": made.train,
            "inputs": made.inputs,
            **changes,
        }.values()
    )
    assert ask() is None
    assert "read while training goes on" in ask(
        images=made.train.subset(slice(3), "some") and Lazy(made.train)
    )
    assert "runs on the processor" in ask(optimizer=object())
    monkeypatch.setattr(type(resident.backend("cuda")), "memory", lambda self: (2000, 10000))
    assert "more than 25% of the GPU's free memory" in ask()


class Lazy:
    """Images that are no Dataset."""

    def __init__(self, whole):
        self.labels = whole.labels
