"""Points to check at, where none is given: shapes that are awkward on purpose, as many as the
object takes.
"""

import inspect

import numpy as np

from ..errors import ShapeError
from .objects import name_of
from .subjects import subject

SIZES = ((7, 5), (3, 4), (1, 1), (2, 6), (11, 13), (27, 25), (32, 32), (63, 67), (224, 224))
MOST = 3  # points to check at


def find(obj, labels, training, seed):
    """[(x, labels)]: batches of 1 and more, one channel, odd sizes, maps as small as the object takes. Raises
    ValueError where it takes none.
    """
    for strictly in (True, False):
        rng, accepted = np.random.default_rng(seed), []
        for shape in _candidates(obj):
            x = distinct(rng, shape)
            point = (
                x,
                rng.integers(shape[1], size=shape[0])
                if labels is None and _needs_labels(obj) and len(shape) == 2
                else labels,
            )
            if _shows_more(accepted, shape) and _takes(obj, point, training, strictly):
                accepted.append(point)
            if len(accepted) == MOST:
                return accepted
        if accepted:
            return accepted
    raise ValueError(
        f"check_gradients: found no x that {name_of(obj)} takes; give one: check_gradients(obj, x)"
    )


def distinct(rng, shape):
    """Numbers between -2 and 2 in random order, no two alike and none near 0: away from the kinks of relu and
    max-pooling.
    """
    size = int(np.prod(shape))
    return rng.permutation((np.arange(size) + 0.5) * 4 / size - 2).reshape(shape) + 0.01


def _shows_more(accepted, shape):
    """Whether shape differs from all before in its batch and in its size, so that three points show three
    things.
    """
    return all(
        len(x.shape) != len(shape) or x.shape[0] != shape[0] and (len(shape) == 2 or x.shape[2:] != shape[2:])
        for x, _ in accepted
    )


def _candidates(obj):
    channels = _channels(obj)
    if getattr(obj, "input_shape", None):
        return [(batch, *obj.input_shape) for batch in (2,)]
    images = [(batch, C, H, W) for H, W in SIZES for batch in (2, 1, 3) for C in channels]
    features = [(batch, C) for batch in (3, 1, 4) for C in channels if C > 1 or len(channels) == 1]
    return features[:60] + images if len(channels) > 4 else images + features


def _channels(obj):
    """Numbers of channels or features that the object may expect: those that it names, sizes of its
    parameters, and a few small ones.
    """
    named = [getattr(obj, name, None) for name in ("in_channels", "channels", "in_features", "features")]
    sizes = [size for value in getattr(obj, "params", {}).values() for size in np.shape(value)[::-1]]
    counts = [int(n) for n in (*named, *sizes) if isinstance(n, (int, np.integer)) and 0 < n <= 100000]
    return list(dict.fromkeys((*counts, 3, 1, 2, 4)))


def _needs_labels(obj):
    forward = getattr(obj, "forward", None)
    if isinstance(obj, (type, tuple)) or forward is None:
        return False
    needed = [
        p
        for p in inspect.signature(forward).parameters.values()
        if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    return len(needed) == 2


def _takes(obj, point, training, strictly):
    x, labels = point
    if hasattr(obj, "output_shape") and labels is None:
        try:
            return int(np.prod(obj.output_shape(x.shape))) > 0
        except (ShapeError, ValueError, TypeError, IndexError, ZeroDivisionError):
            return False
    try:  # an object that says nothing: whether it can compute tells
        tried = subject(obj, x, labels, training)
        gradients = tried.backward(np.ones(tried.y.shape))
    except Exception:
        return False
    # x * weight takes many shapes by broadcasting that backward does not mean: first those whose gradients
    # fit
    return not strictly or all(
        gradients[name] is not None and np.shape(gradients[name]) == value.shape
        for name, value in tried.values.items()
    )
