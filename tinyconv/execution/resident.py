"""ResidentEpoch and ResidentScores: training steps and tests on a data set whose bytes lie on the GPU.

A batch of NumPy arrays is prepared, copied and waited for by the processor. Here the bytes of all images go
to the GPU once; the order of an epoch, its random views and the numbers of its steps once an epoch. Then a
step is three graphs, launched: gather and prepare the batch, the captured step (cuda.py), keep its scores and
losses. What the epoch has made comes back when somebody asks for it. All bits are those of a step on a NumPy
batch.
"""

import math

import numpy as np

from ..data.dataset import Dataset
from ..device import backend, to_host
from .pending import explain
from .plans import plan_for

SHARE = 0.25  # of the GPU's free memory that a data set may take
AHEAD = 32  # steps that may be launched before one is waited for


def why_not(net, loss, optimizer, images, inputs) -> str | None:
    """Return the sentence that says why the data set cannot lie on the GPU; None where it can.

    optimizer  None: for tests alone
    """
    device = backend(net.device)
    if device.records != "graph":
        return f"the device {net.device!r} computes where the images are"
    if not isinstance(images, Dataset):
        return f"{images!r} is read while training goes on, and is no Dataset in memory"
    if loss.device != net.device:
        return "network and loss are on two devices"
    if optimizer is not None and not (getattr(optimizer, "capturable", False) and optimizer.net is net):
        return f"the update of {type(optimizer).__name__} runs on the processor"
    if optimizer is None and inputs.crops > 1:
        return f"tests see {inputs.crops} crops of an image"
    dtypes = {str(array.dtype) for array in net.params.values()}
    if dtypes != {"float32"}:
        return f"images become float32, and the network has {' and '.join(sorted(dtypes)) or 'no'} arrays"
    free, needed = device.memory(), images.images.nbytes
    if free is not None and needed > SHARE * free[0]:
        return f"its {needed / 2**20:,.0f} MiB are more than {SHARE:.0%} of the GPU's free memory"
    return None


class ResidentEpoch:
    """Steps of a whole epoch, batch after batch.

    begin(order, key, first)   upload what the epoch needs; its next step is `first`
    step()                     launch one step
    results()                  of the steps since it was asked last: (loss, scores, labels) of each
    """

    def __init__(self, net, loss, optimizer, images, inputs, batch_size, threads, augment=True):
        from ..kernels import capturing

        self.on_gpu, self.net, self.loss, self.optimizer = capturing, net, loss, optimizer
        self.images, self.inputs, self.augment = images, inputs, augment
        self.batch_size, self.threads = batch_size, threads
        self._steps, self.steps = {}, -(-len(images) // batch_size)
        N = len(images)
        put, self.scale, offset, self.outside = capturing.to_gpu, *inputs.arithmetic
        self._bytes = put(np.ascontiguousarray(images.images))
        self._labels, self._offset = put(np.asarray(images.labels, np.int64)), put(offset)
        self._order, self._counter = put(np.zeros(N, np.int64)), put(np.zeros(1, np.int64))
        self._views = [put(array) for array in self._drawn(np.zeros(N, np.uint64))]
        self._numbers = put(np.zeros((self.steps, len(optimizer.options())), np.float32))
        self._losses = put(np.zeros(N, np.float32))
        self._scores = None
        self._marks = [capturing.Event() for _ in range(AHEAD)]

    def _drawn(self, key):
        drawn = self.inputs.views(len(key), key) if self.augment else self.inputs.centred(len(key))
        corners, mirrored, noise = drawn
        return corners, mirrored, noise.astype(np.float32)

    def begin(self, order, key, first=0):
        """Upload an epoch.

        order  int (N,): which image comes when        key  uint64 (N,): what each place draws its view from
        """
        self.on_gpu.enter_context()
        put, self.order, self.key = self.on_gpu.put, np.asarray(order), key
        self.next = self.counted = first
        put(self.order.astype(np.int64), self._order)
        for array, there in zip(self._drawn(key), self._views):
            put(array, there)
        self._upload_numbers()
        put(np.array([first]), self._counter)

    def _upload_numbers(self):
        """The numbers of every step to come, as the optimizer's schedule has them now."""
        optimizer, rows = self.optimizer, np.zeros((self.steps, len(self.optimizer.options())), np.float32)
        at = optimizer.steps
        try:
            for step in range(self.next, self.steps):
                optimizer.steps = at + step - self.next
                rows[step] = optimizer.options()
        finally:
            optimizer.steps = at
        self._rows = rows
        self.on_gpu.put(rows, self._numbers)

    def _batch(self, step):
        """Images of a step."""
        return min(self.batch_size, len(self.order) - step * self.batch_size)

    def step(self):
        """Launch the next step of the epoch, once no more than AHEAD are on their way."""
        mark = self._marks[self.next % AHEAD]
        mark.wait()
        if not np.array_equal(self._rows[self.next], np.float32(self.optimizer.options())):
            self._upload_numbers()  # somebody has changed a setting
        enter, play, leave, plan = self._captured(self._batch(self.next))
        enter()
        play()
        leave()
        mark.record()
        for layer, grads in plan.grads:
            layer().grads = dict(grads)
        self.optimizer.steps += 1
        self.next += 1

    def _captured(self, n):
        """(enter, step, leave, plan) for batches of n images."""
        known = self._steps.get(n)
        if known is not None and not known[-1].is_stale():
            return known
        x = np.zeros((n, *self.inputs.shape), np.float32)
        plan = plan_for(self.net, x, self.threads, self.loss, self.optimizer)
        if self._scores is None:
            self._scores = self.on_gpu.to_gpu(np.zeros((len(self.images), plan.y.shape[1]), np.float32))
        self.on_gpu.put(np.array([self.next]), self._counter)
        most = self.batch_size
        shape = (*self.inputs.shape, n)

        def begin():
            x = plan.x.data.reshape(*shape)
            self.on_gpu.take_batch(
                self._counter,
                most,
                self._bytes,
                self._labels,
                self._order,
                *self._views,
                self.scale,
                self._offset,
                self.outside,
                x,
                plan.labels,
            )
            self.on_gpu.take_numbers(self._counter, self._numbers, plan.options)

        def keep():
            self.on_gpu.keep_batch(self._counter, most, plan.y, plan.losses, self._scores, self._losses)

        enter, leave = (_graph(self.on_gpu, calls) for calls in (begin, keep))
        self.on_gpu.put(np.array([self.next]), self._counter)  # keep() has moved it
        self._steps[n] = enter, plan.play, leave, plan
        return self._steps[n]

    def results(self):
        """Wait for the steps so far; yield (loss, scores, labels) of those that were not asked for yet.

        Raises DivergedError, or DataError, at a loss that is not finite.
        """
        if self.counted == self.next:
            return
        self.on_gpu.enter_context()
        scores, losses = to_host(self._scores), to_host(self._losses)
        while self.counted < self.next:
            first = self.counted * self.batch_size
            places = slice(first, first + self._batch(self.counted))
            labels = self.images.labels[self.order[places]]
            loss = float(losses[places].sum(dtype=np.float64)) / len(labels)
            if not math.isfinite(loss):
                images = self.images.read(self.order[places])
                prepare = self.inputs.training if self.augment else self.inputs.testing
                explain(loss, prepare(images, *([self.key[places]] if self.augment else [])))
            self.counted += 1
            yield loss, scores[places], labels


class ResidentScores:
    """Scores of all images of a data set that lies on the GPU, as evaluation.forward_all gives them: central
    crops, a chunk of images at a time.

    scores()  the scores (N, classes), with the parameters that the network has now
    """

    def __init__(self, net, images, inputs, chunk, threads):
        from ..kernels import capturing

        self.on_gpu, self.net, self.inputs, self.threads = capturing, net, inputs, threads
        N, put = len(images), capturing.to_gpu
        self.chunk, self.N = min(chunk, N), N
        self.scale, offset, self.outside = inputs.arithmetic
        corners, mirrored, noise = inputs.centred(N)
        self._bytes, self._offset = put(np.ascontiguousarray(images.images)), put(offset)
        self._order, self._counter = put(np.arange(N)), put(np.zeros(1, np.int64))
        self._views = [put(corners), put(mirrored), put(noise.astype(np.float32))]
        self._scores, self._graphs = None, {}

    def scores(self):
        """Return the scores of all images."""
        self.on_gpu.enter_context()
        for first in range(0, self.N, self.chunk):
            self._captured(min(self.chunk, self.N - first))  # compiles, and moves the counter
        self.on_gpu.put(np.zeros(1, np.int64), self._counter)
        for first in range(0, self.N, self.chunk):
            for launch in self._captured(min(self.chunk, self.N - first))[:-1]:
                launch()
        return to_host(self._scores)

    def _captured(self, n):
        """(enter, forward, leave, plan) for n images."""
        known = self._graphs.get(n)
        if known is not None and not known[-1].is_stale():
            return known
        plan = plan_for(self.net, np.zeros((n, *self.inputs.shape), np.float32), self.threads)
        if self._scores is None:
            self._scores = self.on_gpu.to_gpu(np.zeros((self.N, plan.y.shape[1]), np.float32))
        x = plan.x.data.reshape(*self.inputs.shape, n)
        view = self._bytes, self._order, *self._views, self.scale, self._offset, self.outside, x

        def begin():
            self.on_gpu.take_images(self._counter, self.chunk, *view)

        def keep():
            self.on_gpu.keep_scores(self._counter, self.chunk, plan.y, self._scores)

        enter, leave = (_graph(self.on_gpu, calls) for calls in (begin, keep))
        self._graphs[n] = enter, plan.play, leave, plan
        return self._graphs[n]


def _graph(on_gpu, calls):
    """The function that makes the calls again; they are made once, which compiles them."""
    calls()
    with on_gpu.capturing() as graph:
        calls()
    return graph.launch
