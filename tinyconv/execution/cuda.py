"""CapturedStep: a step of a network on the GPU, captured once as a graph (kernels/_cuda/graph.py) and then launched again for every batch.

What Plan (cpu.py) is for the CPU: nothing is allocated once it stands, and Python makes a handful of calls a step (kernels/_cuda/transit.py). A batch is copied
to the GPU while the one before it is computed; loss and scores come back when they are asked for.

    processor   copy batch t+1 into pinned memory | ...
    copies            batch t+1 -> GPU            | batch t+2 -> GPU
    kernels     images last, forward, loss, backward, update of batch t | ... of batch t+1

A small network can be computed by one block an image, two launches instead of one or more a layer, where that is counted to be shorter (one_block.py)
and agrees with its layers.
"""  # noqa: E501

import os
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import numpy as np

from ..device import backend, to_host
from ..kernels import capturing
from ..kernels.capturing import CudaNative, Layout, Transit, cast, transpose
from ..network import leaves, named_leaves, state_restored, states
from .fingerprint import Fingerprint
from .fusing import fused
from .one_block import Unfit, not_yet, one_block
from .pending import Pending
from .proof import differing, digest, random_batch, refuse

SLOTS = 2  # batches on their way: one arrives while the other is computed
SHARED_BYTES = 2**23  # of a batch: from here on threads share its copy
COPIERS = min(8, os.cpu_count() or 1)


class CapturedStep:
    """forward of `net` for batches of x_shape; with a `loss` also loss and backward; with an `optimizer` also
    the update of all parameters.

    submit(x, labels)   start a step: its Pending result. Sets the grads of the network where there is a loss
    is_stale()          True where the network, or the optimizer, is not any more as it was captured
    y_shape             of the scores
    """

    def __init__(self, net, x_shape, dtype, arena, loss=None, optimizer=None):
        self.net, self.x_shape, self.dtype, self.arena, self.loss = (
            weakref.ref(net),
            tuple(x_shape),
            np.dtype(dtype),
            arena,
            loss,
        )
        self.optimizer = None if optimizer is None else weakref.ref(optimizer)  # which holds the network
        self.fingerprint, N = Fingerprint(net, self.dtype), x_shape[0]
        self.y_shape = net.output_shape(x_shape)
        self.x = CudaNative(capturing.allocate((*x_shape[1:], N), dtype), x_shape)
        # what a step reads beside x: labels, and the numbers of an update. Their scale, the last of them, is
        # 0 until the first step: it makes the update a no-op
        options = 1 if optimizer is None else len(optimizer.options())
        self._rest = [] if loss is None else [((N,), np.int64), ((options,), dtype)]
        self._rest_at, arrays, self._rest_owner = Layout(self._rest).on_gpu()
        self.labels, self.options = arrays or (None, None)
        self._result = [((N, int(np.prod(self.y_shape[1:]))), dtype), ((N,), dtype)][
            : 1 if loss is None else 2
        ]
        self._result_at, arrays, self._result_owner = Layout(self._result).on_gpu()
        self.y, self.losses = arrays if loss is not None else (*arrays, None)
        self.dy = capturing.to_gpu(np.full(N, 1 / N, dtype))  # the loss is the mean over the batch
        self._record(net)
        self.slots, self.turn = [_Slot(self) for _ in range(SLOTS)], 0

    def _record(self, net):
        """Capture the step, and prove it on a batch of random numbers that it has not seen."""
        x, labels = random_batch(self.x_shape, self.dtype, self.y_shape[-1])
        expected = []
        self._fill(x, labels)

        def rehearsed(grads):
            expected.append(self._digest(grads, net))
            self._fill(0 * x, 0 * labels)

        with state_restored(net):
            self._choose(net)
            grads, play = backend("cuda").recorded(self._compute, self.arena, rehearsed)
        self.play = play
        # these arrays keep their memory as long as this object lives
        self.grads = [(weakref.ref(layer), arrays) for layer, arrays in zip(leaves(net), grads)]
        self._fill(x, labels)
        with state_restored(net):
            play()
            if self._digest(grads, net) != expected[0]:
                refuse(net, x, self.loss is not None, self.arena)

    def _fill(self, x, labels):
        N = self.x_shape[0]
        capturing.put(
            np.ascontiguousarray(np.moveaxis(x.reshape(N, -1), 0, -1)).reshape(self.x.data.shape), self.x.data
        )
        if self.labels is not None:
            capturing.put(labels.astype(np.int64), self.labels)

    def _digest(self, grads, net):
        """A checksum of all that a step makes."""
        losses = [] if self.loss is None else [self.losses]
        return digest(
            [self.y, *losses, *(array for arrays in grads for array in arrays.values()), *states(net)]
        )

    def _choose(self, net):
        """Choose who computes: one block each image, where that is proved to agree with the layers."""
        self.one_block, self.why_by_layers = None, not_yet()
        if self.why_by_layers:
            return
        try:
            self.one_block, owners = one_block(net, self.x_shape, self.dtype, self.loss)
        except Unfit as reason:
            self.why_by_layers = str(reason)
            return
        places = {(id(layer), name): place for place, (layer, name) in enumerate(owners)}
        self.places = [{name: places[id(layer), name] for name in layer.params} for layer in leaves(net)]
        expected, found = (self._made(compute(), net) for compute in (self._by_layers, self._by_one_block))
        if name := differing(expected, found):
            self.one_block, self.why_by_layers = None, f"{name} differs from that of the layers"
            warnings.warn(
                f"{net!r}: computed by one block an image, {name} differs from that of the layers one by "
                "one; so the layers compute it, which takes longer: please report it",
                stacklevel=2,
            )

    def _made(self, grads, net):
        """{name: NumPy array} of all that a step has made."""
        made = {"scores": self.y} | ({} if self.loss is None else {"loss": self.losses})
        return {name: to_host(array) for name, array in (made | self._named(grads, net)).items()}

    def _named(self, grads, net):
        return {
            f"{name}.{key}" if name else key: array
            for name, arrays in zip(named_leaves(net), grads)
            for key, array in arrays.items()
        }

    def _compute(self):
        """Compute the step by calls; return the grads of all layers."""
        grads = self._by_one_block() if self.one_block else self._by_layers()
        if self.optimizer is not None:
            self._update(grads)
        return grads

    def _by_one_block(self):
        if self.loss is None:
            self.one_block.forward(self.x.data, self.y)
            return []
        self.one_block.forward_backward(self.x.data, self.labels, self.dy, self.y, self.losses)
        return [
            {
                name: self.one_block.gradients[place].reshape(layer.params[name].shape)
                for name, place in places.items()
            }
            for layer, places in zip(leaves(self.net()), self.places)
        ]

    def _by_layers(self):
        replica = fused(self.net().replica(frees_cache=True), self.x_shape)
        scores = replica.forward(self.x, training=self.loss is not None)
        transpose(scores.data.reshape(self.y.shape[::-1]), self.y)
        if self.loss is None:
            return []
        kernel, options = self.loss.kernel, self.loss._options()
        losses = kernel.forward(scores, self.labels, *options)
        cast[losses.size](losses, self.losses)
        replica.backward(kernel.backward_input(self.dy, scores, self.labels, *options), need_dx=False)
        return [
            {name: twin.grads[name] for name in layer.params}
            for layer, twin in zip(leaves(self.net()), leaves(replica))
        ]

    def _update(self, grads):
        optimizer = self.optimizer()
        optimizer.capture(self._named(grads, self.net()), self.options, self.losses)
        # it holds the slots, which must outlive the graph
        self.captured = optimizer.fingerprint()

    def is_stale(self) -> bool:
        if self.fingerprint.is_stale():
            return True
        if self.optimizer is None:
            return False
        optimizer = self.optimizer()
        if optimizer is None or not optimizer.capturable:
            return True
        now = optimizer.fingerprint()
        return len(now) != len(self.captured) or any(
            one is not known for one, known in zip(now, self.captured)
        )

    def submit(self, x, labels=None):
        capturing.enter_context()
        with self.arena.lock:  # two Python threads may ask one network
            slot = self.slots[self.turn]
            self.turn = (self.turn + 1) % SLOTS
            slot.fill(x, labels, self.optimizer and self.optimizer())
            # before it starts, so that the slot is waited for also where Ctrl-C comes in between
            pending = slot.pending = Pending(x, slot.result)
            slot.transit.start()
            for layer, grads in self.grads:
                layer().grads = dict(grads)
            return pending


class _Slot:
    """A batch on its way, and its result."""

    def __init__(self, step):
        N = step.x_shape[0]
        into = Layout([((N, step.x.data.size // N), step.dtype), *step._rest])
        self.transit = Transit(
            into, step.x.data, step._rest_at, Layout(step._result), step._result_at, step.play
        )
        self.y_shape = step.y_shape
        self.pending: Pending | None = None

    def fill(self, x, labels, optimizer):
        """Copy a batch into pinned memory, once nobody waits for what the slot held before."""
        if self.pending is not None:
            self.pending.result()
            self.pending = None
        self.transit.free()
        images, *rest = self.transit.here
        copy_images(x.reshape(images.shape), images)
        if rest:
            rest[0][...] = labels
            if optimizer is not None:
                rest[1][...] = optimizer.options()

    def result(self):
        """(loss, scores) of the step, once it is done."""
        capturing.enter_context()
        self.transit.wait()
        y, *losses = self.transit.found
        loss = float(losses[0].sum(dtype=np.float64)) / len(y) if losses else None
        return loss, y.reshape(self.y_shape).copy()


def copy_images(x, images):
    """images[...] = x. Many bytes are shared among threads, since one alone copies a fraction of what memory
    can.
    """
    if images.nbytes < SHARED_BYTES or len(x) < 2:
        images[...] = x
        return
    parts = min(len(x), images.nbytes // (SHARED_BYTES // 2), COPIERS)
    ends = [len(x) * part // parts for part in range(parts + 1)]
    list(_copiers().map(lambda part: np.copyto(images[slice(*part)], x[slice(*part)]), pairwise(ends)))


@cache
def _copiers():
    return ThreadPoolExecutor(COPIERS, "copying")
