"""The plan of one network for one size of batch: which images go through it together, on which thread, in which memory.

"images"  A thread takes one chunk of images after the other through all layers, forward and backward, so that what one layer leaves is still in
          the cache when the next one takes it, and the threads meet only once a step, to add up their gradients in a fixed order.
"layers"  The whole batch is one chunk, and the threads share the work inside each call.

What a chunk calls is on a tape (kernels/_tape.py), recorded when the plan is made.
"""
import weakref

import numpy as np

from .kernels._arena import taking_from
from .kernels._batches import add, add_up, enter_images, enter_labels, leave_images, leave_losses
from .kernels._kernel import shared
from .kernels._native import Native, aligned_empty, images_together
from .kernels._tape import SharedTape, Tape, recording
from .kernels._threads import cut, play

BLOCKS_TOGETHER = 2                                         # blocks of images in a chunk: a dense layer then uses every weight twice
PARTS = 4                                                   # of a shared call, for each thread: who is held up by another program does fewer


def leaves(layer):
    """The layers without inner layers, in order."""
    inner = layer.named_layers.values()
    return [leaf for child in inner for leaf in leaves(child)] if inner else [layer]


class Plan:
    """Made for a network, the shape and dtype of a batch, a number of threads, the way of sharing, and a loss where it is for training.

    forward(x)                    y as a NumPy array
    forward_backward(x, labels)   the loss of every image and the scores; sets the grads of the network
    """

    def __init__(self, net, x_shape, dtype, threads, way, arena, loss=None):
        self.x_shape, self.loss, self.dtype, self.arena = tuple(x_shape), loss, np.dtype(dtype), arena
        self.facts, state = list(facts(net)), [array for layer in leaves(net) for array in layer.state.values()]
        # the layer converts them, so the tape has copies; what is unsigned (dropout's counters) no layer computes with
        self.converted = [(array, array.copy()) for array in state if array.dtype != self.dtype and array.dtype.kind != "u"]
        N, L = x_shape[0], images_together(x_shape[0], dtype)
        blocks = -(-N // L)
        self.sharers = threads if way == "layers" else 0    # threads that share every call
        threads = min(threads, blocks) if L > 1 and not self.sharers else 1
        share = -(-blocks // threads)
        chunk = -(-share // -(-share // BLOCKS_TOGETHER)) if L > 1 and not self.sharers else blocks
        self.images, self.chunks = chunk * L, -(-blocks // chunk)
        threads = min(threads, self.chunks)
        self.ranges = [(self.chunks * t // threads * self.images, min(self.chunks * (t + 1) // threads * self.images, N)) for t in range(threads)]
        self.x, self.labels = np.zeros((N, int(np.prod(x_shape[1:]))), dtype), np.zeros(N, np.int64)
        self.y_shape = net.output_shape(x_shape)
        self.y, self.losses = np.empty((N, int(np.prod(self.y_shape[1:]))), dtype), np.empty(N, dtype)
        self.tapes, self.totals, before = [], [], [array.copy() for array in state]
        try:
            for _ in self.ranges:
                self._record(net)
        finally:
            for array, value in zip(state, before):         # it was a rehearsal: no draw of a dropout has taken place
                array[...] = value
        self.tasks = [] if self.sharers else [tape.task(*span, self.images) for tape, span in zip(self.tapes, self.ranges)]
        self._slots = {name: [tape.slot(getattr(self, name)) for tape in self.tapes] for name in ("x", "labels")}
        if loss is not None:
            self._hand_out_gradients(net)
            self.sums = [self._sum_up(share) for share in cut(len(self.totals[0]), len(self.totals))] if len(self.totals) > 1 else []

    def _record(self, net):
        position = np.array([0, 1], np.int64)
        if self.sharers:
            tape = SharedTape(PARTS * self.sharers, self.arena)
            with taking_from(self.arena), recording(tape), shared(self.sharers):
                self._step(net.replica(forgets=True), position)
            tape.finish()
        else:
            with recording() as calls:
                self._step(net.replica(), position)
            tape = Tape(calls, position)
        self.tapes.append(tape)

    def _step(self, replica, position):
        scores = replica.forward(self._chunk(position), training=self.loss is not None)
        leave_images(_flat(scores), position, self.y)
        if self.loss is not None:
            self._backward(replica, scores, position)

    def _chunk(self, position):
        chunk = Native.empty((self.images, *self.x_shape[1:]), self.dtype)
        enter_images(self.x, position, np.arange(len(chunk.data)), _flat(chunk))
        return chunk

    def _backward(self, replica, scores, position):
        labels, options = np.zeros(self.images, np.int64), self.loss._options()
        enter_labels(self.labels, position, labels)
        leave_losses(self.loss.kernel.forward(scores, labels, *options), position, self.losses)
        dy = np.full(self.images, 1 / self.x_shape[0], self.dtype)      # the loss is the mean over the whole batch
        replica.backward(self.loss.kernel.backward_input(dy, scores, labels, *options), need_dx=False)
        grads = [replica_layer.grads[name] for replica_layer in leaves(replica) for name in replica_layer.params]
        if self.chunks == 1:
            self.totals.append(grads)
            return
        total, first = aligned_empty((sum(grad.size for grad in grads),), self.dtype), 0
        for grad in grads:
            add_up(grad.reshape(-1), position, total[first:first + grad.size])
            first += grad.size
        self.totals.append(total)

    def _sum_up(self, share):
        """A thread's share of adding up the gradients of all threads, always in the same order."""
        with recording() as calls:
            for total in self.totals[1:]:
                add(total[share], self.totals[0][share])
        return Tape(calls)

    def _hand_out_gradients(self, net):
        """The grads of every layer: as the only chunk leaves them, or views of one array, in which the first thread added up all chunks."""
        shapes = [array.shape for layer in leaves(net) for array in layer.params.values()]
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
        arrays = iter(self.totals[0] if self.chunks == 1 else
                      [self.totals[0][first:last].reshape(shape) for first, last, shape in zip(ends, ends[1:], shapes)])
        self.grads = [(weakref.ref(layer), {name: next(arrays) for name in layer.params}) for layer in leaves(net)]

    def fits(self):
        return still(self.facts) and all(np.array_equal(array, before) for array, before in self.converted)

    def forward(self, x):
        with self.arena.lock:                               # two Python threads may ask one network for its opinion
            self._put("x", x.reshape(self.x.shape))
            if self.sharers:
                self.tapes[0].play(self.sharers)
                self._put("x", self.x)                      # a large batch is not kept alive until the next one
            else:
                play(self.tasks)
            return self.y.reshape(self.y_shape).copy()

    def forward_backward(self, x, labels):
        with self.arena.lock:
            self._put("labels", labels)
            y = self.forward(x)
            if self.sums:
                play([tape.task() for tape in self.sums])
            for layer, grads in self.grads:
                layer().grads = grads
            return self.losses.sum(dtype=np.float64).item() / len(labels), y

    def _put(self, name, array):
        for slot in self._slots[name]:
            slot.put(array)


def facts(layer):
    """All of a layer that stands on a tape, as (dictionary, its names in order, those that count with their values): options, arrays, layers."""
    own = vars(layer)
    for where in (own, own.get("params", {}), own.get("state", {}), layer.named_layers):
        yield where, tuple(where), [(name, what) for name, what in where.items() if where is not own or name not in ("cache", "grads", "_made")]
    for inner in layer.named_layers.values():
        yield from facts(inner)


def still(known):
    """Whether the network still has the layers, options and arrays of these facts: someone may have changed them."""
    for where, names, values in known:
        if tuple(where) != names:
            return False
        for name, what in values:
            if where[name] is not what:
                return False
    return True


def _flat(native):
    """(blocks, elements of an image, L)"""
    return native.data.reshape(len(native.data), -1, native.data.shape[-1])
