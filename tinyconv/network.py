"""walk: the one traversal of a network. Whoever needs its layers, their shapes or how they are connected asks
it.

Memory, chunk sizes, summary, fusing, recording, the full-size check and pictures stand on it, so none of them
knows what a network is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .device import put, to_host, unpack

if TYPE_CHECKING:
    from .layer import Layer

INPUT = "x"  # the source of what sees the network's input


@dataclass(frozen=True)
class Node:
    """A layer that computes, at its place in a network.

    name      dotted, as its parameters are named: "block.body.C1"
    layer     the layer: a leaf, or a composite that joins what its inner layers made (Residual: the addition)
    x_shape   of its input (of the first one, where it has several), with the batch
    y_shape   of its output
    sources   names of the nodes that its inputs come from; "x" is the input of the network
    """

    name: str
    layer: Layer
    x_shape: tuple[int, ...]
    y_shape: tuple[int, ...]
    sources: tuple[str, ...]

    @property
    def parameters(self) -> int:
        """Number of trained numbers of this node alone."""
        return (
            0 if self.layer.edges() is not None else sum(value.size for value in self.layer.params.values())
        )

    @property
    def connections(self) -> int:
        """Connections of one image, as the 1998 paper counts them."""
        return self.layer.connections(self.x_shape) if self.layer.edges() is None else 0

    @property
    def macs(self) -> int:
        """Multiplications by a weight for one image, forward."""
        return self.layer.multiply_adds(self.x_shape) if self.layer.edges() is None else 0


def walk(net: Layer, x_shape: tuple[int, ...]) -> list[Node]:
    """Return the nodes of a network (or of a single layer) in the order in which they compute, for a batch of
    x_shape.

    Raises ShapeError where a layer cannot take what reaches it.
    """
    nodes: list[Node] = []
    _visit(nodes, "", net, INPUT, tuple(x_shape))
    return nodes


def _visit(nodes, name, layer, source, x_shape):
    """Append the nodes of `layer`, whose input is that of `source`; return the name of the last one, and the
    shape of its output.
    """
    edges = layer.edges()
    if edges is None:
        nodes.append(
            Node(name or type(layer).__name__, layer, x_shape, layer.output_shape(x_shape), (source,))
        )
        return nodes[-1].name, nodes[-1].y_shape
    made = {INPUT: (source, x_shape)}
    for inner_name, inner, sources in edges:
        names, shapes = zip(*(made[place] for place in sources))
        if inner is layer:  # the composite itself joins what its layers made
            nodes.append(Node(name or inner_name, layer, shapes[0], layer.joined_shape(*shapes), names))
            made[inner_name] = nodes[-1].name, nodes[-1].y_shape
        else:
            made[inner_name] = _visit(
                nodes, f"{name}.{inner_name}" if name else inner_name, inner, names[0], shapes[0]
            )
    return made[edges[-1][0]]


def tree(layer: Layer, prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield all layers below this one with their dotted names, "block.C1" for C1 of block; a composite comes
    before its layers.
    """
    for name, inner in layer.named_layers.items():
        yield prefix + name, inner
        yield from tree(inner, f"{prefix}{name}.")


def leaves(layer: Layer) -> list[Layer]:
    """Return the layers without inner layers, in order: those that hold parameters and state."""
    return list(named_leaves(layer).values())


def named_leaves(layer: Layer) -> dict[str, Layer]:
    """Return leaves(layer) by their dotted names; "" is a layer that has none inside."""
    return {name: inner for name, inner in tree(layer) if not inner.named_layers} or {"": layer}


def not_recordable(net: Layer) -> list[tuple[str, str]]:
    """Return (name, why) of all layers whose calls no tape or graph can repeat: a network with one is
    computed layer by layer.
    """
    why = net.not_recordable()
    found = [(type(net).__name__, why)] if why else []

    def visit(layer, prefix):
        for name, inner in layer.named_layers.items():
            why = inner.not_recordable()
            if why:
                found.append((f"{prefix}{name}", why))
            else:
                visit(inner, f"{prefix}{name}.")

    if not found:
        visit(net, "")
    return found


@contextmanager
def state_restored(net: Layer) -> Iterator[None]:
    """Within this context steps are rehearsals: afterwards every state of the network is as before, and no
    draw of a dropout has taken place.
    """
    before = [
        (
            layer,
            dict(layer.state),
            {
                name: np.array(to_host(array))
                for name, array in layer.state.items()
                if hasattr(array, "shape")
            },
        )
        for layer in leaves(net)
    ]
    try:
        yield
    finally:
        for layer, arrays, values in before:
            for name, value in arrays.items():
                if layer.state.get(name) is not value:
                    layer.state[name] = value
                if name in values:
                    put(values[name], value)


def states(net: Layer) -> list[np.ndarray]:
    """Return all state arrays of a network, in the order of its layers."""
    return [array for layer in leaves(net) for array in layer.state.values()]


def observe(
    net: Layer, x: np.ndarray, training: bool = False, dy: Callable[[np.ndarray], np.ndarray] | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """Return {dotted name of a layer: {"x", "y"}} of one forward pass; with dy, a function of the scores,
    also "dy" and "dx" of the way back.

    The network itself is the name "". It is left as it was, except that what is random draws once
    (training=True).
    """
    twin, seen = net.replica(), {}

    def watch(name, layer):
        forward, backward = layer.forward, layer.backward
        own = seen.setdefault(name, {})

        def forward_and_note(x, training=False):
            own["x"] = unpack(x)
            y = forward(x, training)
            own["y"] = unpack(y)
            return y

        def backward_and_note(dy, need_dx=True):
            own["dy"] = unpack(dy)
            dx = backward(dy, need_dx)
            own["dx"] = None if dx is None else unpack(dx)
            return dx

        layer.forward, layer.backward = forward_and_note, backward_and_note
        for inner_name, inner in layer.named_layers.items():
            watch(f"{name}.{inner_name}" if name else inner_name, inner)

    watch("", twin)
    y = twin.forward(x, training)
    if dy is not None:
        twin.backward(dy(np.asarray(y)))
    return seen
