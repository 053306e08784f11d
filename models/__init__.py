"""The networks, each as a readable table of its layers."""
from .alexnet import PRESETS as ALEXNET_PRESETS
from .alexnet import alexnet
from .cifar_net import cifar_net
from .lenet5 import lenet5
from .mlp import mlp

MODELS = {"lenet5": lenet5, "mlp": mlp, "alexnet": alexnet, "cifar_net": cifar_net}
PRESETS = {"alexnet": ALEXNET_PRESETS}                       # of the models that come in several variants: {name: facts}, facts a dataclass

__all__ = ["MODELS", "PRESETS", "alexnet", "cifar_net", "lenet5", "mlp"]
