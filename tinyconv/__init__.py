"""tinyconv: convolutional networks without autograd. Every backward pass is written by hand and checked
against finite differences.

>>> import tinyconv as tc
>>> net = tc.models.lenet5(rng=0)
>>> loss, optimizer = tc.losses.RBFLoss("map"), tc.optimizers.SGD(net, lr=3e-3, momentum=0.9)
>>> value = net.train_step(images, labels, loss, optimizer)
>>> tc.check_gradients(tc.layers.Subsample2d(3), x).ok
True
"""

import typing as _typing
from importlib import import_module as _import_module
from pathlib import Path as _Path

from .version import __version__ as __version__

# In a checkout links stand here to the folders beside this one. Where Git made text files of them, say so at
# once.
for _room in ("kernels", "models", "benchmarks"):
    if not (_Path(__file__).parent / _room).is_dir():
        raise ImportError(
            f"expected a link to the folder {_room} at tinyconv/{_room}, got none: clone again where links "
            "can be made "
            "(on Windows: developer mode, and git clone -c core.symlinks=true)"
        )

# Editors and type checkers read these lines, and nothing runs them.
if _typing.TYPE_CHECKING:
    from . import (
        benchmarks as benchmarks,
        data as data,
        errors as errors,
        initializers as initializers,
        kernels as kernels,
        layers as layers,
        losses as losses,
        models as models,
        optim as optim,
        optimizers as optimizers,
        training as training,
    )
    from .composite import (
        Composite as Composite,
        Residual as Residual,
        Sequential as Sequential,
    )
    from .gradient_check import (
        assert_gradients as assert_gradients,
        check_gradients as check_gradients,
    )
    from .layer import (
        Layer as Layer,
    )
    from .losses import (
        RBFLoss as RBFLoss,
        SoftmaxCrossEntropy as SoftmaxCrossEntropy,
    )
    from .optim import (
        SGD as SGD,
        Adam as Adam,
        Optimizer as Optimizer,
    )

# What a name stands for is imported when it is first asked for: `import tinyconv` alone costs nothing, so
# that the pytest plugin, which every pytest of the environment loads, costs nothing either.
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
    "benchmarks",
    "check_gradients",
    "data",
    "errors",
    "initializers",
    "kernels",
    "layers",
    "losses",
    "models",
    "optim",
    "optimizers",
    "training",
]


# A type checker does not see this: it would take every name for one of ours.
if not _typing.TYPE_CHECKING:

    def __getattr__(name):
        if name in _HOME:
            return getattr(_import_module(f"{__name__}.{_HOME[name]}"), name)
        if not name.startswith("_"):
            try:
                return _import_module(f"{__name__}.{name}")
            except ModuleNotFoundError as error:
                if error.name != f"{__name__}.{name}":  # it is there, and what it needs is not
                    raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*__all__, "__all__", "__doc__", "__file__", "__name__", "__path__", "__version__"])
