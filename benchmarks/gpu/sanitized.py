"""What compute-sanitizer watches: every kernel of the cuda backend a few times, on tiny awkward shapes.

    python -m tinyconv.benchmarks.gpu.sanitized [SHARE OF]     the cases SHARE, SHARE + OF, SHARE + 2 OF, ...

Nothing is compared here: checks.py does that. sanitizer.py runs this module under each tool. It prints one
line a case, and ends with status 1 where a case raises an error.
"""

import sys
import traceback

import numpy as np

from ... import execution, layers, losses
from ...composite import Sequential
from ...execution.one_block import one_block
from ...gradient_cases import CASES
from ...kernels._cuda import gpu, launch, tile_shapes, tiles
from ...layer import Layer
from ...network import tree
from ...optimizers import SGD, Adam
from .checks import everything

PRODUCTS = layers.Conv2d, layers.Dense  # layers that have a tf32 path
LEFT_OUT = "mlp", "cifar_net"  # networks whose layers are all in other cases
# Products for every tile: more than one in each direction, none of them full; sums so long that they are
# split; numbers of images that are copied one by one, and by fours
TILED = {
    "conv2d, 33 images": (
        lambda rng: layers.Conv2d(5, 70, 3, stride=2, padding=1, rng=rng),
        (33, 5, 7, 5),
    ),
    "conv2d, 36 images": (lambda rng: layers.Conv2d(8, 40, 3, groups=2, rng=rng), (36, 8, 5, 4)),
    "conv2d, 27 taps": (lambda rng: layers.Conv2d(3, 20, 3, stride=2, rng=rng), (8, 3, 7, 6)),
    "conv2d, 1 image": (lambda rng: layers.Conv2d(40, 9, 3, padding=1, rng=rng), (1, 40, 5, 3)),
    "dense, 33 images": (lambda rng: layers.Dense(70, 130, rng=rng), (33, 70)),
    "dense, 4 images": (lambda rng: layers.Dense(1000, 12, rng=rng), (4, 1000)),
}
OPTIMIZERS = {
    "SGD": lambda net: SGD(net, lr=0.01, momentum=0.9, weight_decay=1e-4),
    "SGD, clipped": lambda net: SGD(net, lr=0.01, momentum=0.9, nesterov=True, clip=0.1),
    "Adam": lambda net: Adam(net, weight_decay=0.01, clip=0.1),
}


def cases():
    """Return {title: function} of all that is run."""
    found = {}
    for name, some in CASES.items():
        if name not in LEFT_OUT:
            for place, one in enumerate(some):
                _add(found, f"{name} {place}", one.build(0))
    for title, (make, shape) in TILED.items():
        rng = np.random.default_rng(0)
        obj, x = make(rng), rng.standard_normal(shape)
        for tile in (*tile_shapes.TILES, *tile_shapes.TENSOR_TILES):
            found[f"{title}, {_described(tile)}"] = lambda o=obj, x=x, t=tile: _with_tile(o, x, t)
    for title, (build, shape, _) in _networks().items():
        for images in (4, 6):  # many kernels take two or four of them at once
            x = np.random.default_rng(0).standard_normal((images, *shape[1:]))
            _add(found, f"{title}, {images} images", (build()[0], x, {"training": True}))
    found["batches of a data set that lies on the GPU"] = _batches
    found["lenet5 by one block an image"] = _one_block
    for title, (build, shape, classes) in _networks().items():
        for rule in OPTIMIZERS:
            for precision in launch.PRECISIONS if rule == "SGD" else ("float32",):
                found[f"captured step of {title}, {rule}, {precision}"] = (
                    lambda b=build, s=shape, c=classes, r=rule, p=precision: _captured(b, s, c, r, p)
                )
    return found


def _add(found, title, built):
    obj, x, options = built
    every = [obj, *(layer for _, layer in tree(obj))] if isinstance(obj, Layer) else [obj]
    # the products have kernels of their own for tf32 and for float64
    several = any(isinstance(layer, PRODUCTS) for layer in every)
    for precision in ("float32", "tf32", "float64") if several else ("float32",):
        found[f"{title}, {precision}"] = lambda p=precision: _called(obj, x, options, p)


def _called(obj, x, options, precision):
    """Forward and backward, call by call."""
    tf32, dtype = ["tf32"] * (precision == "tf32"), "float64" if precision == "float64" else "float32"
    obj = obj.to("cuda", *tf32)
    everything(obj, x.astype(dtype), options.get("labels"), options.get("training", False))


def _described(tile):
    return f"tile {tile.BM}x{tile.BN}x{tile.BK}" + (" of tensor cores" if tile.tensor else "")


def _with_tile(obj, x, tile):
    """Forward and backward by one tile wherever it can, whatever the model of their speed says."""
    name = "TENSOR_TILES" if tile.tensor else "TILES"
    every, model = getattr(tile_shapes, name), tile_shapes.choice

    def forced(*product):
        for some in ((tile,), every):
            setattr(tile_shapes, name, some)
            model.cache_clear()
            try:
                return model(*product)
            except TypeError:  # none of these tiles can copy such operands
                continue
            finally:
                setattr(tile_shapes, name, every)
                model.cache_clear()

    tiles.choice = forced
    try:
        _called(obj, x, {}, "tf32" if tile.tensor else "float32")
    finally:
        tiles.choice = model


def _networks():
    """{title: (function that gives a network and its loss, shape of a batch, classes)}: every layer that a
    captured step computes in another way than a call, with a neighbour that is fused into it.
    """

    def small():
        rng = np.random.default_rng(0)
        return Sequential(
            layers.Conv2d(3, 8, 3, padding=1, rng=rng),
            layers.ReLU(),
            layers.LocalResponseNorm(),
            layers.MaxPool2d(3, stride=2),
            layers.Conv2d(8, 6, 3, padding=1, groups=2, rng=rng),
            layers.ReLU(),
            layers.MaxPool2d(2),
            layers.Flatten(),
            layers.Dense(24, 10, rng=rng),
            layers.ReLU(),
            layers.Dropout(0.5, rng=rng),
            layers.Dense(10, 5, rng=rng),
        ), losses.SoftmaxCrossEntropy()

    def lenet5():
        from ...models import MODELS

        return MODELS["lenet5"](rng=0), MODELS["lenet5"].bench.loss()

    return {"lenet5": (lenet5, (5, 1, 32, 32), 10), "a small network": (small, (5, 3, 9, 9), 5)}


def _one_block():
    """A training step and a prediction of the whole network by one block an image."""
    from ...kernels.capturing import to_gpu

    (net, loss), images = _networks()["lenet5"][0](), 3
    net, loss, shape = net.to("cuda"), loss.to("cuda"), (images, *net.input_shape)
    x = to_gpu(np.random.default_rng(0).standard_normal((*shape[1:], images)).astype(np.float32))
    scores = to_gpu(np.zeros(net.output_shape(shape), np.float32))
    labels, numbers = to_gpu(np.zeros(images, np.int64)), to_gpu(np.ones(images, np.float32))
    losses_made = to_gpu(np.zeros(images, np.float32))
    one_block(net, shape, np.float32, loss)[0].forward_backward(x, labels, numbers, scores, losses_made)
    one_block(net, shape, np.float32)[0].forward(x, scores)


def _batches():
    """The second, smaller batch of five images, beyond the edges of some."""
    from ...kernels import capturing

    rng, put = np.random.default_rng(0), capturing.to_gpu
    counter, most, x, labels = (
        put(np.ones(1, np.int64)),
        3,
        np.zeros((2, 4, 3, 2), np.float32),
        np.zeros(2, int),
    )
    x, labels = put(x), put(labels)
    capturing.take_batch(
        counter,
        most,
        put(rng.integers(256, size=(5, 2, 5, 5), dtype=np.uint8)),
        put(np.arange(5)),
        put(rng.permutation(5)),
        put(rng.integers(-2, 4, size=(5, 2))),
        put(np.arange(5, dtype=np.uint8) % 2),
        put(np.zeros((5, 2), np.float32)),
        np.float32(0.1),
        put(np.zeros((2, 5, 5), np.float32)),
        np.float32(-1),
        x,
        labels,
    )
    scores, losses = put(np.ones((2, 7), np.float32)), put(np.ones(2, np.float32))
    capturing.take_numbers(counter, put(np.ones((2, 6), np.float32)), put(np.zeros(6, np.float32)))
    kept = put(np.zeros((5, 7), np.float32)), put(np.zeros(5, np.float32))
    capturing.keep_batch(counter, most, scores, losses, *kept)


def _captured(build, shape, classes, rule, precision):
    """Two steps of a captured graph, the second on other images, and a prediction."""
    (net, loss), rng = build(), np.random.default_rng(1)
    net, loss = net.to("cuda", precision), loss.to("cuda")
    optimizer = OPTIMIZERS[rule](net)
    for _ in range(2):
        x = rng.standard_normal(shape).astype(np.float32)
        net.train_step(x, rng.integers(classes, size=shape[0]), loss, optimizer)
    execution.forward(net, x)


def main(share=0, of=1):
    """Run the cases of a share; return the exit status."""
    if missing := gpu.missing():
        print(missing, file=sys.stderr)
        return 1
    failed, every = 0, list(cases().items())[int(share) :: int(of)]
    for title, run in every:
        print(f"case {title}", flush=True)
        try:
            run()
            launch.stream().synchronize()
        except Exception:  # the other cases are looked at all the same
            traceback.print_exc()
            failed += 1
    print(f"{len(every) - failed} of {len(every)} cases done", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
