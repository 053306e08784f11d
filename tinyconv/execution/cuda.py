"""CapturedStep: a step of a network on the GPU, captured once as a graph (kernels/_cuda/graph.py) and then launched again for every batch.

What Plan (cpu.py) is for the CPU: nothing is allocated once it stands, and Python makes a handful of calls a step. A batch is copied to the GPU while the
one before it is computed; loss and scores come back when they are asked for.

    processor   copy batch t+1 into pinned memory | ...
    copies            batch t+1 -> GPU            | batch t+2 -> GPU
    kernels     images last, forward, loss, backward, update of batch t | ... of batch t+1
"""  # noqa: E501

import weakref

import numpy as np

from ..device import backend
from ..kernels import capturing
from ..kernels.capturing import CudaNative, cast, transpose
from ..network import leaves, named_leaves, state_restored, states
from .fingerprint import Fingerprint
from .fusing import fused
from .pending import Pending
from .proof import digest, random_batch, refuse

SLOTS = 2  # batches on their way: one arrives while the other is computed


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
        self.y = capturing.allocate((N, int(np.prod(self.y_shape[1:]))), dtype)
        self.labels = capturing.to_gpu(np.zeros(N, np.int64))
        self.losses = capturing.to_gpu(np.zeros(N, dtype))
        self.dy = capturing.to_gpu(np.full(N, 1 / N, dtype))  # the loss is the mean over the batch
        # the numbers of an update; their scale, the last of them, is 0 until the first step: it makes the
        # update a no-op
        self.options = capturing.to_gpu(np.zeros(1 if optimizer is None else len(optimizer.options()), dtype))
        self.slots, self.turn = [_Slot(self) for _ in range(SLOTS)], 0
        self._record(net)

    def _record(self, net):
        """Capture the step, and prove it on a batch of random numbers that it has not seen."""
        x, labels = random_batch(self.x_shape, self.dtype, self.y_shape[-1])
        expected = []
        self._fill(x, labels)

        def rehearsed(grads):
            expected.append(self._digest(grads, net))
            self._fill(0 * x, 0 * labels)

        with state_restored(net):
            grads, play = backend("cuda").recorded(
                lambda: self._compute(fused(net.replica(frees_cache=True), self.x_shape)),
                self.arena,
                rehearsed,
            )
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
        capturing.put(labels.astype(np.int64), self.labels)

    def _digest(self, grads, net):
        """A checksum of all that a step makes."""
        losses = [] if self.loss is None else [self.losses]
        return digest(
            [self.y, *losses, *(array for arrays in grads for array in arrays.values()), *states(net)]
        )

    def _compute(self, replica):
        """Compute the step by calls; return the grads of all layers."""
        scores = replica.forward(self.x, training=self.loss is not None)
        transpose(scores.data.reshape(self.y.shape[::-1]), self.y)
        if self.loss is None:
            return []
        kernel, options = self.loss.kernel, self.loss._options()
        losses = kernel.forward(scores, self.labels, *options)
        cast[losses.size](losses, self.losses)
        replica.backward(kernel.backward_input(self.dy, scores, self.labels, *options), need_dx=False)
        grads = [
            {name: twin.grads[name] for name in layer.params}
            for layer, twin in zip(leaves(self.net()), leaves(replica))
        ]
        if self.optimizer is not None:
            self._update(grads)
        return grads

    def _update(self, grads):
        optimizer = self.optimizer()
        optimizer.capture(
            {
                f"{name}.{key}" if name else key: array
                for name, arrays in zip(named_leaves(self.net()), grads)
                for key, array in arrays.items()
            },
            self.options,
            self.losses,
        )
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
            slot.enter(self)
            self.play()
            for layer, grads in self.grads:
                layer().grads = dict(grads)
            return slot.leave(self, x, labels is not None)


class _Slot:
    """Pinned memory for a batch and for what comes back of it, and the memory on the GPU where the batch
    arrives.
    """

    def __init__(self, step):
        N, result = step.x_shape[0], (step.y.shape, step.losses.shape)
        shapes = ((N, step.x.data.size // N), step.dtype), ((N,), np.int64), (step.options.shape, step.dtype)
        self.here = [capturing.pinned(*shape) for shape in shapes]
        self.there = [capturing.allocate(*shape) for shape in shapes]
        self.back = [capturing.pinned(shape, step.dtype) for shape in result]
        self.arrived, self.done = capturing.event(), capturing.event()
        self.pending = None

    def fill(self, x, labels, optimizer):
        """Copy a batch into pinned memory, and start its copy to the GPU."""
        if self.pending is not None:
            self.pending.result()  # the step before has left this slot, and nobody waits for what it holds
            self.pending = None
        self.here[0][...] = x.reshape(self.here[0].shape)
        if labels is not None:
            self.here[1][...] = labels
        if optimizer is not None:
            self.here[2][...] = optimizer.options()
        for here, there in zip(self.here, self.there):
            there.copy_to_device(here, capturing.copy_stream())
        self.arrived.record(capturing.copy_stream())

    def enter(self, step):
        """Bring the batch to where the graph reads it, as soon as it has arrived."""
        (x, labels, options), stream = self.there, capturing.stream()
        self.arrived.wait(stream)
        transpose(x, step.x.data.reshape(x.shape[::-1]))
        cast[labels.size](labels, step.labels)
        cast[options.size](options, step.options)

    def leave(self, step, x, with_loss):
        """Let scores and losses come back, behind the graph."""
        stream = capturing.stream()
        for array, here in zip((step.y, step.losses), self.back):
            array.copy_to_host(here, stream)
        self.done.record(stream)
        back, y_shape = self.back, step.y_shape

        def wait():
            capturing.enter_context()
            self.done.synchronize()
            y, losses = (array.copy() for array in back)
            return float(losses.sum(dtype=np.float64)) / len(losses) if with_loss else None, y.reshape(
                y_shape
            )

        self.pending = Pending(x, wait)
        return self.pending
