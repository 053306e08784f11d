"""Points to check at, where none is given: shapes that are awkward on purpose, as many as the
object takes.
"""

import inspect
from collections import Counter

import numpy as np

from ..apart import where_of
from ..errors import ShapeError
from ..layer import Layer
from .objects import name_of
from .reach import leaves
from .subjects import subject

SIZES = ((7, 5), (3, 4), (1, 1), (2, 6), (11, 13), (27, 25), (32, 32), (63, 67), (224, 224))
LENGTHS = (7, 5, 1, 13, 11)  # of sequences, and of what else has one axis
VOLUMES = ((5, 7, 11), (7, 13, 5))
BATCHES = (2, 1, 3, 5, 13, 17)
MOST = 3  # points to check at
MOST_TRIED = 400  # shapes


class NoPoint(ValueError):
    """No x that an object takes was found. Its text has the commonest error of the object's own code, and the
    shapes that were tried.
    """


def find(obj, labels, training, seed, advice="check_gradients(obj, x)"):
    """[(x, labels)]: batches of 1 and more, one channel, odd sizes, maps as small as the object takes.

    advice  how whoever asks gives an x himself
    Raises NoPoint where it takes none.
    """
    candidates, errors = _candidates(obj)[:MOST_TRIED], Counter()
    for strictly in (True, False):
        rng = np.random.default_rng(seed)
        points = (
            _several(obj, rng, candidates)
            if _arguments(obj) > 1 and labels is None and not _is_loss(obj)
            else (_point(obj, rng, shape, labels) for shape in candidates)
        )
        if accepted := _accepted(obj, points, training, strictly, errors):
            return accepted
    others = [([distinct(rng, (3, 2)), distinct(rng, (3, 5))], None), ([distinct(rng, (1, 7))] * 2, None)]
    if any(error.startswith("IndexError") for error in errors):  # it takes indices
        others += _indices(obj, seed)
    if accepted := _accepted(obj, others, training, True, Counter()):
        return accepted
    raise NoPoint(
        f"check_gradients: found no x that {name_of(obj)} takes{_most_common(errors)}; tried "
        f"{_listed(candidates)}; give one: {advice}"
    )


def _point(obj, rng, shape, labels):
    x = distinct(rng, shape)
    if labels is None and _is_loss(obj) and _arguments(obj) == 2:
        labels = rng.integers(shape[1], size=shape[0]) if len(shape) == 2 else distinct(rng, shape)
    return x, labels


def _several(obj, rng, candidates):
    """Points of as many arguments as forward takes: factors of a matrix product, and all of one shape."""
    number = _arguments(obj)
    for N, C, O in ((5, 3, 4), (1, 3, 2), (2, 7, 3)):
        yield tuple(distinct(rng, shape) for shape in ((N, C), (C, O), (O,))[:number]), None
        yield tuple(distinct(rng, shape) for shape in ((N, C), (O, C), (O,))[:number]), None
    for shape in candidates:
        yield tuple(distinct(rng, shape) for _ in range(number)), None


def _indices(obj, seed):
    """Points of integers that are indices into any array of the object."""
    sizes = [np.shape(leaf.value)[0] for leaf in leaves(obj) if np.ndim(leaf.value)]
    rng, most = np.random.default_rng(seed), min(sizes, default=2)
    for shape in ((2, 5), (3, 2), (7,), (1,)):
        yield rng.integers(most, size=shape), None


def _accepted(obj, points, training, strictly, errors):
    """As many of the points as show something new, MOST at most."""
    accepted = []
    for point in points:
        if _shows_more(accepted, _shape(point)) and _takes(obj, point, training, strictly, errors):
            accepted.append(point)
        if len(accepted) == MOST:
            break
    return accepted


def _shape(point):
    x = point[0]
    return x[0].shape if isinstance(x, (tuple, list)) else x.shape


def _most_common(errors):
    """The error that most shapes led to, but where another is the only one that is not about shapes."""
    if not errors:
        return ""
    slips = [error for error in errors if error.startswith(("NameError", "AttributeError", "ImportError"))]
    chosen = max(slips or errors, key=errors.__getitem__)
    return f"; it raises {chosen}"


def _listed(shapes):
    """Some of the shapes, of every number of axes."""
    some = {}
    for shape in shapes:
        some.setdefault(len(shape), []).append("x".join(map(str, shape)))
    return ", ".join(text for axes in sorted(some) for text in some[axes][:2])


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
        len(known) != len(shape) or known[0] != shape[0] and (len(shape) == 2 or known[2:] != shape[2:])
        for known in map(_shape, accepted)
    )


def _candidates(obj):
    """Shapes to try, in order: batches whose size is no other size of x, so that a factor of N cannot be
    taken for another.
    """
    named, counts = _counts(obj)
    if getattr(obj, "input_shape", None):
        return [(2, *obj.input_shape)]
    channels = list(dict.fromkeys((*counts, 3, 1, 2, 4)))

    def batches(*sizes):
        free = [batch for batch in BATCHES if batch == 1 or batch not in (*sizes, *named)]
        return free[:3]

    images = [(batch, C, H, W) for H, W in SIZES for batch in batches(*channels[:1]) for C in channels]
    features = [
        (batch, C) for batch in batches(*channels[:1]) for C in channels if C > 1 or len(channels) == 1
    ]
    rows = [
        (batch, *size)
        for L in LENGTHS
        for C in channels
        for batch in batches(C, L)
        for size in ((L, C), (C, L))
    ]
    volumes = [(batch, C, *size) for size in VOLUMES for C in channels for batch in batches(C)]
    vectors = [(size,) for size in (*channels, *LENGTHS)]
    if len(channels) > 4:  # it has parameters, or says what it expects
        few = channels[:6]
        return [
            *features[:60],
            *[shape for shape in rows if set(shape[1:]) & set(few)][:90],
            *images,
            *volumes,
            *vectors,
        ]
    return [*images, *features, *rows, *volumes, *vectors]


def _counts(obj):
    """(sizes, of them those that may be a number of channels or features): what the object names, and the
    sizes of its arrays.
    """
    named = [getattr(obj, name, None) for name in ("in_channels", "channels", "in_features", "features")]
    params = getattr(obj, "params", None)
    arrays = list(params.values()) if isinstance(params, dict) and isinstance(obj, Layer) else []
    if not arrays and not isinstance(obj, (Layer, type, tuple)):
        arrays = [leaf.value for leaf in leaves(obj)]
    sizes = [size for value in arrays for size in np.shape(value)[::-1]]
    counts = [int(n) for n in (*named, *sizes) if isinstance(n, (int, np.integer)) and 0 < n <= 100000]
    return set(counts), list(dict.fromkeys(counts))


def _arguments(obj):
    """How many arguments forward needs."""
    forward = obj[0] if isinstance(obj, tuple) else getattr(obj, "forward", None)
    if forward is None:
        return 1
    kinds = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    needed = [p for p in inspect.signature(forward).parameters.values() if p.kind in kinds]
    return sum(p.default is p.empty for p in needed) - isinstance(obj, type)


def _is_loss(obj):
    """Whether backward can be called without a dy: what forward takes beside x are labels then."""
    backward = getattr(obj, "backward", None)
    if isinstance(obj, (type, tuple)) or backward is None:
        return False
    return all(
        p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        for p in inspect.signature(backward).parameters.values()
    )


def _takes(obj, point, training, strictly, errors):
    x, labels = point
    if hasattr(obj, "output_shape") and labels is None and isinstance(x, np.ndarray):
        try:
            return int(np.prod(obj.output_shape(x.shape))) > 0
        except (ShapeError, ValueError, TypeError, IndexError, ZeroDivisionError):
            return False
    try:  # an object that says nothing: whether it can compute tells
        tried = subject(obj, x, labels, training)
        gradients = tried.backward(np.ones(tried.y.shape))
        if not tried.y.size:
            return False
    except Exception as error:
        where, words = where_of(error), " ".join(str(error).split())[:120]
        errors[f"{type(error).__name__}: {words}" + (f" ({where})" if where else "")] += 1
        return False
    # x * weight takes many shapes by broadcasting that backward does not mean: first those whose gradients
    # fit
    return not strictly or all(
        gradients[name] is not None and np.shape(gradients[name]) == value.shape
        for name, value in tried.values.items()
    )
