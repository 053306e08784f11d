"""What net.summary() prints: how large a network is, layer by layer."""

class Summary:
    """One row a layer, for one image: name, layer, output shape (C, H, W), parameters, connections, multiply-adds; and their totals."""

    def __init__(self, net, input_shape):
        self.input_shape, self.rows, shape = input_shape, [], (1, *input_shape)
        for name, layer in net.named_layers.items():
            y_shape = layer.output_shape(shape)
            self.rows.append((name, type(layer).__name__, tuple(y_shape[1:]), sum(value.size for value in layer.params.values()),
                              layer.connections(shape), layer.multiply_adds(shape)))
            shape = y_shape
        self.parameters, self.connections, self.multiply_adds = (sum(row[column] for row in self.rows) for column in (3, 4, 5))

    def __str__(self):
        dims = lambda shape: "x".join(map(str, shape))
        count = lambda number: f"{number:,}" if number else "-"
        table = [("", "layer", "output", "parameters", "connections", "multiply-adds"),
                 ("", "input", dims(self.input_shape), "", "", "")]
        table += [(name, layer, dims(shape), *map(count, numbers)) for name, layer, shape, *numbers in self.rows]
        table += [("total", "", "", *map(count, (self.parameters, self.connections, self.multiply_adds)))]
        widths = [max(len(row[column]) for row in table) for column in range(6)]
        lines = ["  ".join(cell.ljust(w) if column < 3 else cell.rjust(w) for column, (cell, w) in enumerate(zip(row, widths))).rstrip()
                 for row in table]
        rule = "-" * max(map(len, lines))
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])

    __repr__ = __str__
