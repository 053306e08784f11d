"""Testing over whole data sets."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from . import execution
from .data.feeder import Feeder
from .losses import top_k
from .network import walk

if TYPE_CHECKING:
    from .data import Images, Inputs
    from .layer import Layer
    from .losses import Loss

MANY_CLASSES = 10  # above so many, being among the five best answers says something
CHUNK_BYTES = 2**29  # of the arrays that the layers make of a chunk of images


@dataclass(frozen=True)
class Evaluation:
    """How a network does on a data set: `scores` (N, classes), `predictions` (N,), `loss` (mean), and what
    follows from them.
    """

    scores: np.ndarray
    predictions: np.ndarray
    labels: np.ndarray
    loss: float
    # the share of images whose label is not among the five best answers; None for few classes
    top5_error: float | None

    @property
    def mistakes(self) -> int:
        """Number of wrong answers."""
        return int((self.predictions != self.labels).sum())

    @property
    def error(self) -> float:
        """Share of wrong answers, 0 to 1."""
        return self.mistakes / len(self.labels)

    def confusion(self) -> np.ndarray:
        """(classes, classes) counts: row = label, column = answer."""
        counts = np.zeros((self.scores.shape[1],) * 2, int)
        np.add.at(counts, (self.labels, self.predictions), 1)
        return counts

    def __str__(self):
        top5 = "" if self.top5_error is None else f", top-5 error: {100 * self.top5_error:.2f}%"
        return f"test error: {100 * self.error:.2f}% ({self.mistakes} of {len(self.labels)}){top5}"


def evaluate(
    net: Layer,
    loss: Loss,
    images: Images,
    inputs: Inputs,
    threads: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    show: bool = False,
    resident: Any = None,
) -> Evaluation | None:
    """Run the network over all of `images` (Images), as `inputs` (Inputs) shows them; gives an Evaluation.

    stop() is asked after every chunk: where it is true, the answer is None.
    resident  these images where they lie on the GPU: execution.resident.ResidentScores
    """
    if resident is not None:
        scores = resident.scores()
    else:
        parts = []
        for y in forward_all(net, images, inputs, threads, "testing" if show else None):
            parts.append(average_crops(y, inputs.crops))
            if stop():
                return None
        scores = np.concatenate(parts)
    top5 = top_k(scores, images.labels, 5) if scores.shape[1] > MANY_CLASSES else None
    return Evaluation(scores, loss.predict(scores), images.labels, loss.forward(scores, images.labels), top5)


def forward_all(
    net: Layer, images: Images, inputs: Inputs, threads: int | None = None, title: str | None = None
) -> Iterator[np.ndarray]:
    """Yields y (n crops, ...) of the network for one chunk of n images after the other, with a progress bar
    where it has a title.
    """
    n = chunk(net, inputs)
    batches = [np.arange(first, min(first + n, len(images))) for first in range(0, len(images), n)]
    with (
        tqdm(total=len(images), desc=title, unit="image", leave=False, disable=title is None) as bar,
        Feeder(images, inputs, batches, training=False) as feeder,
    ):
        for x, labels in feeder:
            yield execution.forward(net, x, threads)
            bar.update(len(labels))


def chunk(net: Layer, inputs: Inputs, most: int = 2048) -> int:
    """Images that go through the network together: 8, 16, 24, ... as many as CHUNK_BYTES allow."""
    elements = math.prod(inputs.shape) + sum(
        math.prod(node.y_shape) for node in walk(net, (1, *inputs.shape))
    )
    fitting = CHUNK_BYTES // (elements * inputs.crops * np.dtype(np.float32).itemsize)
    return min(max(fitting // 8 * 8, 8), most)


def central(inputs: Inputs) -> Inputs:
    """The same Inputs, except that testing sees only the central crop of an image."""
    one = copy.copy(inputs)
    one.crops = 1
    return one


def average_crops(scores: np.ndarray, crops: int) -> np.ndarray:
    """The scores of each image, from those of its `crops` neighbouring rows: the logarithm of the mean of
    their softmax probabilities.

    So a softmax of what comes out is what Krizhevsky et al. 2012 (section 4.1) average: the network's
    predictions for the ten crops.
    """
    if crops == 1:
        return scores
    scores = scores.astype(np.float64).reshape(-1, crops, scores.shape[1])
    logs = scores - np.logaddexp.reduce(scores, axis=2, keepdims=True)
    return (np.logaddexp.reduce(logs, axis=1) - math.log(crops)).astype(np.float32)
