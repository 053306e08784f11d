"""A step of a network on the GPU, captured once as a graph (kernels/_cuda_graph.py) and then launched again for every batch.

What plan.py is for the CPU: nothing is allocated once it stands, and Python makes a handful of calls a step. A batch crosses over while the one before it is
computed; loss and scores come back when they are asked for.

    processor   copy batch t+1 into pinned memory | ...
    copies            batch t+1 -> GPU            | batch t+2 -> GPU
    kernels     images last, forward, loss, backward, update of batch t | ... of batch t+1
"""
import weakref

import numpy as np

from .kernels import _cuda, _cuda_streams
from .kernels._arena import taking_from
from .kernels._cuda_arena import NoRoom
from .kernels._cuda_graph import capturing
from .kernels._cuda_native import CudaNative, cast, transpose
from .layers import Conv2d, Dense, ReLU
from .plan import facts, leaves, still

SLOTS = 2                                                   # batches on their way: one arrives while the other is computed


class CapturedStep:
    """forward of `net` for batches of x_shape; with a `loss` also loss and backward; with an `optimizer` also the update of all parameters.

    submit(x, labels)   starts a step; gives its Answer. Sets the grads of the network where there is a loss
    """

    def __init__(self, net, x_shape, dtype, arena, loss=None, optimizer=None):
        self.net, self.x_shape, self.dtype, self.arena, self.loss = weakref.ref(net), tuple(x_shape), np.dtype(dtype), arena, loss
        self.optimizer = None if optimizer is None else weakref.ref(optimizer)    # which holds the network
        self.facts, N = list(facts(net)), x_shape[0]
        self.y_shape = net.output_shape(x_shape)
        self.x = CudaNative(_cuda.allocate((*x_shape[1:], N), dtype), x_shape)
        self.y = _cuda.allocate((N, int(np.prod(self.y_shape[1:]))), dtype)
        self.labels = _cuda.to_gpu(np.zeros(N, np.int64))
        self.losses = _cuda.to_gpu(np.zeros(N, dtype))
        self.dy = _cuda.to_gpu(np.full(N, 1 / N, dtype))    # the loss is the mean over the batch
        # the numbers of an update; their scale, the last of them, is 0 until the first step: it makes the update a no-op
        self.options = _cuda.to_gpu(np.zeros(1 if optimizer is None else len(optimizer.options()), dtype))
        self.slots, self.turn = [_Slot(self) for _ in range(SLOTS)], 0
        self._record(net)

    def _record(self, net):
        states = [array for layer in leaves(net) for array in layer.state.values()]
        before = [_cuda.to_host(array) for array in states]
        _cuda.put(np.zeros(self.x.data.shape, self.dtype), self.x.data)
        with taking_from(self.arena):
            self._compute(fused(net.replica(forgets=True)))  # compiles, fills tables of constants, takes as much memory as it will need
            for array, value in zip(states, before):        # it was a rehearsal: no draw of a dropout has taken place
                _cuda.put(value, array)
            while True:
                self.grads = ()                             # those of the rehearsal make room
                try:
                    with capturing() as self.graph:
                        self._compute(fused(net.replica(forgets=True)))
                    break
                except NoRoom as needed:                    # the same pieces may fit differently into what is free
                    self.arena.grow(needed.size)

    def _compute(self, replica):
        scores = replica.forward(self.x, training=self.loss is not None)
        transpose(scores.data.reshape(self.y.shape[::-1]), self.y)
        if self.loss is None:
            return
        kernel, options = self.loss.kernel, self.loss._options()
        losses = kernel.forward(scores, self.labels, *options)
        cast[losses.size](losses, self.losses)
        replica.backward(kernel.backward_input(self.dy, scores, self.labels, *options), need_dx=False)
        # these arrays keep their memory as long as this object lives
        self.grads = [(weakref.ref(layer), {name: twin.grads[name] for name in layer.params}) for layer, twin in zip(leaves(self.net()), leaves(replica))]
        if self.optimizer is not None:
            self._update()

    def _update(self):
        optimizer = self.optimizer()
        gradients = {f"{prefix}{name}": dweight for prefix, (_, grads) in zip(_prefixes(self.net()), self.grads) for name, dweight in grads.items()}
        optimizer.capture(gradients, self.options, self.losses)
        # it holds the slots, which must outlive the graph
        self.captured = optimizer.fingerprint()

    def fits(self):
        """Whether the network, and the optimiser, still have the arrays and options that were captured."""
        if not still(self.facts):
            return False
        if self.optimizer is None:
            return True
        optimizer = self.optimizer()
        if optimizer is None or not optimizer.capturable:
            return False
        now = optimizer.fingerprint()
        return len(now) == len(self.captured) and all(one is known for one, known in zip(now, self.captured))

    def submit(self, x, labels=None):
        _cuda_streams.enter_context()
        with self.arena.lock:                               # two Python threads may ask one network
            slot = self.slots[self.turn]
            self.turn = (self.turn + 1) % SLOTS
            slot.fill(x, labels, self.optimizer and self.optimizer())
            slot.enter(self)
            self.graph.launch()
            for layer, grads in self.grads if self.loss is not None else ():
                layer().grads = dict(grads)
            return slot.leave(self)


class _Slot:
    """Pinned memory for a batch and for what comes back of it, and where the batch arrives on the GPU."""

    def __init__(self, step):
        N, answer = step.x_shape[0], (step.y.shape, step.losses.shape)
        shapes = ((N, step.x.data.size // N), step.dtype), ((N,), np.int64), (step.options.shape, step.dtype)
        self.here = [_cuda_streams.pinned(*shape) for shape in shapes]
        self.there = [_cuda.allocate(*shape) for shape in shapes]
        self.back = [_cuda_streams.pinned(shape, step.dtype) for shape in answer]
        self.arrived, self.done = _cuda_streams.event(), _cuda_streams.event()
        self.answer = None

    def fill(self, x, labels, optimizer):
        """Copy a batch into pinned memory, and let it go over."""
        if self.answer is not None:
            self.answer.settle()                            # the step before has left this slot, and nobody waits for what it holds
            self.answer = None
        self.here[0][...] = x.reshape(self.here[0].shape)
        if labels is not None:
            self.here[1][...] = labels
        if optimizer is not None:
            self.here[2][...] = optimizer.options()
        for here, there in zip(self.here, self.there):
            there.copy_to_device(here, _cuda_streams.copy_stream())
        self.arrived.record(_cuda_streams.copy_stream())

    def enter(self, step):
        """Bring the batch to where the graph reads it, as soon as it has arrived."""
        (x, labels, options), stream = self.there, _cuda.stream()
        self.arrived.wait(stream)
        transpose(x, step.x.data.reshape(x.shape[::-1]))
        cast[labels.size](labels, step.labels)
        cast[options.size](options, step.options)

    def leave(self, step):
        """Let scores and losses come back, behind the graph."""
        stream = _cuda.stream()
        for array, here in zip((step.y, step.losses), self.back):
            array.copy_to_host(here, stream)
        self.done.record(stream)
        self.answer = Answer(self.done, self.back, step.y_shape)
        return self.answer


class Answer:
    """What a step on the GPU has made: `y`, the scores (N, ...), and `losses` (N,), waited for when they are asked for."""

    def __init__(self, done, back, y_shape):
        self._done, self._back, self._y_shape, self._arrays = done, back, y_shape, None

    def settle(self):
        if self._arrays is None:
            _cuda_streams.enter_context()
            self._done.synchronize()
            y, losses = (array.copy() for array in self._back)
            self._arrays, self._back = (y.reshape(self._y_shape), losses), None
        return self._arrays

    y = property(lambda self: self.settle()[0])
    losses = property(lambda self: self.settle()[1])


def fused(net):
    """The network, in which a ReLU behind a Conv2d or Dense is computed in that layer's launch, and its way back in that of one before which it stands.

        y = relu(weight x + bias)      in one launch, and what is kept for the way back is y: y > 0 where x > 0
        dx = weight^T dy where x > 0   reverses both the layer and the ReLU that made its x
    """
    layers = leaves(net)
    for layer, following in zip(layers, layers[1:]):
        if type(layer) in (Conv2d, Dense) and type(following) is ReLU:
            layer.fused, following.fused = (*layer.fused, "relu behind"), (*following.fused, "before")
        if type(layer) is ReLU and type(following) in (Conv2d, Dense):
            layer.fused, following.fused = (*layer.fused, "behind"), (*following.fused, "relu before")
    return net


def _prefixes(net, before=""):
    """For every layer that leaves(net) gives, what stands before the names of its parameters in net.params."""
    if not net.named_layers:
        return [before]
    return [prefix for name, layer in net.named_layers.items() for prefix in _prefixes(layer, f"{before}{name}.")]
