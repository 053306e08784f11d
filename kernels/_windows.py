"""Windows that slide over a map: what conv2d, the pools and subsample2d share."""


def output_size(size, window, stride, padding):
    """Positions of a window along one axis: floor((size + 2 padding - window) / stride) + 1. Raises ValueError where none fits."""
    if size + 2 * padding < window:
        raise ValueError(f"a window of {window} does not fit into {size} pixels with padding {padding}")
    return (size + 2 * padding - window) // stride + 1


def output_map(x_shape, window, stride, padding):
    """(OH, OW) for maps (..., H, W); `window`, `stride` and `padding` are pairs (vertical, horizontal)."""
    return tuple(output_size(*axis) for axis in zip(x_shape[-2:], window, stride, padding))


def pool_output_shape(x_shape, size, stride, padding):
    """(N, C, OH, OW) of a pool. Raises ValueError for an x without maps, or padding that is not smaller than the window."""
    if len(x_shape) != 4:
        raise ValueError(f"expected x of shape (N, C, H, W), got {tuple(x_shape)}")
    if any(p >= s for p, s in zip(padding, size)):
        raise ValueError(f"padding {padding} must be smaller than the window {size}")
    return (*x_shape[:2], *output_map(x_shape, size, stride, padding))


def as_lengths(size):
    """A window (vertical, horizontal) as two tuples of that length: the length is part of their type, so that kernels unroll their loops."""
    return (0,) * size[0], (0,) * size[1]
