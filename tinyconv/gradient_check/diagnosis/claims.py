"""Claims, in which hypotheses say what they predict, and what the predictions share."""

from dataclasses import dataclass, field
from itertools import chain, combinations

import numpy as np


@dataclass
class Claim:
    """What the gradient would be: `array` where `known` (everywhere, if None), or the sum of c * (the
    gradient for a dy, values and options).
    """

    detail: str = ""
    array: np.ndarray = None
    known: np.ndarray = None
    terms: list = field(default_factory=list)  # [(c, {"dy": ..., "values": ..., "options": ...}), ...]


def changed(detail="", c=1.0, **changes):
    """The gradient of a call that is changed so."""
    return Claim(detail, terms=[(c, changes)])


def subsets(items):
    return chain.from_iterable(combinations(items, n) for n in range(1, len(items) + 1))


def is_known(e):
    return e.true is not None


def elementwise(e):
    return e.name == next(iter(e.values)) and e.fits and e.y.shape == e.shape


def axis_names(array):
    return {
        4: ("images", "channels", "rows", "columns"),
        2: ("images", "features"),
        3: ("images", "channels", "positions"),
    }.get(array.ndim, tuple(f"axis {axis}" for axis in range(array.ndim)))


def join(names):
    return " and ".join(names)


def borders(array):
    """(words, bool: what is not in it) for every choice of sides, one or two pixels wide."""
    H, W = array.shape[-2:]
    i, j = np.indices((H, W))
    for width in (1, 2, 3):
        sides = {
            "the first row": i < width,
            "the last row": i >= H - width,
            "the first column": j < width,
            "the last column": j >= W - width,
        }
        for chosen in subsets(sides):
            words = join(chosen) if width == 1 else join([f"{side}s ({width})" for side in chosen])
            yield words, np.broadcast_to(~np.any([sides[name] for name in chosen], axis=0), array.shape)


def moved(array, shift):
    """The maps moved by (rows, columns), zeros where nothing comes from."""
    result, (H, W), (i, j) = np.zeros_like(array), array.shape[2:], shift
    result[:, :, max(i, 0) : H + min(i, 0), max(j, 0) : W + min(j, 0)] = array[
        :, :, max(-i, 0) : H + min(-i, 0), max(-j, 0) : W + min(-j, 0)
    ]
    return result


def factors(e):
    """(number, words): the numbers of the object, and others that are often forgotten or put in twice; each,
    its inverse, and minus it.
    """
    numbers, attributes = (
        [],
        vars(e.obj) if hasattr(e.obj, "__dict__") and not isinstance(e.obj, type) else {},
    )
    for name, value in attributes.items():
        if isinstance(value, tuple) and value and all(isinstance(v, int) for v in value):
            numbers.append((float(np.prod(value)), f"the product of {name}"))
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            numbers += [(float(value), name), (1 - value, f"1 - {name}"), (value * value, f"{name}^2")]
    if {"amplitude", "slope"} <= set(attributes):
        numbers.append((e.obj.amplitude * e.obj.slope, "amplitude times slope"))
    numbers.append((2.0, "a factor of 2"))
    if e.y.ndim > 2:
        numbers.append((float(np.prod(e.y.shape[2:])), "the number of pixels of y"))
    for number, words in numbers:
        yield number, words
        yield (1 / number if number else 0), f"1 / {words}"
        yield -number, f"minus {words}"
