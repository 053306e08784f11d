"""Batches ready before the network asks for them."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from .ahead import Ahead
from .dataset import Dataset, Images
from .inputs import Inputs

PIECE = 2**20  # bytes of input that a thread makes at a time


class Feeder:
    """(x, labels) for each of `batches`, in their order: read and prepared by threads while the batch before
    is in use.

        with Feeder(images, inputs, batches, keys=lambda place, chosen: image_keys(seed, epoch, chosen),
        training=True) as feeder:
            for x, labels in feeder:

    images    Images           inputs   Inputs, which make what the network sees: x float32 (n, *inputs.shape), or (n crops, *inputs.shape)
    batches   int arrays (n,), indices of images; labels are int64 (n,), also where testing has ten crops an
              image
    keys      what inputs.training draws from: keys(place of the batch in batches, its indices) gives uint64
              (n,); or an array with the key of each image of `images`. A key must depend on seed, epoch and
              image alone, then threads and interrupts make no difference.
    ahead     how many batches may wait, finished or being made; beside them there is the one that was given
              last
    workers   threads (default: the processors of this process; 0, so that a batch is made when it is asked
              for, where one of images in memory takes less than a millisecond)

    An error of a worker, such as of a file that cannot be read, is raised where the batch would have been.
    Leaving the context, also by Ctrl-C, stops the threads. waited: seconds spent in waiting for batches so
    far. An iterator: it goes through the batches once.
    """  # noqa: E501

    def __init__(
        self,
        images: Images,
        inputs: Inputs,
        batches: Sequence[np.ndarray],
        *,
        keys: Callable | None = None,
        training: bool,
        ahead: int = 2,
        workers: int | None = None,
    ) -> None:
        self.images, self.inputs, self.keys, self.training = images, inputs, keys, training
        batches = [np.asarray(chosen, np.int64) for chosen in batches]
        self._crops = 1 if training else inputs.crops
        size = 4 * math.prod(inputs.shape) * self._crops
        self._together = max(1, PIECE // size)  # images in a piece
        largest = max(map(len, batches), default=0)
        if workers is None and isinstance(images, Dataset) and largest * size <= PIECE:
            workers = 0
        self._ahead = Ahead(
            self._fill,
            self._pieces(batches),
            workers=workers,
            ahead=max(1, ahead * -(-largest // self._together)),
        )

    def _pieces(self, batches):
        """Each batch in pieces of about a megabyte, so that all threads work at the next batch. Its array is
        made when its first piece begins.
        """
        for place, chosen in enumerate(batches):
            x = np.empty((len(chosen) * self._crops, *self.inputs.shape), np.float32)
            key = None
            if self.training and self.keys is not None:
                key = self.keys(place, chosen) if callable(self.keys) else np.asarray(self.keys)[chosen]
            for first in range(0, len(chosen), self._together):
                piece = slice(first, first + self._together)
                yield x, chosen, piece, None if key is None else key[piece]

    def _fill(self, job):
        x, chosen, piece, key = job
        images, out = self.images.read(chosen[piece]), x[piece.start * self._crops : piece.stop * self._crops]
        if self.training:
            self.inputs.training(images, key, out)
        else:
            self.inputs.testing(images, out)
        return x, chosen, piece.stop >= len(chosen)

    @property
    def waited(self):
        """Seconds for which the trainer has waited for data."""
        return self._ahead.waited

    def __iter__(self):
        return self

    def __next__(self):
        for x, chosen, last in self._ahead:
            if last:
                return x, self.images.labels[chosen]
        raise StopIteration

    def close(self) -> None:
        """Stop the threads."""
        self._ahead.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
