"""Training and testing over whole data sets, in a way that can be stopped at any step and resumed to the same bits."""
import time
from dataclasses import asdict, dataclass, field

import numpy as np
from tqdm import tqdm

from . import checkpoint, parallel
from .errors import CheckpointError, DivergedError


@dataclass(frozen=True)
class Evaluation:
    """How a network does on a data set: `scores` (N, classes), `predictions` (N,), `loss` (mean), and what follows from them."""

    scores: np.ndarray
    predictions: np.ndarray
    labels: np.ndarray
    loss: float

    @property
    def mistakes(self):
        return int((self.predictions != self.labels).sum())

    @property
    def error(self):
        """Share of wrong answers, 0 to 1."""
        return self.mistakes / len(self.labels)

    def confusion(self):
        """(classes, classes) counts: row = label, column = answer."""
        counts = np.zeros((self.scores.shape[1],) * 2, int)
        np.add.at(counts, (self.labels, self.predictions), 1)
        return counts

    def __str__(self):
        return f"test error: {100 * self.error:.2f}% ({self.mistakes} of {len(self.labels)})"


def evaluate(net, loss, dataset, threads=None, chunk=2048):
    """Run the network over all images of a Dataset, `chunk` at a time; gives an Evaluation."""
    scores = np.concatenate([parallel.forward(net, dataset.inputs(slice(start, start + chunk)), threads)
                             for start in range(0, len(dataset), chunk)])
    return Evaluation(scores, loss.predict(scores), dataset.labels, loss.forward(scores, dataset.labels))


@dataclass
class Progress:
    """Where a run stands: all that, beside weights, velocity and random draws, it takes to go on as if nothing had happened."""

    epoch: int = 0                # complete ones
    step: int = 0                 # steps taken in the epoch after those
    loss_sum: float = 0.0         # over the images of that epoch
    mistakes: int = 0
    seconds: float = 0.0
    first_loss: float | None = None                          # of the untrained network: what a run that diverges does not get below
    history: list = field(default_factory=list)              # one dict an epoch


class Trainer:
    """Trains `net` on the Dataset `train`, testing on `test` after each epoch.

    Every epoch goes through all images in an order drawn from (seed, epoch), `batch_size` at a time; the last batch may be smaller.
    The same seed and number of threads give the same bits, interrupted or not.

    run(save, stop)   goes on from `progress` to the end of the last epoch; calls save() after each epoch. stop() is asked after every step:
                      where it is true, run saves and returns False. Raises DivergedError, before saving, where training fails.
    save(path), load(path)   a checkpoint of everything
    """

    def __init__(self, net, loss, optimizer, train, test, *, epochs, batch_size, seed=0, threads=None):
        self.net, self.loss, self.optimizer, self.train, self.test = net, loss, optimizer, train, test
        self.epochs, self.batch_size, self.seed, self.threads = epochs, batch_size, seed, threads
        self.progress = Progress()

    @property
    def steps_per_epoch(self):
        return -(-len(self.train) // self.batch_size)

    def run(self, save=lambda: None, stop=lambda: False, show=True):
        while self.progress.epoch < self.epochs:
            self._epoch(stop, show)
            save()
            if stop() and self.progress.epoch < self.epochs:
                return False
        return True

    def _epoch(self, stop, show):
        p, images = self.progress, len(self.train)
        order = np.random.default_rng([self.seed, p.epoch]).permutation(images)
        start, shown = time.perf_counter() - p.seconds, 0.0
        with tqdm(total=images, initial=p.step * self.batch_size, desc=f"epoch {p.epoch + 1}/{self.epochs}", unit="image", leave=False,
                  disable=not show) as bar:
            while p.step < self.steps_per_epoch:
                chosen = order[p.step * self.batch_size:(p.step + 1) * self.batch_size]
                self._step(self.train.inputs(chosen), self.train.labels[chosen])
                seen = min(p.step * self.batch_size, images)
                if time.perf_counter() - shown > 0.1 or seen == images:          # a bar drawn at every step would cost a tenth of it
                    shown = time.perf_counter()
                    bar.set_postfix(loss=f"{p.loss_sum / seen:.3f}", error=f"{100 * p.mistakes / seen:.2f}%", refresh=False)
                    bar.update(seen - bar.n)
                if p.step < self.steps_per_epoch and stop():
                    p.seconds = time.perf_counter() - start
                    return
        self._end_of_epoch(time.perf_counter() - start, show)

    def _step(self, x, labels):
        p = self.progress
        value, scores = parallel.train_step(self.net, x, labels, self.loss, self.optimizer, self.threads)
        p.step += 1
        p.loss_sum += value * len(labels)
        p.mistakes += int((self.loss.predict(scores) != labels).sum())
        p.first_loss = value if p.first_loss is None else p.first_loss

    def _end_of_epoch(self, seconds, show):
        p, images = self.progress, len(self.train)
        if p.loss_sum / images > 2 * p.first_loss:          # bounded units saturate instead of overflowing: the loss stays finite, and large
            raise DivergedError(f"training diverged: in epoch {p.epoch + 1} the mean loss was {p.loss_sum / images:.4g}, more than twice the "
                                f"{p.first_loss:.4g} of the untrained network; use a smaller learning rate, or clip the gradient")
        result = evaluate(self.net, self.loss, self.test, self.threads)
        if not np.isfinite(result.loss):                     # the last step of an epoch may have been the one too many
            raise DivergedError(f"training diverged: after epoch {p.epoch + 1} the test loss is {result.loss}; use a smaller learning rate")
        p.history.append({"epoch": p.epoch + 1, "loss": p.loss_sum / images, "error": p.mistakes / images, "test_loss": result.loss,
                          "test_error": result.error, "seconds": round(seconds, 3)})
        if show:
            tqdm.write(f"epoch {p.epoch + 1:3d}  loss {p.loss_sum / images:8.4f}  training error {100 * p.mistakes / images:5.2f}%  "
                       f"test error {100 * result.error:5.2f}%  {seconds:.1f} s")
        self.progress = Progress(epoch=p.epoch + 1, first_loss=p.first_loss, history=p.history)

    def save(self, path):
        checkpoint.write(path, self.net, self.optimizer, **asdict(self.progress))

    def load(self, path):
        progress = checkpoint.read(path, self.net, self.optimizer)
        try:
            self.progress = Progress(**progress)
        except TypeError:
            raise CheckpointError(f"{path}: holds a network but no training run; use --resume on a run's own checkpoint") from None
