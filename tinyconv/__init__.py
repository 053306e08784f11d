"""tinyconv: convolutional networks without autograd. Every backward pass is written by hand and checked against finite differences.

    >>> import tinyconv as tc
    >>> net = tc.models.lenet5(rng=0)
    >>> loss, optimizer = tc.losses.RBFLoss("map"), tc.optimizers.SGD(net, lr=3e-3, momentum=0.9)
    >>> value = net.train_step(images, labels, loss, optimizer)
    >>> tc.check_gradients(tc.layers.Subsample2d(3), x).ok
    True
"""
from importlib import import_module
from pathlib import Path

from .version import __version__  # noqa: E402

# In a checkout kernels/ and models/ stand beside this folder, not in it; setup.cfg installs them inside. Here they are found either way.
if not (Path(__file__).parent / "kernels").is_dir():
    __path__.append(str(Path(__file__).parent.parent))

from . import errors, initializers, layers, losses, optimizers  # noqa: E402
from .gradient_check import assert_gradients, check_gradients  # noqa: E402
from .layer import Layer  # noqa: E402
from .losses import RBFLoss, SoftmaxCrossEntropy  # noqa: E402
from .optimizers import SGD  # noqa: E402
from .sequential import Sequential  # noqa: E402

__all__ = ["Layer", "RBFLoss", "SGD", "Sequential", "SoftmaxCrossEntropy", "assert_gradients", "check_gradients", "data", "errors", "initializers",
           "layers", "losses", "models", "optimizers", "training"]


def __getattr__(name):
    # models stand above the framework and data pulls in Pillow: both are imported when they are first asked for
    if name in ("models", "data", "training"):
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
