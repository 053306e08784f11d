"""The layers, one a file: each has the name of its operation's folder in tinyconv.kernels."""

from .avg_pool2d import AvgPool2d
from .conv2d import Conv2d
from .dense import Dense
from .dropout import Dropout
from .flatten import Flatten
from .local_response_norm import LocalResponseNorm
from .max_pool2d import MaxPool2d
from .rbf import RBF
from .relu import ReLU
from .scaled_tanh import ScaledTanh
from .sigmoid import Sigmoid
from .subsample2d import Subsample2d
from .table_conv2d import TableConv2d
from .tanh import Tanh

__all__ = [
    "AvgPool2d",
    "Conv2d",
    "Dense",
    "Dropout",
    "Flatten",
    "LocalResponseNorm",
    "MaxPool2d",
    "RBF",
    "ReLU",
    "ScaledTanh",
    "Sigmoid",
    "Subsample2d",
    "TableConv2d",
    "Tanh",
]
