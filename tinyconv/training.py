"""Training over whole data sets, in a way that can be stopped at any step and resumed to the same bits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from . import checkpoint
from .annotation import PathLike
from .epochs import FedEpoch, ResidentSteps
from .errors import DivergedError
from .evaluation import central, chunk, evaluate
from .execution import resident
from .execution.resident import ResidentEpoch, ResidentScores

if TYPE_CHECKING:
    from .data import Images, Inputs
    from .layer import Layer
    from .losses import Loss
    from .optim import Optimizer


@dataclass
class Progress:
    """Where a run stands: all that, beside weights, velocity and random draws, it takes to go on as if
    nothing had happened.
    """

    epoch: int = 0  # complete ones
    step: int = 0  # steps taken in the epoch after those
    loss_sum: float = 0.0  # over the images of that epoch
    mistakes: int = 0
    seconds: float = 0.0
    waited: float = 0.0  # seconds of these, for data
    first_loss: float | None = None  # of the untrained network: what a run that diverges does not get below
    history: list = field(default_factory=list)  # one dict an epoch


class Trainer:
    """Trains `net` on the Images `train`, testing on `test` after each epoch. `inputs` (Inputs) says what the
    network sees of an image.

    Every epoch goes through all images in an order drawn from (seed, epoch), `batch_size` at a time; the last
    batch may be smaller. Crops, reflections and colour noise are drawn from (seed, epoch, image). The tests
    after an epoch see one crop of an image, the central one. The same seed and number of threads give the
    same bits, interrupted or not.

    augment              False: training sees what the tests see, without crops, reflections and noise
    until_error          stop after the first epoch whose training error (a share, 0 to 1) is no larger; None:
                         after `epochs`
    checkpoint_seconds   save within an epoch too, as soon as this much time has gone by since the last time

    run(save, stop)   goes on from `progress` to the end of the last epoch; calls save() after each epoch.
                      stop() is asked after every step: where it is true, run saves and returns False. Raises
                      DivergedError, before saving, where training fails.
    save(path), load(path)   a checkpoint of everything
    resident, why_not_resident   on a GPU, once training has begun: the data set that lies there, or None and
                                 the sentence that says why it does not
    """

    def __init__(
        self,
        net: Layer,
        loss: Loss,
        optimizer: Optimizer,
        train: Images,
        test: Images,
        inputs: Inputs,
        *,
        epochs: int,
        batch_size: int,
        seed: int = 0,
        threads: int | None = None,
        augment: bool = True,
        until_error: float | None = None,
        checkpoint_seconds: float = math.inf,
    ) -> None:
        self.net, self.loss, self.optimizer, self.train, self.test, self.inputs = (
            net,
            loss,
            optimizer,
            train,
            test,
            inputs,
        )
        self.epochs, self.batch_size, self.seed, self.threads = epochs, batch_size, seed, threads
        self.augment, self.until_error, self.checkpoint_seconds = augment, until_error, checkpoint_seconds
        self.progress = Progress()
        self.resident, self.why_not_resident, self._tests, self._parts = None, None, None, ()

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one epoch; the last batch may be smaller."""
        return -(-len(self.train) // self.batch_size)

    @property
    def finished(self) -> bool:
        """True after the last epoch, or once the training error is low enough."""
        p = self.progress
        reached = self.until_error is not None and p.history and p.history[-1]["error"] <= self.until_error
        return p.epoch >= self.epochs or bool(reached)

    def run(
        self,
        save: Callable[[], object] = lambda: None,
        stop: Callable[[], bool] = lambda: False,
        show: bool = True,
    ):
        """Train to the end of the last epoch; return False where stop() ended it before. See the class."""
        self.saved_at = time.perf_counter()
        self._parts = ()  # images may have been changed since the last run: they go to the GPU anew
        while not self.finished:
            self._epoch(save, stop, show)
            save()
            self.saved_at = time.perf_counter()
            if stop() and not self.finished:
                return False
        return True

    def _epoch(self, save, stop, show):
        p, images = self.progress, len(self.train)
        order = np.random.default_rng([self.seed, p.epoch]).permutation(images)
        start, shown, waited = time.perf_counter() - p.seconds, 0.0, p.waited
        with (
            tqdm(
                total=images,
                initial=p.step * self.batch_size,
                desc=f"epoch {p.epoch + 1}/{self.epochs}",
                unit="image",
                leave=False,
                disable=not show,
            ) as bar,
            self._steps(order) as steps,
        ):
            for _ in steps:
                p.step += 1
                last = p.step == self.steps_per_epoch
                interrupted = not last and stop()
                now, seen = time.perf_counter(), min(p.step * self.batch_size, images)
                due = now - self.saved_at > self.checkpoint_seconds
                drawn = last or show and now - shown > 0.1  # at every step it would cost a tenth of it
                for result in steps.results(wait=interrupted or due or drawn):
                    self._count(*result)
                p.seconds, p.waited = now - start, waited + steps.waited
                if drawn:
                    shown = now
                    bar.set_postfix(
                        loss=f"{p.loss_sum / seen:.3f}",
                        error=f"{100 * p.mistakes / seen:.2f}%",
                        refresh=False,
                    )
                    bar.update(seen - bar.n)
                if interrupted:
                    return
                if due:
                    save()
                    self.saved_at = time.perf_counter()
            p.seconds = time.perf_counter() - start
        self._end_of_epoch(stop, show)

    def _steps(self, order):
        """The steps of this epoch that are left: on the GPU alone where the data set lies there."""
        inputs = self.inputs if self.augment else central(self.inputs)
        made_of = self.net, self.loss, self.optimizer, self.train, inputs
        parts = *made_of[:4], self.test, self.inputs, self.batch_size, self.threads, self.augment
        if len(self._parts) != len(parts) or any(one is not two for one, two in zip(parts, self._parts)):
            self.resident, self._tests, self._parts = None, None, parts
            self.why_not_resident = resident.why_not(*made_of)
            if self.why_not_resident is None:
                self.resident = ResidentEpoch(*made_of, self.batch_size, self.threads, self.augment)
        if self.resident is None:
            return FedEpoch(self, order, self.progress.step)
        return ResidentSteps(self.resident, self, order, self.progress.step)

    def _resident_tests(self):
        """The test images on the GPU, where the training images are there and these may be too."""
        inputs = central(self.inputs)
        if self.resident is None or resident.why_not(self.net, self.loss, None, self.test, inputs):
            return None
        if self._tests is None:
            images = chunk(self.net, inputs)
            self._tests = ResidentScores(self.net, self.test, inputs, images, self.threads)
        return self._tests

    def _count(self, loss, scores, labels):
        """Add what one step has made to the progress of the epoch."""
        p = self.progress
        p.loss_sum += loss * len(labels)
        p.mistakes += int((self.loss.predict(scores) != labels).sum())
        p.first_loss = loss if p.first_loss is None else p.first_loss

    def _end_of_epoch(self, stop, show):
        p, images = self.progress, len(self.train)
        # bounded units saturate instead of overflowing: the loss stays finite, and large
        if p.first_loss is not None and p.loss_sum / images > 2 * p.first_loss:
            raise DivergedError(
                f"training diverged: in epoch {p.epoch + 1} the mean loss was {p.loss_sum / images:.4g}, "
                "more than twice the "
                f"{p.first_loss:.4g} of the untrained network; use a smaller learning rate, or clip the "
                "gradient"
            )
        result = evaluate(
            self.net,
            self.loss,
            self.test,
            central(self.inputs),
            self.threads,
            stop,
            show and len(self.test) > 2048,
            self._resident_tests(),
        )
        if result is None:  # stopped: resumed, the epoch has no step left, and is tested
            return
        if not np.isfinite(result.loss):  # the last step of an epoch may have been the one too many
            raise DivergedError(
                f"training diverged: after epoch {p.epoch + 1} the test loss is {result.loss}; use a "
                "smaller learning rate"
            )
        p.history.append(
            {
                "epoch": p.epoch + 1,
                "loss": p.loss_sum / images,
                "error": p.mistakes / images,
                "test_loss": result.loss,
                "test_error": result.error,
            }
            | ({} if result.top5_error is None else {"test_top5_error": result.top5_error})
            | {
                "lr": self.optimizer.rate(self.optimizer.steps - 1),
                "seconds": round(p.seconds, 3),
                "waited": round(p.waited, 3),
            }
        )
        if show:
            top5 = "" if result.top5_error is None else f" (top-5 {100 * result.top5_error:5.2f}%)"
            waited = (
                f", of which {p.waited:.1f} s waiting for data"
                if p.waited > 0.05 * p.seconds and p.waited > 1
                else ""
            )
            tqdm.write(
                f"epoch {p.epoch + 1:3d}  loss {p.loss_sum / images:8.4f}  training error "
                f"{100 * p.mistakes / images:5.2f}%  "
                f"test error {100 * result.error:5.2f}%{top5}  {p.seconds:.1f} s{waited}"
            )
        self.progress = Progress(epoch=p.epoch + 1, first_loss=p.first_loss, history=p.history)

    def save(self, path: PathLike) -> None:
        """Write the run to `path`, whole or not at all. Raises OSError or CheckpointError."""
        checkpoint.write(path, self.net, self.optimizer, **asdict(self.progress))

    def load(self, path: PathLike) -> None:
        """Take up the run that save() wrote. Raises CheckpointError for another network's."""
        self.progress = checkpoint.read(path, self.net, self.optimizer, Progress)
