"""The steps of one epoch, made in one of two ways with the same bits: on batches that a Feeder prepares, or
on a data set whose bytes lie on the GPU.

    for _ in steps:             one step is launched in each round
    results(wait)               (loss, scores, labels) of steps that were not asked for yet, in their order:
                                all, or without waiting those that are there
    waited                      seconds spent in waiting for data
"""

from . import execution
from .data import Feeder, image_keys
from .evaluation import central


class FedEpoch:
    """Steps on NumPy batches, each prepared while the one before it is computed. A context, which stops the
    feeder.
    """

    def __init__(self, trainer, order, first):
        self.trainer, size = trainer, trainer.batch_size
        batches = [order[start : start + size] for start in range(first * size, len(order), size)]
        seed, epoch = trainer.seed, trainer.progress.epoch
        self.feeder = (
            Feeder(
                trainer.train,
                trainer.inputs,
                batches,
                keys=lambda place, chosen: image_keys(seed, epoch, chosen),
                training=True,
            )
            if trainer.augment
            else Feeder(trainer.train, central(trainer.inputs), batches, training=False)
        )
        self.outstanding = []

    def __iter__(self):
        t = self.trainer
        for x, labels in self.feeder:
            outcome = execution.submit(t.net, x, labels, t.loss, t.optimizer, t.threads)
            self.outstanding.append((outcome, labels))
            yield

    def results(self, wait):
        """Of the step before the last one always: a GPU computes the last one meanwhile."""
        while len(self.outstanding) > 1 or self.outstanding and (wait or self.outstanding[0][0].ready):
            outcome, labels = self.outstanding.pop(0)
            loss, scores = outcome.checked()
            yield loss, scores, labels

    @property
    def waited(self):
        """Seconds spent in waiting for data."""
        return self.feeder.waited

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.feeder.close()


class ResidentSteps:
    """Steps on a data set that lies on the GPU (execution/resident.py)."""

    waited = 0.0

    def __init__(self, resident, trainer, order, first):
        self.resident = resident
        resident.begin(order, image_keys(trainer.seed, trainer.progress.epoch, order), first)

    def __iter__(self):
        while self.resident.next < self.resident.steps:
            self.resident.step()
            yield

    def results(self, wait):
        """Nothing without waiting: what the GPU has counted is fetched all at once."""
        return self.resident.results() if wait else iter(())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass
