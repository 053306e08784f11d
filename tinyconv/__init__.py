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

# What a name stands for is imported when it is first asked for: `import tinyconv` alone costs nothing, so that the pytest plugin, which every pytest
# of the environment loads, costs nothing either.
_HOME = {
    "Adam": "optim",
    "Composite": "composite",
    "Layer": "layer",
    "Optimizer": "optim",
    "RBFLoss": "losses",
    "Residual": "composite",
    "SGD": "optim",
    "Sequential": "composite",
    "SoftmaxCrossEntropy": "losses",
    "assert_gradients": "gradient_check",
    "check_gradients": "gradient_check",
}

__all__ = [
    "Adam",
    "Composite",
    "Layer",
    "Optimizer",
    "RBFLoss",
    "Residual",
    "SGD",
    "Sequential",
    "SoftmaxCrossEntropy",
    "assert_gradients",
    "check_gradients",
    "data",
    "errors",
    "initializers",
    "layers",
    "losses",
    "models",
    "optim",
    "optimizers",
    "training",
]


def __getattr__(name):
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    if not name.startswith("_"):
        try:
            return import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":  # it is there, and what it needs is not
                raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
