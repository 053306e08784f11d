"""Which networks are computed by one block an image (kernels/_cuda/one_image_network.py): chains of layers
that have a kernels/<op>/block.py, of float32, whose activations fit into a block's shared memory.
"""

from dataclasses import replace

import numpy as np

from ..device import is_on_gpu
from ..kernels.capturing import OneImage, Operation, address_of, one_image_plan
from ..layers import (
    RBF,
    AvgPool2d,
    Conv2d,
    Dense,
    Flatten,
    MaxPool2d,
    ReLU,
    ScaledTanh,
    Sigmoid,
    Subsample2d,
    TableConv2d,
    Tanh,
)
from ..losses import RBFLoss, SoftmaxCrossEntropy
from ..network import INPUT, walk

POOLS = MaxPool2d, AvgPool2d
ACTIVATIONS = ReLU, ScaledTanh, Sigmoid, Tanh
LOSSES = RBFLoss, SoftmaxCrossEntropy
ALIGNED = 16  # bytes


# Counted, of an H100: what one block multiplies in a microsecond, what it waits for at each layer; what all
# multiprocessors multiply where a launch is for one layer, and what a launch takes
BLOCKS, BLOCK_MACS, LAYER_TIME = 132, 60_000, 0.3
GPU_MACS, LAUNCH_TIME = 10_000_000, 2.5


# The simulator has run it and compilers have taken it; no GPU yet. Until one has, the layers compute, unless
# somebody sets this to try it
MEASURED = False


def not_yet() -> str | None:
    """Return why no network is computed so; None where networks are."""
    return None if MEASURED else "no GPU has run it yet (execution/one_block.py, MEASURED)"


class Unfit(Exception):
    """Why a network is not computed so."""


def one_block(net, x_shape, dtype, loss=None):
    """Return (OneImage, [(layer, name)] of its parameters by place) for a network, or raise Unfit."""
    operations, owners = _operations(net, x_shape, dtype, loss)
    given = None if loss is None else (loss.operation, loss._options())
    params = [_array(layer, name) for layer, name in owners]
    return OneImage(_image(x_shape), operations, params, x_shape[0], given), owners


def why_not(net, x_shape, dtype, loss=None) -> str | None:
    """Return why a network is not computed so; None where it is."""
    if reason := not_yet():
        return reason
    try:
        _operations(net, x_shape, dtype, loss)
    except Unfit as reason:
        return str(reason)
    return None


def _operations(net, x_shape, dtype, loss):
    """(Operations of the network, [(layer, name)] of its parameters by place)."""
    if net.precision != "float32":
        raise Unfit(f"products in {net.precision}")
    if np.dtype(dtype) != np.float32:
        raise Unfit(f"{np.dtype(dtype)} arrays")
    if loss is not None and type(loss) not in LOSSES:
        raise Unfit(f"{loss!r}")
    operations, owners = [], []
    nodes = walk(net, x_shape)
    for before, node in zip([INPUT, *(node.name for node in nodes)], nodes):
        if node.sources != (before,):
            raise Unfit(f"{node.name} is no link of a chain")
        _append(operations, owners, node)
    if not operations or len(nodes[-1].y_shape) != 2:
        raise Unfit("no scores (N, classes)")
    sizes = tuple(_array(layer, name).size for layer, name in owners)
    plan = one_image_plan(_image(x_shape), operations, sizes)
    if isinstance(plan, str):
        raise Unfit(plan)
    if not _worth_it(nodes, x_shape[0], loss is not None):
        raise Unfit(f"{x_shape[0]} images take one block each longer than their layers one by one")
    return tuple(operations), owners


def _worth_it(nodes, N, training):
    """Return True where a step is counted to be shorter this way."""
    macs = sum(node.macs for node in nodes) * (3 if training else 1)
    layers = len(nodes) * (2 if training else 1)
    one_block = -(-N // BLOCKS) * (macs / BLOCK_MACS + layers * LAYER_TIME)
    one_by_one = N * macs / GPU_MACS + layers * 2 * LAUNCH_TIME
    return one_block < one_by_one


def _append(operations, owners, node):
    """The node as the next operation, or as the activation of the last."""
    layer = node.layer
    if type(layer) is Flatten:
        return
    if type(layer) in ACTIVATIONS:
        if not operations or operations[-1].activation is not None:
            raise Unfit(f"{node.name}: an activation behind no operation")
        operations[-1] = replace(operations[-1], activation=(layer.operation, _of_activation(layer)))
        return
    name, settings, names = _operation(node)
    places = []
    for name_of_array in names:
        if name_of_array == "bias" and not getattr(layer, "bias", True):
            places.append(None)
        else:
            places.append(len(owners))
            owners.append((layer, name_of_array))
    operations.append(Operation(name, _image(node.y_shape), settings, tuple(places)))


def _of_activation(layer):
    return (layer.amplitude, layer.slope) if type(layer) is ScaledTanh else ()


def _operation(node):
    """(name, settings, names of its arrays) of a layer."""
    layer, kind = node.layer, type(node.layer)
    one_pixel = _image(node.x_shape)[1:] == (1, 1)
    if kind is Conv2d:
        if layer.stride != (1, 1) or layer.padding != (0, 0) or layer.groups != 1:
            raise Unfit(f"{node.name}: a stride, padding or groups")
        if node.y_shape[2:] == (1, 1) and layer.kernel_size == node.x_shape[2:]:
            return "dense", (), ("weight", "bias")
        pairs = np.argwhere(np.ones((layer.out_channels, layer.in_channels), bool))
        return "conv2d", (_bytes(pairs), layer.kernel_size), ("weight", "bias")
    if kind is TableConv2d:
        return "table_conv2d", (_bytes(layer.pairs), layer.kernel_size), ("weight", "bias")
    if kind is Subsample2d:
        return "subsample2d", (layer.size,), ("coefficient", "bias")
    if kind in POOLS:
        return layer.operation, (layer.size, layer.stride, layer.padding), ()
    if kind is Dense and len(node.x_shape) == 2:
        return "dense", (), ("weight", "bias")
    if kind is RBF and (len(node.x_shape) == 2 or one_pixel):
        return "rbf", (), ("centers",)
    raise Unfit(f"{node.name} = {layer!r}")


def _bytes(pairs):
    return np.ascontiguousarray(pairs, np.int32).tobytes()


def _image(shape):
    """(C, H, W) of one image; features are maps of one pixel."""
    return (*shape[1:], 1, 1)[:3]


def _array(layer, name):
    array = {**layer.params, **layer.state}[name]
    if array.dtype != np.float32:
        raise Unfit(f"a parameter of {array.dtype}")
    if is_on_gpu(array) and (not array.is_c_contiguous() or address_of(array) % ALIGNED):
        raise Unfit(f"{name} of {layer!r} does not begin where four numbers can be read at once")
    return array.reshape(array.size)
