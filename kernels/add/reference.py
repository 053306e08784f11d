"""add in NumPy."""


def forward(x, other):
    return x + other


def backward_input(dy):
    return dy  # reverses: x + other
