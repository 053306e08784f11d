"""The networks, each as a readable table of its layers."""
from .lenet5 import lenet5
from .mlp import mlp

MODELS = {"lenet5": lenet5, "mlp": mlp}

__all__ = ["MODELS", "lenet5", "mlp"]
