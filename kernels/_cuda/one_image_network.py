"""OneImage: a network whose step is two launches, in which one block computes one image, whole.

first launch    forward, loss and backward of every image       kernels/_cuda/one_image.py, kernels/<op>/block.py
second launch   the gradients of all parameters                 kernels/_cuda/one_image_gradients.py
"""  # noqa: E501

import zlib
from dataclasses import dataclass
from functools import cache
from importlib import import_module

import numpy as np

from . import memory, one_image, one_image_gradients
from .one_image import WORDS, Maps, Out, activated, grid, layer, network, nothing, one, only_scores

DENSE = "dense", "rbf"  # which see an image as features, one behind the other
SHARED = "conv2d", "table_conv2d", "subsample2d"  # whose gradients are small: each block has shares of them


@dataclass(frozen=True)
class Operation:
    """One operation of a network, and the activation behind it.

    name        of its room in kernels/
    y_shape     (C, H, W) of one image
    settings    what kernels/<name>/block.py takes beside arrays, hashable
    arrays      which of the network's parameters it reads, by place; None for a bias that is not there
    activation  (name, settings), or None
    """

    name: str
    y_shape: tuple
    settings: tuple = ()
    arrays: tuple = ()
    activation: tuple | None = None

    @property
    def block(self):
        return _room(self.name)

    def functions(self):
        """(value, slope) of the activation; value is None where there is none."""
        if self.activation is None:
            return None, one
        name, settings = self.activation
        return _room(name).functions(*settings)


def _room(name):
    return import_module(f"{__package__.rpartition('.')[0]}.{name}.block")


@dataclass(frozen=True)
class Plan:
    """Places of all arrays, in words of 4 bytes.

    maps       Maps of x and of what each operation makes
    scratch    Maps of the rest of shared memory      words    of shared memory, all of it
    outs       Out of each operation                  shares   of a row of shares
    notes      of a row of notes                      dense    the Dense layers of the second launch
    places     {place of a parameter: where its gradient begins}
    gradients  of all gradients
    """

    maps: tuple
    scratch: Maps
    words: int
    outs: tuple
    shares: int
    notes: int
    dense: tuple
    places: dict
    gradients: int


def plan(x_shape, operations, sizes):
    """Plan of a network; a sentence where it does not fit. sizes: of all parameters."""
    maps, first = [], 0
    for place, (shape, reader) in enumerate(
        zip([x_shape, *(operation.y_shape for operation in operations)], [*operations, None])
    ):
        packed = reader is None or reader.name in DENSE
        W = shape[2]
        # neighbouring rows begin in different banks of shared memory where their length is odd
        maps.append(Maps(first, *shape, W if packed else W | 1))
        # where four numbers can be read at once
        first += -(-maps[place].size // 4) * 4
    needed = max(operation.block.scratch_words(y) for operation, y in zip(operations, maps[1:]))
    if first + needed > WORDS:
        return f"{4 * (first + needed):,} bytes of one image, and a block has {4 * WORDS:,}"
    scratch = Maps(first, 1, 1, WORDS - first, WORDS - first)
    outs, places, shares = [], {}, 0
    for operation in operations:
        outs.append(shares)
        for place in operation.arrays if operation.name in SHARED else ():
            if place is not None:
                places[place] = shares
                shares += sizes[place]
    notes, dense, gradients = [], [], shares
    row = 0
    for operation, x, y in zip(operations, maps, maps[1:]):
        notes.append(row)
        if operation.name == "dense":
            weight, bias = operation.arrays
            places[weight] = gradients
            gradients += sizes[weight]
            if bias is not None:
                places[bias] = gradients
                gradients += sizes[bias]
            dense.append(
                one_image_gradients.Dense(y.features, x.features, row, places[weight], places.get(bias))
            )
            row += x.features + y.features
    outs = tuple(Out(share, note, row) for share, note in zip(outs, notes))
    return Plan(tuple(maps), scratch, WORDS, outs, shares, row, tuple(dense), places, gradients)


@cache
def _kernels(x_shape, operations, sizes, loss):
    """(first kernel, second kernel or None, blocks of the second)."""
    made, name = plan(x_shape, operations, sizes), _name(x_shape, operations, loss)
    training, slope = loss is not None, operations[-1].functions()[1]
    run = _room(loss[0]).end(made.maps[-1], slope, *loss[1]) if training else only_scores(made.maps[-1])
    slopes = [one, *(operation.functions()[1] for operation in operations)]
    for p in reversed(range(len(operations))):
        operation, x, y = operations[p], made.maps[p], made.maps[p + 1]
        forward = _forward(operation, x, y, made.scratch)
        backward = _backward(operation, x, y, made.scratch, made.outs[p], slopes[p], p > 0)
        run = layer(forward, backward if training else nothing, run)
    first = network(made.maps[0], run, made.shares, made.words, name)
    if not training or not made.gradients:
        return first, None, 0
    return first, *one_image_gradients.gradients(made.shares, made.notes, made.dense, name)


def _name(x_shape, operations, loss):
    """A name that tells a network from others; crc32 of all that it is."""
    shapes = " to ".join("x".join(map(str, shape)) for shape in (x_shape, operations[-1].y_shape))
    what = zlib.crc32(repr((x_shape, operations, loss)).encode())
    return f"{shapes}, {len(operations)} operations, {loss[0] if loss else 'forward'}, {what:08x}"


def _settings(operation):
    """The settings, with a list of connections as an array again."""
    return [
        np.frombuffer(value, np.int32).reshape(-1, 2) if isinstance(value, bytes) else value
        for value in operation.settings
    ]


def _forward(operation, x, y, scratch):
    needed = (scratch,) if operation.name in DENSE else ()
    forward = operation.block.forward(x, y, *needed, *_settings(operation), *operation.arrays)
    value, _ = operation.functions()
    return forward if value is None else activated(forward, y, value)


def _backward(operation, x, y, scratch, out, slope, need_dx):
    needed = (scratch,) if operation.name in SHARED else ()
    # a bias is not read on the way back; but whether there is one
    arrays = operation.arrays if operation.name in ("conv2d", "table_conv2d") else operation.arrays[:1]
    return operation.block.backward(x, y, *needed, out, *_settings(operation), *arrays, slope, need_dx)


class OneImage:
    """The step of a network for batches of N images, by calls that may be captured.

    params     flat float32 arrays on the GPU
    loss       (name, settings) of kernels/<loss>/block.py; None: forward only
    gradients  {place of a parameter: its gradient, flat}
    """

    def __init__(self, x_shape, operations, params, N, loss=None):
        self.params, self.N = tuple(params), N
        sizes = tuple(array.size for array in params)
        made = plan(x_shape, operations, sizes)
        self._first, self._second, self._blocks = _kernels(x_shape, operations, sizes, loss)
        self._grid = grid(N)
        self._shares = _zeros(self._grid * made.shares if loss else 0)
        self._notes = _zeros(N * made.notes if loss else 0)
        self._gradients = _zeros(made.gradients if loss else 0)
        self.gradients = {
            place: self._gradients[first : first + sizes[place]]
            for place, first in (made.places.items() if loss else ())
        }

    def forward_backward(self, x, labels, dlosses, scores, losses):
        """scores (N, classes), losses (N,) and the gradients, of x (C, H, W, N), labels and dlosses (N,)."""
        self._first[self._grid, one_image.THREADS](
            _flat(x),
            self.N,
            self.params,
            labels,
            dlosses,
            self._notes,
            self._shares,
            _flat(scores),
            losses,
        )
        if self._second is not None:
            self._second[self._blocks, one_image_gradients.BLOCK](
                self._notes, self.N, self._shares, self._grid, self._gradients
            )

    def forward(self, x, scores):
        """scores (N, classes) of x (C, H, W, N)."""
        nobody = self._notes
        self._first[self._grid, one_image.THREADS](
            _flat(x), self.N, self.params, nobody, nobody, nobody, nobody, _flat(scores), nobody
        )


def _zeros(words):
    return memory.to_gpu(np.zeros(max(words, 1), np.float32))


def _flat(array):
    return array.reshape(array.size)
