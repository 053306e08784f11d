"""All numbers that an object of a user's own holds, and the gradient that it gives of each.

People keep parameters as self.W, in params (a dict, a list, dicts in a dict), in layers within layers, in
views of one long array. A checker that looks at `params` alone says "ok" of what it has not seen. So every
array that can be reached from the object is moved a little: where y moves, forward depends on it, and its
gradient has to be found.

    leaves(obj)              every array and number, with the path that leads to it
    duplicate(obj, changes)  a deep copy in which arrays that share memory still do
    gradient_of(obj, leaf)   the gradient that stands beside it, and where
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..strangers import NO_DATA, gradient_names

DEEP = 8  # objects, lists and dicts within each other that are looked into
GRADIENTS = ("grads", "gradients", "grad")  # attributes that hold the gradients of `params`
VALUES = ("data", "value", "array", "values")  # attributes of a parameter that is an object, beside its grad
NUMBERS = (float, np.floating)


@dataclass(frozen=True, eq=False)
class Leaf:
    """One array or number of an object.

    path   (("attribute", "params"), ("item", "W")): how to get there from the object
    value  the array, or number, that was there
    """

    path: tuple
    value: Any

    @property
    def declared(self) -> bool:
        """True where the object itself says that this is a parameter."""
        return ("attribute", "params") in self.path

    @property
    def fixed(self) -> bool:
        """True where the object itself says that this is not trained."""
        return ("attribute", "state") in self.path

    @property
    def name(self) -> str:
        """The name in a report: W, layers.0.W, params[0]. Words that say only "these are the parameters" are
        left out where a key follows.
        """
        words = [str(key) for kind, key in self.path if (kind, key) != ("attribute", "params")]
        if self.declared and all(isinstance(key, int) for _, key in self.path[1:]):
            return self.place.removeprefix("self.")
        if len(words) > 1 and words[-1] in VALUES:
            words.pop()
        return ".".join(words)

    @property
    def place(self) -> str:
        """The place as a user writes it: self.params['W']."""
        return _written(self.path)


def _written(path):
    return "self" + "".join(f".{key}" if kind == "attribute" else f"[{key!r}]" for kind, key in path)


def leaves(obj) -> list[Leaf]:
    """Return every array, and every number that is a float, that can be reached from obj."""
    found, seen = [], set()

    def visit(value, path):
        if isinstance(value, np.ndarray):
            if value.dtype.kind in "fiu":
                found.append(Leaf(path, value))
        elif isinstance(value, NUMBERS) or _counts(value) and ("attribute", "params") in path:
            found.append(Leaf(path, value))
        elif id(value) in seen or len(path) >= DEEP or isinstance(value, (*NO_DATA, np.random.Generator)):
            return
        elif isinstance(value, dict):
            seen.add(id(value))
            for key, inner in list(value.items()):
                visit(inner, (*path, ("item", key)))
        elif isinstance(value, (list, tuple)):
            seen.add(id(value))
            for key, inner in enumerate(value):
                visit(inner, (*path, ("item", key)))
        elif hasattr(value, "__dict__"):
            seen.add(id(value))
            # first what says what it is; a class may hold it for all its objects: params, grads = {}, {}
            for key in ("params", "state"):
                if isinstance(inner := getattr(value, key, None), (dict, list, tuple)):
                    visit(inner, (*path, ("attribute", key)))
            for key, inner in list(vars(value).items()):
                if key not in ("params", "state"):
                    visit(inner, (*path, ("attribute", key)))

    visit(obj, ())
    return found


def _counts(value):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def get(obj, path) -> Any:
    """Return what the path leads to in obj. Raises KeyError, IndexError, TypeError or AttributeError where
    nothing is there.
    """
    for kind, key in path:
        obj = getattr(obj, key) if kind == "attribute" else obj[key]
    return obj


def put(obj, path, value) -> bool:
    """Put the value where the path leads to; return False where that cannot be, as in a tuple."""
    kind, key = path[-1]
    try:
        holder = get(obj, path[:-1])
        if kind == "attribute":
            setattr(holder, key, value)
        else:
            holder[key] = value
    except (TypeError, AttributeError):
        return False
    return True


def duplicate(obj, arrays: dict | None = None):
    """Return a deep copy of obj. Arrays that share memory share it in the copy too.

    arrays  {id of an array of obj: what the copy holds instead}
    What cannot be copied (a lock, an open file) is shared with the copy.
    """
    memo = dict(arrays or {})
    # deepcopy forgets an array whose id stands in memo only as long as the array lives: obj keeps them alive
    try:
        return copy.deepcopy(obj, dict(memo))
    except Exception:
        memo |= _uncopyable(obj)
        return copy.deepcopy(obj, memo)


def _uncopyable(obj):
    """{id: object} of the innermost parts of obj that copy.deepcopy cannot copy."""
    found, seen = {}, set()

    def visit(value, depth):
        if id(value) in seen or depth > DEEP:
            return
        seen.add(id(value))
        try:
            copy.deepcopy(value)
            return
        except Exception:
            parts = (
                list(value.values())
                if isinstance(value, dict)
                else list(value)
                if isinstance(value, (list, tuple))
                else list(vars(value).values())
                if hasattr(value, "__dict__")
                else []
            )
        before = len(found)
        for part in parts:
            visit(part, depth + 1)
        if len(found) == before:
            found[id(value)] = value

    visit(obj, 0)
    return found


class Memory:
    """The arrays of an object and the memory that they lie in, so that views of one array stay views of one.

    Both give {id of an array: its twin}, for duplicate():

    in_dtype(dtype)       all arrays anew, those of floats in that dtype
    with_values(changes)  all arrays anew, `changes` {Leaf: value} written into them, complex where a value is
    """

    def __init__(self, found):
        self.arrays = {id(leaf.value): leaf.value for leaf in found if isinstance(leaf.value, np.ndarray)}
        self.roots = {}
        for key, array in list(self.arrays.items()):
            root = _root(array)
            if root.dtype != array.dtype or not (root.flags.c_contiguous or root.flags.f_contiguous):
                root = array
            self.roots[key] = root
            if isinstance(root, np.ndarray):
                self.arrays.setdefault(id(root), root)
                self.roots.setdefault(id(root), root)

    def with_values(self, changes: dict) -> dict:
        """Return the twins of all arrays; those that `changes` names, and all that share memory with them,
        hold the new numbers.
        """
        touched = {}
        for leaf, value in changes.items():
            root = self.roots[id(leaf.value)]
            touched.setdefault(id(root), []).append((leaf.value, value))
        twins = {}
        for key, array in self.arrays.items():
            root = self.roots[key]
            if id(root) not in twins:
                news = [value for _, value in touched.get(id(root), ())]
                twins[id(root)] = root.astype(np.result_type(root, *news), order="K", copy=True)
            twins[key] = _view_like(array, root, twins[id(root)])
        for pairs in touched.values():
            for array, value in pairs:
                twins[id(array)][...] = value
        return twins

    def in_dtype(self, dtype) -> dict:
        """Return the twins of all arrays, those of floats in `dtype`."""
        twins, made = {}, {}
        for key, array in self.arrays.items():
            root = self.roots[key]
            if id(root) not in made:
                made[id(root)] = root.astype(dtype if root.dtype.kind == "f" else root.dtype, order="K")
            twins[key] = _view_like(array, root, made[id(root)])
        return twins


def _root(array):
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _view_like(array, root, twin):
    """The part of `twin` that `array` is of `root`."""
    if array is root:
        return twin
    first = (array.__array_interface__["data"][0] - root.__array_interface__["data"][0]) // root.itemsize
    strides = tuple(stride // root.itemsize * twin.itemsize for stride in array.strides)
    flat = twin.reshape(-1, order="A")
    return np.ndarray(array.shape, twin.dtype, flat, first * twin.itemsize, strides)


def gradient_of(obj, leaf):
    """(gradient, place, right): the gradient that obj has made of a leaf, and how its place is written; right
    is False where nobody looks for it there. (None, "", False) where there is none.

    For self.params['W'] it is self.grads['W']; for self.W it is self.dW, self.grad_W or self.grads['W'].
    """
    for path, right in _places(leaf):
        try:
            gradient = get(obj, path)
        except Exception:  # an attribute of a user's own may raise anything
            continue
        if gradient is None or isinstance(gradient, (dict, list, tuple)) or callable(gradient):
            continue
        return gradient, _written(path), right
    return None, "", False


def _places(leaf):
    """(path, whether it is the right place) of all places where a gradient may be, the right ones first."""
    path = leaf.path
    last = path[-1]
    if leaf.declared:
        at = max(place for place, step in enumerate(path) if step == ("attribute", "params"))
        owner, inner = path[:at], path[at + 1 :]
        for word in GRADIENTS:
            yield (*owner, ("attribute", word), *inner), True
        if isinstance(last[1], str):
            for name in gradient_names(last[1]):
                for word in GRADIENTS:
                    yield (*owner, ("attribute", word), *inner[:-1], ("item", name)), False
                yield (*owner, *path[at:-1], ("item", name)), False
                yield (*owner, ("attribute", name)), False
        return
    for place in reversed(range(len(path))):
        kind, key = path[place]
        if not isinstance(key, str):
            continue
        if key in VALUES and place == len(path) - 1:
            for word in GRADIENTS:
                yield (*path[:place], (kind, word)), True
        for name in gradient_names(key):
            yield (*path[:place], (kind, name), *path[place + 1 :]), True
        if kind == "attribute":
            for word in GRADIENTS:
                for name in (key, *gradient_names(key)):
                    yield (*path[:place], ("attribute", word), ("item", name), *path[place + 1 :]), True
