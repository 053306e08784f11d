"""Fusing: a ReLU beside a convolution or dense layer is computed in the launch of that layer.

    y = relu(weight x + bias)      in one launch; what is kept for the way back is y: y > 0 where x > 0
    dx = weight^T dy where x > 0   reverses both the layer and the ReLU that made its x

An edge is fused where nothing else sees the array between the two: not at the end of a block, behind which a
sum stands before the ReLU, and not where the array takes two ways.
"""

from ..layers import Conv2d, Dense, ReLU
from ..network import INPUT, walk

PRODUCTS = Conv2d, Dense


def fused(net, x_shape):
    """Mark the layers of a network that share a launch, in their attribute `fused`; return the network."""
    nodes = walk(net, x_shape)
    by_name = {node.name: node for node in nodes}
    uses = [source for node in nodes for source in node.sources]
    for node in nodes:
        if len(node.sources) != 1 or node.sources[0] == INPUT or uses.count(node.sources[0]) != 1:
            continue
        layer, following = by_name[node.sources[0]].layer, node.layer
        if type(layer) in PRODUCTS and type(following) is ReLU:
            layer.fused, following.fused = (*layer.fused, "relu behind"), (*following.fused, "before")
        if type(layer) is ReLU and type(following) in PRODUCTS:
            layer.fused, following.fused = (*layer.fused, "behind"), (*following.fused, "relu before")
    return net
