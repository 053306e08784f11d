"""Plan: a step of one network for one size of batch on the CPU: which images go through it together, on which
thread, in which memory.

"images"  A thread takes one chunk of images after the other through all layers, forward and backward, so that
          what one layer leaves is still in the cache when the next one takes it, and the threads meet only
          once a step, to add up their gradients in a fixed order.
"layers"  The whole batch is one chunk, and the threads share the work inside each call.

The kernel calls of a chunk are on a tape (kernels/_cpu/tape.py), recorded when the plan is made, and then
proved (proof.py).
"""

import weakref
from contextlib import ExitStack

import numpy as np

from ..kernels.recording import (
    Native,
    SharedTape,
    Tape,
    add,
    add_up,
    aligned_empty,
    cut,
    enter_images,
    enter_labels,
    images_together,
    leave_images,
    leave_losses,
    play,
    recording,
    shared,
    taking_from,
)
from ..network import leaves, state_restored, states
from .fingerprint import Fingerprint
from .pending import Pending
from .proof import digest, random_batch, refuse
from .strategy import BLOCKS_TOGETHER

PARTS = 4  # of a shared call, for each thread: a thread that is held up does fewer


class Plan:
    """Made for a network, the shape and dtype of a batch, a number of threads, a strategy ("images" or
    "layers"), and a loss where it is for training.

    submit(x, labels)   compute a batch: Pending, ready. With labels it sets the grads of the network
    is_stale()          True where the network is not any more as it was recorded
    y_shape             of the scores
    """

    def __init__(self, net, x_shape, dtype, threads, strategy, arena, loss=None):
        self.x_shape, self.y_shape = tuple(x_shape), net.output_shape(x_shape)
        self.loss, self.dtype, self.arena = loss, np.dtype(dtype), arena
        self.fingerprint = Fingerprint(net, self.dtype)
        self.is_stale = self.fingerprint.is_stale
        self._share_out(x_shape[0], threads, strategy)
        N = x_shape[0]
        self.x = np.zeros((N, int(np.prod(x_shape[1:]))), dtype)
        self.labels = np.zeros(N, np.int64)
        self.y = np.empty((N, int(np.prod(self.y_shape[1:]))), dtype)
        self.losses = np.empty(N, dtype)
        self._record(net)
        self.tasks = (
            []
            if self.sharers
            else [tape.task(*span, self.images) for tape, span in zip(self.tapes, self.ranges)]
        )
        self._slots = {
            name: [tape.slot(getattr(self, name)) for tape in self.tapes] for name in ("x", "labels")
        }
        if loss is not None:
            self._hand_out_gradients(net)
            self.sums = (
                [self._sum_up(share) for share in cut(len(self.totals[0]), len(self.totals))]
                if len(self.totals) > 1
                else []
            )

    def _share_out(self, N, threads, strategy):
        """Set images (of a chunk), chunks, ranges (the images of each thread) and sharers (threads that share
        every call, or 0).
        """
        L = images_together(N, self.dtype)
        blocks = -(-N // L)
        if strategy == "layers":
            # one chunk, of the batch's true size: a layer may look at all of it
            self.sharers, self.images, self.chunks, self.ranges = threads, N, 1, [(0, N)]
            return
        threads = min(threads, blocks) if L > 1 else 1
        share = -(-blocks // threads)
        chunk = -(-share // -(-share // BLOCKS_TOGETHER)) if L > 1 else blocks
        self.sharers, self.images, self.chunks = 0, chunk * L, -(-blocks // chunk)
        threads = min(threads, self.chunks)
        self.ranges = [
            (self.chunks * t // threads * self.images, min(self.chunks * (t + 1) // threads * self.images, N))
            for t in range(threads)
        ]

    def _record(self, net):
        """Record a tape for each thread, and prove the first one on a batch of random numbers."""
        x, labels = random_batch(self.x_shape, self.dtype, self.y_shape[-1])
        training = self.loss is not None
        self._fill(x, labels)
        with state_restored(net), ExitStack() as context:
            self._enter_arena(context)
            made = self._step(net.replica(frees_cache=bool(self.sharers)), np.array([0, 1], np.int64))
            expected = self._digest(made, net)
            del made
        self._fill(0 * x, 0 * labels)
        with state_restored(net):
            self.tapes, self.totals = zip(*(self._taped(net) for _ in self.ranges))
        self._fill(x, labels)
        with state_restored(net):
            self._play_first_chunk()
            found = self._digest(self.totals[0], net)
        if found != expected:
            refuse(net, x, training, self.arena)

    def _enter_arena(self, context):
        if self.sharers:
            context.enter_context(taking_from(self.arena))
            context.enter_context(shared(self.sharers))

    def _fill(self, x, labels):
        self.x[...] = x.reshape(self.x.shape)
        self.labels[...] = labels

    def _digest(self, total, net):
        """A checksum of all that the first chunk makes."""
        arrays = (
            []
            if self.loss is None
            else [self.losses[: self.images], *(total if self.chunks == 1 else [total])]
        )
        return digest([self.y[: self.images], *arrays, *states(net)])

    def _play_first_chunk(self):
        if self.sharers:
            self.tapes[0].play(self.sharers)
        else:
            self.tapes[0].play(0, 1, self.images)

    def _taped(self, net):
        """(the tape of one thread's calls, the gradients that it adds up)"""
        position = np.array([0, 1], np.int64)
        if self.sharers:
            tape = SharedTape(PARTS * self.sharers, self.arena)
            with taking_from(self.arena), recording(tape), shared(self.sharers):
                total = self._step(net.replica(frees_cache=True), position)
            tape.finish()
        else:
            with recording() as calls:
                total = self._step(net.replica(), position)
            tape = Tape(calls, position)
        return tape, total

    def _step(self, replica, position):
        """Compute a chunk of images; return the gradients: a list where there is one chunk, else one array in
        which they are added up.
        """
        scores = replica.forward(self._chunk(position), training=self.loss is not None)
        leave_images(_flat(scores), position, self.y)
        return None if self.loss is None else self._backward(replica, scores, position)

    def _chunk(self, position):
        chunk = Native.empty((self.images, *self.x_shape[1:]), self.dtype)
        enter_images(self.x, position, np.arange(len(chunk.data)), _flat(chunk))
        return chunk

    def _backward(self, replica, scores, position):
        labels, options = np.zeros(self.images, np.int64), self.loss._options()
        enter_labels(self.labels, position, labels)
        leave_losses(self.loss.kernel.forward(scores, labels, *options), position, self.losses)
        dy = np.full(
            self.images, 1 / self.x_shape[0], self.dtype
        )  # the loss is the mean over the whole batch
        replica.backward(self.loss.kernel.backward_input(dy, scores, labels, *options), need_dx=False)
        grads = [
            replica_layer.grads[name] for replica_layer in leaves(replica) for name in replica_layer.params
        ]
        if self.chunks == 1:
            return grads
        total, first = aligned_empty((sum(grad.size for grad in grads),), self.dtype), 0
        for grad in grads:
            add_up(grad.reshape(-1), position, total[first : first + grad.size])
            first += grad.size
        return total

    def _sum_up(self, share):
        """A thread's share of adding up the gradients of all threads, always in the same order."""
        with recording() as calls:
            for total in self.totals[1:]:
                add(total[share], self.totals[0][share])
        return Tape(calls)

    def _hand_out_gradients(self, net):
        """The grads of every layer: as the only chunk leaves them, or views of one array, in which the first
        thread added up all chunks.
        """
        shapes = [array.shape for layer in leaves(net) for array in layer.params.values()]
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
        arrays = iter(
            self.totals[0]
            if self.chunks == 1
            else [
                self.totals[0][first:last].reshape(shape)
                for first, last, shape in zip(ends, ends[1:], shapes)
            ]
        )
        self.grads = [
            (weakref.ref(layer), {name: next(arrays) for name in layer.params}) for layer in leaves(net)
        ]

    def submit(self, x, labels=None):
        x = np.ascontiguousarray(x)
        with self.arena.lock:  # two Python threads may ask one network
            if labels is not None:
                self._put("labels", labels)
            self._put("x", x.reshape(self.x.shape))
            if self.sharers:
                self.tapes[0].play(self.sharers)
                self._put("x", self.x)  # a large batch is not kept alive until the next one
            else:
                play(self.tasks)
            y = self.y.reshape(self.y_shape).copy()
            if labels is None:
                return Pending(x, result=(None, y))
            if self.sums:
                play([tape.task() for tape in self.sums])
            for layer, grads in self.grads:
                layer().grads = grads
            return Pending(x, result=(self.losses.sum(dtype=np.float64).item() / len(labels), y))

    def _put(self, name, array):
        for slot in self._slots[name]:
            slot.put(array)


def _flat(native):
    """(blocks, elements of an image, L)"""
    return native.data.reshape(len(native.data), -1, native.data.shape[-1])
