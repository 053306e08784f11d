"""Losses: from the scores of a network to one number, and back."""

import copy
from typing import Self

import numpy as np

from .device import backend, check_device, move, pack, to_host, unpack
from .errors import DataError, ShapeError
from .kernels.rbf_loss import CRITERIA


class Loss:
    """E = 1/N sum_n y[n], the mean over a batch of the loss of each image.

    forward(scores, labels)  E as a float; scores (N, classes), labels (N,) int
    backward()               dscores = dE/dscores, (N, classes)
    predict(scores)          the answer for each image, (N,) int
    """

    operation: str = ""
    supports_complex_step = True  # on the reference, for check_gradients

    def __init__(self) -> None:
        self.device, self.cache = "cpu", None

    def forward(self, scores: np.ndarray, labels: np.ndarray) -> float:
        """E for a batch.

        Raises ShapeError unless scores is (N, classes) with a label for each image, DataError for a label out
        of range.
        """
        if len(scores.shape) != 2 or 0 in scores.shape:
            raise ShapeError(f"{self!r}: expected scores of shape (N, classes), got {tuple(scores.shape)}")
        entered = pack(scores, self.device, self)
        labels = self.check_labels(labels, scores.shape[0], scores.shape[1])
        labels = move(labels, self.device)
        self.cache = entered, labels, entered is scores
        losses = to_host(self.kernel.forward(entered, labels, *self._options()))
        total = (
            losses.sum(dtype=np.result_type(losses.dtype, np.float64)) / scores.shape[0]
        )  # in double precision
        return total.item()

    def backward(self) -> np.ndarray:
        """dE/dscores of the last forward, of the same kind (NumPy or native) as its scores."""
        if self.cache is None:
            raise RuntimeError(f"{self!r}: backward before forward; call forward(scores, labels) first")
        scores, labels, native = self.cache
        N = scores.shape[0]
        dy = move(np.full(N, 1 / N, scores.dtype), self.device)  # reverses: E = sum_n y[n] / N
        dscores = self.kernel.backward_input(dy, scores, labels, *self._options())
        return dscores if native else unpack(dscores)

    def predict(self, scores: np.ndarray) -> np.ndarray:
        """Return the answer for each image, (N,) int. A loss of one's own says what it is."""
        raise NotImplementedError(
            f"{type(self).__name__}: expected a method predict(scores) that returns the class of each image, "
            "such as scores.argmax(axis=1), got none; define it"
        )

    def check_labels(self, labels: np.ndarray, images: int, classes: int) -> np.ndarray:
        """`labels` as an int64 array of one label an image. Raises ShapeError or DataError unless each is an
        integer from 0 to classes - 1.
        """
        labels = np.asarray(labels)
        if labels.shape != (images,):
            raise ShapeError(
                f"{self!r}: expected one label for each of {images} images, got labels of shape "
                f"{labels.shape}"
            )
        if labels.dtype.kind not in "iu":
            raise DataError(
                f"{self!r}: expected integer labels, got {labels.dtype}; one-hot labels become integers by "
                "labels.argmax(axis=1)"
            )
        wrong = (labels < 0) | (labels >= classes)
        if wrong.any():
            n = int(wrong.argmax())
            raise DataError(
                f"{self!r}: expected labels from 0 to {classes - 1}, got labels[{n}] = {labels[n]}"
            )
        return labels.astype(np.int64, copy=False)

    def _options(self):
        return ()

    def not_recordable(self) -> str | None:
        """Return None where the kernels are all there is to this loss, so that their calls may be recorded,
        else the reason.
        """
        if not vars(type(self)).get("recordable", False):
            return (
                f"{type(self).__name__} does not say recordable = True: it may compute in Python, "
                "which no tape can repeat"
            )
        patched = [name for name, value in vars(self).items() if callable(value)]
        return (
            f"{patched[0]} of {type(self).__name__} was replaced by a function of Python" if patched else None
        )

    @property
    def kernel(self):
        """The kernels of this loss on its device."""
        return backend(self.device).load(self.operation)

    def to(self, device: str) -> Self:
        """Compute on `device` from now on; returns the loss itself."""
        check_device(device)
        self.device, self.cache = device, None
        return self

    def __deepcopy__(self, memo):
        """On the GPU a copy does not remember the last forward."""
        twin = memo[id(self)] = object.__new__(type(self))
        twin.__dict__.update(
            copy.deepcopy(vars(self) | ({} if backend(self.device).copies_cache else {"cache": None}), memo)
        )
        return twin

    def __repr__(self):
        return f"{type(self).__name__}()"


class SoftmaxCrossEntropy(Loss):
    """E = 1/N sum_n -log p[n,label_n], p a softmax of the scores. The answer is the class of the largest
    score.

    Source: Krizhevsky et al. 2012, section 3.5.
    """

    operation = "softmax_cross_entropy"
    recordable = True

    @staticmethod
    def predict(scores: np.ndarray) -> np.ndarray:
        """Return the class of the largest score of each image, (N,) int."""
        return scores.argmax(axis=1)


class RBFLoss(Loss):
    """The criteria of the 1998 paper over penalties y (N, classes) of RBF units. The answer is the class of
    the smallest penalty.

    "mse"  E = 1/N sum_n y[n,label_n]
    "map"  E = 1/N sum_n (y[n,label_n] + log(e^-j + sum_k e^-y[n,k])), j > 0: also pushes the codes of wrong
           classes away

    Source: LeCun et al. 1998, section II.C, equations 8 and 9. Raises ValueError for another criterion or j
    <= 0.
    """

    operation = "rbf_loss"
    recordable = True

    def __init__(self, criterion: str = "map", j: float = 10.0) -> None:
        super().__init__()
        if criterion not in CRITERIA:
            raise ValueError(
                f"RBFLoss: expected the criterion {' or '.join(map(repr, CRITERIA))}, got {criterion!r}"
            )
        if not j > 0:
            raise ValueError(f"RBFLoss: expected j above 0, got {j}")
        self.criterion, self.j = criterion, float(j)

    @staticmethod
    def predict(scores: np.ndarray) -> np.ndarray:
        """Return the class of the smallest penalty of each image, (N,) int."""
        return scores.argmin(axis=1)

    def _options(self):
        return self.criterion, self.j

    def __repr__(self):
        return f"RBFLoss({self.criterion!r}" + (f", j={self.j:g})" if self.criterion == "map" else ")")


def top_k(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
    """The top-k error: the share of images whose label is not among the k classes of the largest scores, a
    float from 0 to 1.

    scores  (N, classes), of SoftmaxCrossEntropy; for penalties give -penalties
    labels  (N,) int

    Of equal scores the earlier class comes first, as in argmax: alike scores find no more images than k of
    the classes hold. A label whose score is NaN is never found. Raises ShapeError where the shapes do not
    fit, DataError for a label out of range, ValueError unless 1 <= k <= classes.
    """
    scores = np.asarray(scores)
    if scores.ndim != 2 or 0 in scores.shape:
        raise ShapeError(f"top_k: expected scores of shape (N, classes), got {scores.shape}")
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(f"top_k: expected k from 1 to the {scores.shape[1]} classes, got {k}")
    labels = SoftmaxCrossEntropy().check_labels(labels, *scores.shape)
    own = scores[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(scores.shape[1]) < labels[:, None]
    ahead = ~(scores <= own) | (scores == own) & earlier  # what is not a number is not <= either
    return float(np.mean(ahead.sum(axis=1) >= k))
