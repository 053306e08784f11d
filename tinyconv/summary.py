"""What net.summary() prints: how large a network is, layer by layer; and in what two or more
networks differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .annotation import Shape
from .network import not_recordable, walk

if TYPE_CHECKING:
    from .layer import Layer


class Summary:
    """One row a layer, for one image: name, layer, output shape (C, H, W), parameters, connections,
    multiply-adds; and their totals.
    """

    def __init__(self, net: Layer, input_shape: Shape) -> None:
        self.input_shape = input_shape
        self.rows = [
            (
                node.name,
                class_name(node.layer),
                tuple(node.y_shape[1:]),
                node.parameters,
                node.connections,
                node.macs,
            )
            for node in walk(net, (1, *input_shape))
        ]
        self.by_calls = not_recordable(net)
        self.parameters = sum(row[3] for row in self.rows)
        self.connections = sum(row[4] for row in self.rows)
        self.multiply_adds = sum(row[5] for row in self.rows)

    def __str__(self):
        count = lambda number: f"{number:,}" if number else "-"
        table = [
            ("", "layer", "output", "parameters", "connections", "multiply-adds"),
            ("", "input", _dims(self.input_shape), "", "", ""),
        ]
        table += [
            (name, layer, _dims(shape), *map(count, numbers)) for name, layer, shape, *numbers in self.rows
        ]
        table += [("total", "", "", *map(count, (self.parameters, self.connections, self.multiply_adds)))]
        lines = _aligned(table, left=3)
        rule = "-" * max(map(len, lines))
        notes = [
            f"computed layer by layer, since {name} cannot be recorded: {why}"
            for name, why in self.by_calls[:1]
        ]
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], *notes])

    __repr__ = __str__

    def facts(self):
        """{what: text}: each layer's output shape and parameters, and the totals."""
        layers = {
            name: f"{_dims(shape)}, {parameters:,} parameters" if parameters else _dims(shape)
            for name, _, shape, parameters, _, _ in self.rows
        }
        return {**layers, "parameters": f"{self.parameters:,}", "multiply-adds": f"{self.multiply_adds:,}"}


def difference(columns):
    """A table of the rows in which the columns are not all alike. columns: {title: {what: text}}; "-" where a
    column lacks a row.
    """
    whats = dict.fromkeys(what for column in columns.values() for what in column)
    rows = [(what, *(column.get(what, "-") for column in columns.values())) for what in whats]
    rows = [row for row in rows if len(set(row[1:])) > 1]
    if not rows:
        return f"no difference between {' and '.join(columns)}"
    lines = _aligned([("", *columns), *rows], left=1 + len(columns))
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def class_name(layer: Layer) -> str:
    """Return the name of a layer's class; of an object of a user's own in a network, the name of
    its class.
    """
    return type(getattr(layer, "inner", layer)).__name__


def _dims(shape):
    return "x".join(map(str, shape))


def _aligned(table, left):
    """The lines of a table of strings whose first `left` columns stand flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*table)]
    return [
        "  ".join(
            cell.ljust(w) if place < left else cell.rjust(w)
            for place, (cell, w) in enumerate(zip(row, widths))
        ).rstrip()
        for row in table
    ]
