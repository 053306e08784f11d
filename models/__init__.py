"""The networks, each as a readable table of its layers."""
from .alexnet import alexnet
from .cifar_net import cifar_net
from .lenet5 import lenet5
from .mlp import mlp

MODELS = {"lenet5": lenet5, "mlp": mlp, "alexnet": alexnet, "cifar_net": cifar_net}

__all__ = ["MODELS", "alexnet", "cifar_net", "lenet5", "mlp"]
