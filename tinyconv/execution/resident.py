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
    classes = net.output_shape((1, *inputs.shape))[1]
    free, needed = device.memory(), images.images.nbytes + 4 * classes * len(images)
    if free is not None and needed > SHARE * free[0]:
        return f"its {needed / 2**20:,.0f} MiB are more than {SHARE:.0%} of the GPU's free memory"
    return None


class _Resident:
    """Images on the GPU, what is seen of each, and the scores that a network gives them.

    views  (corners, mirrored, noise) of take_views in kernels/views.py, one of each place

    The images are those of this moment: who changes them makes a new object.
    """

    def __init__(self, net, images, inputs, batch_size, threads, views):
        from ..kernels import capturing

        self.on_gpu, self.net, self.inputs, self.threads = capturing, net, inputs, threads
        self.batch_size, self.N, put = min(batch_size, len(images)), len(images), capturing.to_gpu
        scale, offset, outside = inputs.arithmetic
        self._bytes, self._order = put(np.ascontiguousarray(images.images)), put(np.arange(self.N))
        self._views = [put(array) for array in views]
        self._arithmetic = scale, put(offset), outside
        classes = net.output_shape((1, *inputs.shape))[1]
        self._scores = put(np.zeros((self.N, classes), np.float32))
        self._counter, self._graphs = put(np.zeros(1, np.int64)), {}

    def _set_counter(self, step):
        self.on_gpu.put(np.array([step]), self._counter)

    def _batch(self, step):
        """Images of a step."""
        return min(self.batch_size, self.N - step * self.batch_size)

    def _captured(self, step, *of_the_plan):
        """(enter, compute, leave, plan) for the batch of a step. of_the_plan: loss and optimizer, or nothing.

        To capture the graphs, their kernels are launched once, which compiles them; the counter is put back.
        """
        n = self._batch(step)
        known = self._graphs.get(n)
        if known is not None and not known[-1].is_stale():
            return known
        plan = plan_for(self.net, np.zeros((n, *self.inputs.shape), np.float32), self.threads, *of_the_plan)
        graphs = []
        for calls in (self._enter, self._leave):
            self._set_counter(step)
            calls(plan)
            with self.on_gpu.capturing() as graph:
                calls(plan)
            graphs.append(graph.launch)
        self._set_counter(step)
        self._graphs[n] = graphs[0], plan.play, graphs[1], plan
        return self._graphs[n]

    def _launch(self, enter, compute, leave, plan):
        with plan.arena.lock:  # another thread may ask the same network
            enter()
            compute()
            leave()

    def _seen(self, plan):
        """What the kernels that gather a batch are told of it."""
        x = plan.x.data.reshape(*self.inputs.shape, plan.x_shape[0])
        return self._order, *self._views, *self._arithmetic, x


class ResidentEpoch(_Resident):
    """Steps of a whole epoch, batch after batch.

    begin(order, key, first)   upload what the epoch needs; its next step is `first`
    step()                     launch one step
    results()                  of the steps since it was asked last: (loss, scores, labels) of each
    """

    def __init__(self, net, loss, optimizer, images, inputs, batch_size, threads, augment=True):
        self.images, self.augment, self.loss, self.optimizer = images, augment, loss, optimizer
        views = self._drawn(inputs, np.zeros(len(images), np.uint64))
        super().__init__(net, images, inputs, batch_size, threads, views)
        self.steps, put = -(-self.N // self.batch_size), self.on_gpu.to_gpu
        self._labels = put(np.asarray(images.labels, np.int64))
        self._numbers = put(np.zeros((self.steps, len(optimizer.options())), np.float32))
        self._losses = put(np.zeros(self.N, np.float32))
        self._marks = [self.on_gpu.Event() for _ in range(AHEAD)]

    def _drawn(self, inputs, key):
        drawn = inputs.views(len(key), key) if self.augment else inputs.centred(len(key))
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
        for array, there in zip(self._drawn(self.inputs, key), self._views):
            put(array, there)
        self._upload_numbers()
        self._set_counter(first)

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

    def step(self):
        """Launch the next step of the epoch, once no more than AHEAD are on their way."""
        mark = self._marks[self.next % AHEAD]
        mark.wait()
        if not np.array_equal(self._rows[self.next], np.float32(self.optimizer.options())):
            self._upload_numbers()  # somebody has changed a setting
        captured = self._captured(self.next, self.loss, self.optimizer)
        self._launch(*captured)
        mark.record()
        for layer, grads in captured[-1].grads:
            layer().grads = dict(grads)
        self.optimizer.steps += 1
        self.next += 1

    def _enter(self, plan):
        self.on_gpu.take_batch(
            self._counter, self.batch_size, self._bytes, self._labels, *self._seen(plan), plan.labels
        )
        self.on_gpu.take_numbers(self._counter, self._numbers, plan.options)

    def _leave(self, plan):
        kept = self._scores, self._losses
        self.on_gpu.keep_batch(self._counter, self.batch_size, plan.y, plan.losses, *kept)

    def results(self):
        """Wait for the steps so far; yield (loss, scores, labels) of those that were not asked for yet.

        Raises DivergedError, or DataError, at a loss that is not finite.
        """
        if self.counted == self.next:
            return
        self.on_gpu.enter_context()
        start, end = self.counted * self.batch_size, min(self.next * self.batch_size, self.N)
        scores, losses = to_host(self._scores[start:end]), to_host(self._losses[start:end])
        while self.counted < self.next:
            first = self.counted * self.batch_size
            places = slice(first, first + self._batch(self.counted))
            here = slice(first - start, first - start + self._batch(self.counted))
            labels = self.images.labels[self.order[places]]
            loss = float(losses[here].sum(dtype=np.float64)) / len(labels)
            if not math.isfinite(loss):
                images = self.images.read(self.order[places])
                prepare = self.inputs.training if self.augment else self.inputs.testing
                explain(loss, prepare(images, *([self.key[places]] if self.augment else [])))
            self.counted += 1
            yield loss, scores[here], labels


class ResidentScores(_Resident):
    """Scores of all images of a data set that lies on the GPU, as evaluation.forward_all gives them: central
    crops, a batch of images at a time.

    scores()  the scores (N, classes), with the parameters that the network has now
    """

    def __init__(self, net, images, inputs, batch_size, threads):
        corners, mirrored, noise = inputs.centred(len(images))
        views = corners, mirrored, noise.astype(np.float32)
        super().__init__(net, images, inputs, batch_size, threads, views)

    def scores(self):
        """Return the scores of all images."""
        self.on_gpu.enter_context()
        self._set_counter(0)
        for step in range(-(-self.N // self.batch_size)):
            self._launch(*self._captured(step))
        return to_host(self._scores)

    def _enter(self, plan):
        self.on_gpu.take_images(self._counter, self.batch_size, self._bytes, *self._seen(plan))

    def _leave(self, plan):
        self.on_gpu.keep_scores(self._counter, self.batch_size, plan.y, self._scores)
