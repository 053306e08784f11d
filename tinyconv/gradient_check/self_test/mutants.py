"""Wrong backward passes of real layers, as people write them: what `tinyconv gradcheck --self-test` lets the
checker find, and name.

Each is a right layer one method of which is replaced. `names` are the hypotheses
(../diagnosis/hypotheses.py), or refusals, that say rightly what is wrong. To add one: a line of the table.
The wrong code is written as a person would write it, not by means of the hypothesis that should find it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ... import losses
from ...composite import Sequential
from ...layers import (
    RBF,
    AvgPool2d,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    ScaledTanh,
    Sigmoid,
    Subsample2d,
    TableConv2d,
    Tanh,
)
from ..shapes import distinct
from .wrong_passes import (
    adding,
    conv_dweight,
    conv_dx,
    first_cache,
    forgotten_generator,
    forwards,
    in_place,
    lrn_parts,
    of_the_largest,
    pool_loop,
    right,
    rights,
    shifted_crop,
    skipping,
    softmax,
    stop_at,
    window_loop,
)


@dataclass(frozen=True)
class Mutant:
    """A layer with a wrong backward pass; build(seed) gives (obj, x, further arguments of
    check_gradients).
    """

    title: str
    array: str  # the gradient that is wrong: "dx", "dweight" ...
    names: tuple  # of the hypotheses or refusals that say so
    make: Callable  # rng -> the right layer
    x_shape: tuple
    methods: dict  # those that replace the layer's own
    options: dict = field(default_factory=dict)

    @property
    def operation(self):
        return self.title.partition(":")[0]

    def build(self, seed):
        rng = np.random.default_rng(seed)
        obj = self.make(rng).to("reference")
        obj.__class__ = type(type(obj).__name__, (type(obj),), self.methods)
        x, options = distinct(rng, self.x_shape), dict(self.options)
        if "labels" in options:
            options["labels"] = rng.integers(options["labels"], size=self.x_shape[0])
        return obj, x, options


def _dx(wrong):
    """A backward pass whose dx is wrong(layer, dy)."""
    return "dx", {"_backward_input": wrong}


def _grad(name, wrong):
    """A backward pass whose gradient of the parameter is wrong(layer, dy)."""

    def _backward_parameters(self, dy):
        return {**super(type(self), self)._backward_parameters(dy), name: wrong(self, dy)}

    return "d" + name, {"_backward_parameters": _backward_parameters}


def _dscores(wrong):
    """A loss whose backward is wrong(loss, scores, labels, right)."""

    def backward(self):
        return wrong(self, *self.cache[:2], super(type(self), self).backward())

    return "dx", {"backward": backward}


TABLE = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1]], bool)
CONV = lambda rng: Conv2d(2, 3, 3, rng=rng), (2, 2, 6, 5)
PADDED = lambda rng: Conv2d(2, 3, 3, padding=1, rng=rng), (2, 2, 6, 5)
STRIDED = lambda rng: Conv2d(2, 3, 3, stride=2, rng=rng), (2, 2, 8, 7)
GROUPED = lambda rng: Conv2d(4, 4, 3, groups=2, rng=rng), (2, 4, 5, 6)
SQUARE = lambda rng: Conv2d(3, 3, (2, 3), rng=rng), (2, 3, 5, 6)
MANY = lambda rng: Conv2d(2, 3, 3, rng=rng), (3, 2, 5, 6)
TABLED = lambda rng: TableConv2d(TABLE, 3, rng=rng), (3, 3, 5, 6)
SUBSAMPLED = lambda rng: Subsample2d(3, (2, 3), rng=rng), (2, 3, 6, 7)
POOLED = lambda rng: MaxPool2d(2), (2, 3, 6, 6)
OVERLAPPED = lambda rng: MaxPool2d(3, stride=2), (2, 2, 7, 9)
AVERAGED = lambda rng: AvgPool2d((2, 3)), (2, 3, 6, 7)
OVERLAPPED_AVERAGE = lambda rng: AvgPool2d(3, stride=2), (2, 2, 7, 9)
DENSE = lambda rng: Dense(5, 4, rng=rng), (3, 5)
SQUARE_DENSE = lambda rng: Dense(4, 4, rng=rng), (3, 4)
TANH, SIGMOID, SCALED, RELU = (
    (lambda rng, cls=cls: cls(), (3, 4, 2)) for cls in (Tanh, Sigmoid, ScaledTanh, ReLU)
)
NORM = lambda rng: LocalResponseNorm(size=3, alpha=0.5), (2, 5, 2, 3)
PAPER_NORM = lambda rng: LocalResponseNorm(), (2, 6, 2, 3)
DROPPED = lambda rng: Dropout(0.4, rng=rng), (3, 4, 3)
FLAT = lambda rng: Flatten(), (2, 3, 4, 4)
CODES = lambda rng: RBF(rng.normal(size=(4, 6))), (3, 6)
SOFTMAX = lambda rng: losses.SoftmaxCrossEntropy(), (3, 5)
MAP = lambda rng: losses.RBFLoss("map", j=1.0), (3, 5)
NETWORK = lambda rng: Sequential(Dense(4, 4, rng=rng), Tanh(), Dense(4, 4, rng=rng)), (3, 4)
DRAWN, LABELLED = {"training": True}, {"labels": 5}


def _mutants():
    def add(title, names, where, wrong, options={}):
        array, methods = wrong
        table.append(
            Mutant(
                title, array, names.split("|") if isinstance(names, str) else names, *where, methods, options
            )
        )

    table = []
    weight = lambda layer, dy: layer._parameter("weight", dy)
    # conv2d
    add(
        "conv2d: kernel not rotated in dx",
        "not rotated",
        CONV,
        _dx(lambda self, dy: conv_dx(self, dy, weight(self, dy)[..., ::-1, ::-1])),
    )
    add("conv2d: sign of dx", "sign", CONV, _dx(lambda self, dy: -right(self, dy)))
    add("conv2d: windows overwrite each other in dx", "overwritten", CONV, _dx(window_loop))
    add(
        "conv2d: dx of the last filter only",
        "dy overwritten|overwritten",
        CONV,
        _dx(
            lambda self, dy: self.kernel.backward_input(
                dy[:, -1:], weight(self, dy)[-1:], self.cache.shape, self.stride, self.padding, 1
            )
        ),
    )
    add("conv2d: dx cut out one row too high", "shifted|option|dy shifted", PADDED, _dx(shifted_crop))
    add(
        "conv2d: stride ignored in dx",
        "option",
        STRIDED,
        _dx(lambda self, dy: conv_dx(self, dy, stride=(1, 1))),
    )
    add(
        "conv2d: groups exchanged in dx",
        "parameter permuted",
        GROUPED,
        _dx(lambda self, dy: conv_dx(self, dy, np.concatenate([weight(self, dy)[2:], weight(self, dy)[:2]]))),
    )
    add(
        "conv2d: loop over output rows begins at 1 in dx",
        "dy border lost",
        CONV,
        _dx(lambda self, dy: right(self, stop_at(dy, slice(None), slice(None), 0))),
    )
    add(
        "conv2d: last column of dx never written",
        "border lost",
        CONV,
        _dx(lambda self, dy: stop_at(right(self, dy), Ellipsis, -1)),
    )
    add(
        "conv2d: in and out exchanged in dx",
        "parameter transposed",
        SQUARE,
        _dx(lambda self, dy: conv_dx(self, dy, weight(self, dy).swapaxes(0, 1))),
    )
    add("conv2d: dy ignored in dx", "dy ignored", CONV, _dx(lambda self, dy: right(self, np.ones_like(dy))))
    add(
        "conv2d: dweight rotated",
        "not rotated|flipped",
        CONV,
        _grad("weight", lambda self, dy: conv_dweight(self, dy)[..., ::-1, ::-1]),
    )
    add(
        "conv2d: dy rotated in dweight",
        "dy flipped",
        CONV,
        _grad("weight", lambda self, dy: conv_dweight(self, dy[..., ::-1, ::-1])),
    )
    add(
        "conv2d: dweight divided by N",
        "batch factor",
        MANY,
        _grad("weight", lambda self, dy: conv_dweight(self, dy) / len(dy)),
    )
    add(
        "conv2d: dweight of the last image",
        "dy overwritten",
        MANY,
        _grad("weight", lambda self, dy: conv_dweight(self, dy[-1:], self.cache[-1:])),
    )
    add(
        "conv2d: x one column off in dweight",
        "x shifted",
        PADDED,
        _grad(
            "weight",
            lambda self, dy: conv_dweight(
                self, dy, np.pad(self.cache, ((0, 0), (0, 0), (0, 0), (0, 1)))[..., 1:]
            ),
        ),
    )
    add(
        "conv2d: groups exchanged in dweight",
        "permuted",
        GROUPED,
        _grad(
            "weight",
            lambda self, dy: np.concatenate([conv_dweight(self, dy)[2:], conv_dweight(self, dy)[:2]]),
        ),
    )
    add(
        "conv2d: in and out exchanged in dweight",
        "transposed",
        SQUARE,
        _grad("weight", lambda self, dy: conv_dweight(self, dy).swapaxes(0, 1)),
    )
    add("conv2d: dweight of the earlier x", "earlier call", CONV, ("dweight", {"_forward": first_cache}))
    add(
        "conv2d: dbias of the first image",
        "dy overwritten",
        MANY,
        _grad("bias", lambda self, dy: dy[0].sum(axis=(1, 2))),
    )
    add(
        "conv2d: dbias averaged over pixels",
        "known factor|wrong axes",
        CONV,
        _grad("bias", lambda self, dy: dy.mean(axis=(2, 3)).sum(axis=0)),
    )
    add(
        "conv2d: dbias keeps its axes",
        "reshaped",
        CONV,
        _grad("bias", lambda self, dy: dy.sum(axis=(0, 2, 3), keepdims=True)),
    )
    add(
        "conv2d: dbias summed over the batch only",
        "wrong axes|not summed",
        CONV,
        _grad("bias", lambda self, dy: dy.sum(axis=0)),
    )
    add(
        "conv2d: dbias summed over channels",
        "wrong axes",
        MANY,
        _grad("bias", lambda self, dy: dy.sum(axis=(1, 2, 3))),
    )
    add("conv2d: no dbias", "zero", CONV, _grad("bias", lambda self, dy: np.zeros(3)))
    # table_conv2d
    add(
        "table_conv2d: filters taken in reverse order in dx",
        "flipped|parameter permuted",
        TABLED,
        _dx(
            lambda self, dy: self.kernel.backward_input(
                dy, weight(self, dy)[::-1], self.pairs, self.cache.shape
            )
        ),
    )
    add(
        "table_conv2d: dweight one connection off",
        "permuted",
        TABLED,
        _grad("weight", lambda self, dy: np.roll(rights(self, dy, "weight"), 1, axis=0)),
    )
    add(
        "table_conv2d: kernel not rotated in dx",
        "not rotated",
        TABLED,
        _dx(
            lambda self, dy: self.kernel.backward_input(
                dy, weight(self, dy)[:, ::-1, ::-1], self.pairs, self.cache.shape
            )
        ),
    )
    add(
        "table_conv2d: dbias counted twice",
        "known factor",
        TABLED,
        _grad("bias", lambda self, dy: rights(self, dy, "bias") * 2),
    )
    # subsample2d
    add(
        "subsample2d: coefficient missing in dx",
        "parameter missing",
        SUBSAMPLED,
        _dx(lambda self, dy: self.kernel.backward_input(dy, np.ones(3), self.cache.shape, self.size)),
    )
    add(
        "subsample2d: dx averaged over the window",
        "known factor",
        SUBSAMPLED,
        _dx(lambda self, dy: right(self, dy) / 6),
    )
    add(
        "subsample2d: dx for the first input of a window only",
        "left out",
        SUBSAMPLED,
        _dx(
            lambda self, dy: (
                right(self, dy) * np.kron(np.ones((4, 3)), np.eye(2, 3) * [[1, 0, 0], [0, 0, 0]])[:6, :7]
            )
        ),
    )
    add(
        "subsample2d: coefficient of the next map in dx",
        "parameter permuted",
        SUBSAMPLED,
        _dx(
            lambda self, dy: self.kernel.backward_input(
                dy, np.roll(self._parameter("coefficient", dy), -1), self.cache.shape, self.size
            )
        ),
    )
    add(
        "subsample2d: dcoefficient and dbias exchanged",
        "exchanged",
        SUBSAMPLED,
        _grad("coefficient", lambda self, dy: dy.sum(axis=(0, 2, 3))),
    )
    add(
        "subsample2d: dcoefficient of the mean",
        "known factor",
        SUBSAMPLED,
        _grad("coefficient", lambda self, dy: rights(self, dy, "coefficient") / 6),
    )
    add(
        "subsample2d: dcoefficient times the coefficient",
        "factor per channel",
        SUBSAMPLED,
        _grad(
            "coefficient",
            lambda self, dy: rights(self, dy, "coefficient") * self._parameter("coefficient", dy),
        ),
    )
    # pooling
    add(
        "max_pool2d: windows overwrite each other",
        "overwritten",
        OVERLAPPED,
        _dx(lambda self, dy: pool_loop(self, dy, of_the_largest)),
    )
    add(
        "max_pool2d: dy to the whole window",
        "whole window",
        POOLED,
        _dx(lambda self, dy: dy.repeat(2, axis=2).repeat(2, axis=3)),
    )
    add(
        "max_pool2d: dy to the smallest",
        "wrong argument",
        POOLED,
        _dx(lambda self, dy: self.kernel.backward_input(dy, -self.cache, (2, 2), (2, 2), (0, 0))),
    )
    add(
        "max_pool2d: size taken to be the stride",
        "option",
        OVERLAPPED,
        _dx(
            lambda self, dy: self.kernel.backward_input(
                dy, self.cache, self.stride, self.stride, self.padding
            )
        ),
    )
    add(
        "max_pool2d: dy transposed",
        "dy transposed",
        POOLED,
        _dx(lambda self, dy: right(self, np.ascontiguousarray(dy.swapaxes(2, 3)))),
    )
    add("max_pool2d: winners of the earlier x", "earlier call", POOLED, ("dx", {"_forward": first_cache}))
    add(
        "avg_pool2d: not divided by the area",
        "known factor",
        AVERAGED,
        _dx(lambda self, dy: right(self, dy) * 6),
    )
    add(
        "avg_pool2d: windows overwrite each other",
        "overwritten",
        OVERLAPPED_AVERAGE,
        _dx(lambda self, dy: pool_loop(self, dy, lambda _: np.full((3, 3), 1 / 9))),
    )
    add(
        "avg_pool2d: divided by the windows of each pixel",
        "averaged over windows",
        OVERLAPPED_AVERAGE,
        _dx(lambda self, dy: right(self, dy) / np.maximum(9 * right(self, np.ones_like(dy)), 1)),
    )
    # dense
    add("dense: dweight transposed", "transposed", DENSE, _grad("weight", lambda self, dy: self.cache.T @ dy))
    add(
        "dense: dweight transposed, square",
        "transposed",
        SQUARE_DENSE,
        _grad("weight", lambda self, dy: self.cache.T @ dy),
    )
    add(
        "dense: weight not transposed in dx",
        "parameter transposed",
        SQUARE_DENSE,
        _dx(lambda self, dy: dy @ weight(self, dy).T),
    )
    add(
        "dense: dweight averaged",
        "batch factor",
        DENSE,
        _grad("weight", lambda self, dy: dy.T @ self.cache / len(dy)),
    )
    add(
        "dense: dbias averaged",
        "batch factor|wrong axes",
        DENSE,
        _grad("bias", lambda self, dy: dy.mean(axis=0)),
    )
    add("dense: dbias not summed", "not summed", DENSE, _grad("bias", lambda self, dy: dy))
    add(
        "dense: dbias summed over everything",
        "wrong axes",
        DENSE,
        _grad("bias", lambda self, dy: np.full(4, dy.sum())),
    )
    add(
        "dense: dy ignored in dx",
        "dy ignored",
        DENSE,
        _dx(lambda self, dy: np.tile(weight(self, dy).sum(axis=0), (len(dy), 1))),
    )
    add(
        "dense: dweight added to that before",
        "accumulated",
        DENSE,
        ("dweight", {"_backward_parameters": adding}),
    )
    add("dense: dweight of the earlier x", "earlier call", DENSE, ("dweight", {"_forward": first_cache}))
    add(
        "dense: dx is the weight's gradient of one image too few",
        "dy overwritten|border lost|dy border lost|left out",
        DENSE,
        _dx(lambda self, dy: np.concatenate([dy[:-1] @ weight(self, dy), np.zeros((1, 5))])),
    )
    # activations
    add(
        "tanh: 1 - x^2",
        "wrong argument",
        TANH,
        ("dx", {"_forward": lambda self, x, training: (setattr(self, "cache", x), np.tanh(x))[1]}),
    )
    add("tanh: 1 - y, not squared", "derivative misused", TANH, _dx(lambda self, dy: dy * (1 - self.cache)))
    add("tanh: dy forgotten", "dy ignored", TANH, _dx(lambda self, dy: 1 - self.cache**2))
    add(
        "tanh: derivative of tanh(y)",
        "wrong argument",
        TANH,
        _dx(lambda self, dy: dy * (1 - np.tanh(self.cache) ** 2)),
    )
    add(
        "sigmoid: x (1 - x)",
        "wrong argument",
        SIGMOID,
        (
            "dx",
            {"_forward": lambda self, x, training: (setattr(self, "cache", x), self.kernel.forward(x))[1]},
        ),
    )
    add("sigmoid: y of the earlier call", "earlier call", SIGMOID, ("dx", {"_forward": first_cache}))
    add(
        "sigmoid: y (1 + y)",
        "derivative misused",
        SIGMOID,
        _dx(lambda self, dy: dy * self.cache * (1 + self.cache)),
    )
    add(
        "scaled_tanh: slope missing",
        "known factor",
        SCALED,
        _dx(lambda self, dy: right(self, dy) / self.slope),
    )
    add(
        "scaled_tanh: amplitude forgotten in the square",
        "wrong argument|derivative misused",
        SCALED,
        _dx(lambda self, dy: dy * self.amplitude * self.slope * (1 - self.cache**2)),
    )
    add("relu: mask of dy", "dy changed", RELU, _dx(lambda self, dy: np.maximum(dy, 0)))
    add("relu: no mask", "passed through", RELU, _dx(lambda self, dy: dy.copy()))
    add(
        "relu: mask the wrong way round",
        "wrong argument",
        RELU,
        _dx(lambda self, dy: np.where(self.cache < 0, dy, 0)),
    )
    add("relu: x overwritten", "input changed", RELU, ("dx", {"_forward": in_place}))
    add(
        "relu: noise that cannot be repeated",
        "not deterministic",
        RELU,
        ("y", {"_forward": forgotten_generator}),
    )
    # normalisation, dropout, shape
    add(
        "local_response_norm: denominator taken as constant",
        "constant denominator",
        NORM,
        _dx(lambda self, dy: lrn_parts(self, dy)[0]),
    )
    add(
        "local_response_norm: factor 2 missing behind the denominator",
        "constant denominator",
        NORM,
        _dx(lambda self, dy: lrn_parts(self, dy)[0] + lrn_parts(self, dy)[1] / 2),
    )
    add(
        "local_response_norm: own map only",
        "neighbours left out",
        NORM,
        _dx(
            lambda self, dy: (
                lambda direct, _, x, d: (
                    direct - 2 * self.alpha * self.beta * x * x * dy * d ** (-self.beta - 1)
                )
            )(*lrn_parts(self, dy))
        ),
    )
    add(
        "local_response_norm: alpha divided by the size",
        "option",
        NORM,
        _dx(
            lambda self, dy: self.kernel.backward_input(
                dy, self.cache, self.size, self.k, self.alpha / self.size, self.beta
            )
        ),
    )
    add(
        "local_response_norm: exponent off by one behind the denominator",
        "option|constant denominator",
        NORM,
        _dx(
            lambda self, dy: (
                lambda direct, _, x, d: (
                    direct
                    - 2
                    * self.alpha
                    * self.beta
                    * x
                    * np.stack(
                        [(dy * x * d**-self.beta)[:, max(0, c - 1) : c + 2].sum(axis=1) for c in range(5)],
                        axis=1,
                    )
                )
            )(*lrn_parts(self, dy))
        ),
    )
    add(
        "dropout: mask not applied",
        "passed through",
        DROPPED,
        _dx(lambda self, dy: dy / (1 - self.rate)),
        DRAWN,
    )
    add(
        "dropout: not divided by 1 - rate",
        "known factor",
        DROPPED,
        _dx(lambda self, dy: right(self, dy) * (1 - self.rate)),
        DRAWN,
    )
    add(
        "dropout: another mask drawn",
        "another mask",
        DROPPED,
        _dx(lambda self, dy: dy * (np.random.default_rng(5).random(dy.shape) > self.rate) / (1 - self.rate)),
        DRAWN,
    )
    add(
        "flatten: axes in reverse order",
        "reshaped|transposed",
        FLAT,
        _dx(lambda self, dy: dy.reshape(self.cache[0], *self.cache[:0:-1]).transpose(0, 3, 2, 1)),
    )
    # small in number, and wrong all the same
    add(
        "local_response_norm: denominator taken as constant, alpha of 2012",
        "constant denominator",
        PAPER_NORM,
        _dx(lambda self, dy: lrn_parts(self, dy)[0]),
    )
    add(
        "local_response_norm: factor 2 missing, alpha of 2012",
        "constant denominator",
        PAPER_NORM,
        _dx(lambda self, dy: lrn_parts(self, dy)[0] + lrn_parts(self, dy)[1] / 2),
    )
    add(
        "scaled_tanh: slope typed as 0.6667",
        "factor|known factor",
        SCALED,
        _dx(lambda self, dy: right(self, dy) * 0.6667 / self.slope),
    )
    add(
        "dense: dweight rounded to float32",
        "rounded",
        DENSE,
        _grad("weight", lambda self, dy: (dy.T @ self.cache).astype(np.float32).astype(float)),
    )
    add(
        "dense: weight decay inside dweight",
        "parameter added",
        DENSE,
        _grad("weight", lambda self, dy: dy.T @ self.cache + 5e-4 * weight(self, dy)),
    )
    add(
        "conv2d: dweight clipped",
        "clipped",
        CONV,
        _grad("weight", lambda self, dy: np.clip(conv_dweight(self, dy), -3, 3)),
    )
    add(
        "conv2d: dx clipped to 1",
        "clipped|not linear in dy",
        CONV,
        _dx(lambda self, dy: np.clip(right(self, dy), -1, 1)),
    )
    add(
        "softmax_cross_entropy: probabilities kept above 0.1",
        "unnamed",
        SOFTMAX,
        _dscores(
            lambda self, scores, labels, right: (
                (np.maximum(softmax(scores), 0.1) - np.eye(5)[labels]) / len(scores)
            )
        ),
        LABELLED,
    )
    # networks
    add("sequential: a layer left out on the way back", "chain", NETWORK, ("dx", {"_backward": skipping}))
    add("sequential: layers in the order of forward", "chain", NETWORK, ("dx", {"_backward": forwards}))
    # RBF units and losses
    add("rbf: factor 2 missing", "known factor", CODES, _dx(lambda self, dy: right(self, dy) / 2))
    add(
        "rbf: sign of the difference",
        "sign",
        CODES,
        _dx(
            lambda self, dy: (
                2 * ((self._parameter("centers", dy) - self.cache[:, None]) * dy[..., None]).sum(axis=1)
            )
        ),
    )
    add(
        "rbf: centers forgotten",
        "parameter missing",
        CODES,
        _dx(lambda self, dy: 2 * self.cache * dy.sum(axis=1, keepdims=True)),
    )
    add(
        "softmax_cross_entropy: not divided by N",
        "batch factor",
        SOFTMAX,
        _dscores(lambda self, scores, labels, right: right * len(right)),
        LABELLED,
    )
    add(
        "softmax_cross_entropy: divided by N twice",
        "batch factor",
        SOFTMAX,
        _dscores(lambda self, scores, labels, right: right / len(right)),
        LABELLED,
    )
    add(
        "softmax_cross_entropy: label not subtracted",
        "label term",
        SOFTMAX,
        _dscores(lambda self, scores, labels, right: softmax(scores) / len(scores)),
        LABELLED,
    )
    add(
        "softmax_cross_entropy: sign",
        "sign",
        SOFTMAX,
        _dscores(lambda self, scores, labels, right: -right),
        LABELLED,
    )
    add(
        "softmax_cross_entropy: divided by classes",
        "factor|known factor",
        SOFTMAX,
        _dscores(lambda self, scores, labels, right: right * len(right) / scores.size),
        LABELLED,
    )
    add(
        "rbf_loss: e^-j forgotten",
        "option",
        MAP,
        _dscores(lambda self, scores, labels, right: (np.eye(5)[labels] - softmax(-scores)) / len(scores)),
        LABELLED,
    )
    add(
        "rbf_loss: label not added",
        "label term",
        MAP,
        _dscores(lambda self, scores, labels, right: right - np.eye(5)[labels] / len(right)),
        LABELLED,
    )
    return tuple(table)


MUTANTS = _mutants()
