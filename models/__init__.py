"""The networks, each as a readable table of its layers, with its recipe beside it.

To add one: a file in this folder that ends in a Model (tinyconv/recipe.py), its import here and its place in
MODELS.
"""

if __name__ != "tinyconv.models":
    # One file is one module under one name: a second one would have classes and caches of its own.
    raise ImportError(f"expected the name tinyconv.models, got {__name__}: write `import tinyconv.models`")

from .alexnet import alexnet
from .alexnet_recipe import ALEXNET
from .cifar_net import CIFAR_NET, cifar_net
from .lenet5 import LENET5, lenet5
from .mlp import MLP, mlp

MODELS = {"lenet5": LENET5, "mlp": MLP, "alexnet": ALEXNET, "cifar_net": CIFAR_NET}
PRESETS = {name: model.presets for name, model in MODELS.items() if model.presets}

__all__ = ["MODELS", "PRESETS", "alexnet", "cifar_net", "lenet5", "mlp"]
