"""Windows that slide over a map: what conv2d, the pools and subsample2d share."""


def output_size(size, window, stride, padding, ceil=False):
    """Positions of a window along one axis: floor((size + 2 padding - window) / stride) + 1. Raises
    ValueError where there is none.

    ceil rounds up instead of down: where the windows that fit leave pixels over at the end, one more begins
    and reaches beyond the padded map, unless it would begin behind the map itself and see nothing but
    padding.
    """
    strides, left_over = divmod(size + 2 * padding - window, stride)
    positions = strides + 1
    if ceil and left_over and positions * stride < size + padding:
        positions += 1
    if positions < 1:
        raise ValueError(f"a window of {window} does not fit into {size} pixels with padding {padding}")
    return positions


def output_map(x_shape, window, stride, padding, ceil=False):
    """(OH, OW) for maps (..., H, W); `window`, `stride` and `padding` are pairs (vertical, horizontal)."""
    return tuple(output_size(*axis, ceil) for axis in zip(x_shape[-2:], window, stride, padding))


def pool_output_shape(x_shape, size, stride, padding, ceil=False):
    """(N, C, OH, OW) of a pool. Raises ValueError for an x without maps, or padding that is not smaller than
    the window.
    """
    if len(x_shape) != 4:
        raise ValueError(f"expected x of shape (N, C, H, W), got {tuple(x_shape)}")
    if any(p >= s for p, s in zip(padding, size)):
        raise ValueError(f"padding {padding} must be smaller than the window {size}")
    return (*x_shape[:2], *output_map(x_shape, size, stride, padding, ceil))


def as_lengths(size):
    """A window (vertical, horizontal) as two tuples of that length: the length is part of their type, so that
    kernels unroll their loops.
    """
    return (0,) * size[0], (0,) * size[1]
