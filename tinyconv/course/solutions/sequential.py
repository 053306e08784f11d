"""sequential: the chain rule. Layers one after the other are one large layer.

    layers  a list of objects with
                y = layer.forward(x)      which remembers what its backward will need
                dx = layer.backward(dy)   which gives dx, and leaves the gradients of its parameters in layer.grads

forward         x_1 = layer_1(x),  x_2 = layer_2(x_1),  ...,  y = layer_K(x_K-1)

Derivation. E depends on x through all that lies between, and the chain rule is a product of one factor a
layer:

    dE/dx = dE/dy . dy/dx_K-1 . ... . dx_2/dx_1 . dx_1/dx

A layer knows only its own factor: backward takes dE by its output and gives dE by its input. Read the product
from the left.

Go on: which layer gets dy? What does the next one get, and which one is that?
"""


def forward(x, layers):
    for layer in layers:
        x = layer.forward(x)
    return x


def backward_input(dy, layers):
    """dx; on the way every layer's backward is called once, so that its grads are set."""
    for layer in reversed(layers):
        dy = layer.backward(dy)                              # reverses: x = layer.forward(x)
    return dy
