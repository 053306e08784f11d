"""An object of a user's own as a Subject: its parameters are looked for wherever it keeps them (reach.py).

What the object itself says in `params` is checked in any case. Of all else that it holds, every array is
moved: where y moves, forward depends on it. Then either its gradient is found and checked, or the check is
refused by its name.
"""

import numpy as np

from . import reach
from .objects import Subject, name_of
from .passes import Passes
from .reach import Leaf, Memory
from .report import Refusal

# times the size of an array: so far it is moved to see whether y moves
STEPS = (1e-3, 1.0)


class StrangerSubject(Subject):
    """An object with forward and backward that is no Layer and no Loss.

    found    {name: [Leaf]}: where the object holds a parameter. Several where it has several names
    passes   how its two passes are called (passes.py)

    Every call is made on a fresh copy, as in ObjectSubject.
    """

    def __init__(self, obj, x, labels, training, dtype=np.float64):
        self.passes = Passes(obj, x, labels, training)
        self.labels, self.dtype = labels, np.dtype(dtype)
        self.call_options = self.passes.options
        params = self._prepare(obj)
        self.takes_dy = self.passes.takes_dy
        super().__init__(name_of(obj), {**self.passes.values, **params})
        self.obj = obj
        self._use_before()

    def _prepare(self, obj):
        self.refusals, self.constant, self.found, self.apart = [], [], {}, set()
        self.exact = self._in_float(obj, np.float64)
        self._rehearse(self.exact)
        self.exact = self._in_float(self.exact, np.float64)  # which may have made its arrays only now
        self._find_parameters()
        self.tested = self.exact if self.dtype == np.float64 else self._in_float(self.exact, self.dtype)
        self.complex = self.exact
        return {name: np.array(places[0].value, np.float64) for name, places in self.found.items()}

    def _use_before(self):
        """A forward and a backward at another point: a cache that is not renewed, or a gradient that is added
        to, shows as a wrong gradient then.
        """
        self.earlier = self.earlier_values()
        dy = np.random.default_rng(2).standard_normal(self.y.shape)
        for obj in {id(each): each for each in (self.tested, self.exact)}.values():
            arguments = self.passes.arguments(self.earlier, self.dtype if obj is self.tested else float)
            y, result = self.passes.forward(obj, arguments)
            if y.shape == dy.shape and np.all(np.isfinite(y)):
                self.passes.backward(obj, dy, result)
        self.earlier["dy"] = dy
        self.fixed = {
            leaf.path[-1][1]: np.asarray(leaf.value, np.float64)
            for leaf in reach.leaves(self.exact)
            if leaf.fixed and _is_float_array(leaf.value)
        }
        self.y = self.forward()  # the mask of dropout is another one now

    def forward(self, values={}, **options):
        imaginary = any(np.iscomplexobj(value) for value in values.values())
        obj = self._twin(self.exact, values, options)
        arguments = self.passes.arguments({**self.values, **values}, complex if imaginary else float)
        return self.passes.forward(obj, arguments)[0]

    def backward(self, dy):
        return self.run(dy)[0]

    def run(self, dy):
        """(gradients, first argument, dy, copy) after one forward and backward of a copy."""
        obj = self._copy(self.tested)
        arguments = self.passes.arguments(self.values, self.dtype)
        _, result = self.passes.forward(obj, arguments)
        gradients, dy_after = self.passes.backward(obj, dy, result)
        gradients |= {
            name: None if (value := self._gradient(obj, places)[0]) is None else np.asarray(value)
            for name, places in self.found.items()
        }
        first = next(iter(self.values))
        after = {**self.params_of(obj), **self.passes.named(arguments)}[first]
        return {name: gradients.get(name) for name in self.values}, after, dy_after, obj

    def _in_float(self, obj, dtype):
        """A copy whose floats are of that dtype; what params names is of it, be it a number or integers."""
        obj = reach.duplicate(obj, Memory(reach.leaves(obj)).in_dtype(dtype))
        for leaf in reach.leaves(obj):
            if leaf.declared and not _is_float_array(leaf.value):
                reach.put(obj, leaf.path, np.array(leaf.value, dtype))
        return obj

    def _rehearse(self, obj):
        """One forward and backward: arrays may be made only there, and gradients always are."""
        y, result = self.passes.forward(obj, self.passes.arguments(self.passes.values, float))
        if y.dtype == np.float64 and np.all(np.isfinite(y)):  # else Subject refuses it
            self.passes.backward(obj, np.ones_like(y), result)

    # ---- what forward depends on

    def _find_parameters(self):
        obj = self.exact
        for leaf in reach.leaves(obj):  # a number with a gradient beside it is a parameter too
            if not isinstance(leaf.value, np.ndarray) and reach.gradient_of(obj, leaf)[0] is not None:
                reach.put(obj, leaf.path, np.array(leaf.value, np.float64))
        found = reach.leaves(obj)
        self._still = self._y()
        repeatable = np.array_equal(self._still, self._y(), equal_nan=True)
        arrays = [leaf for leaf in found if isinstance(leaf.value, np.ndarray) and not leaf.fixed]
        fixed = [leaf for leaf in found if leaf.fixed and isinstance(leaf.value, np.ndarray)]
        for places in _same_memory([leaf for leaf in arrays if leaf.declared]):
            self._add_declared(places, arrays)
        declared = [leaf for places in self.found.values() for leaf in places]
        if not repeatable:  # then y moves by itself, and habits.py refuses it
            return
        for places in _same_memory([leaf for leaf in arrays if not leaf.declared]):
            leaf = places[0]
            if _same_array(leaf, [*fixed, *declared]) or not leaf.value.size:
                continue
            kept = {other: other.value for other in declared if np.shares_memory(leaf.value, other.value)}
            if self._moves(leaf, kept):
                self._add_undeclared(places)
        self.constant += [
            f"{leaf.place[5:]} = {leaf.value:g}"
            for leaf in found
            if not isinstance(leaf.value, np.ndarray) and not leaf.declared and self._number_moves(leaf)
        ]
        self.constant += [leaf.place[5:] for leaf in fixed]

    def _add_declared(self, places, arrays):
        """Take parameters that `params` names: one array, under one name or several."""
        leaf = places[0]
        if len(places) > 1 and all(self._moves_apart(each) for each in places):
            gradients = [id(reach.gradient_of(self.exact, each)[0]) for each in places]
            if len(set(gradients)) == len(places):  # one weight in two places, each with its own gradient
                for each in places:
                    self._add([each])
                    self.apart.add(each.name)
                return
        if not self._moves(leaf):
            # params may give copies: then forward reads the array that they are copies of
            origin = [
                other
                for other in arrays
                if not other.declared
                and other.value.shape == leaf.value.shape
                and np.array_equal(other.value, leaf.value)
                and self._moves(other)
            ]
            if origin:
                self._add([origin[0], *places], leaf.name)
                return
        self._add(places)

    def _add_undeclared(self, places):
        gradient, _, _ = self._gradient(self.exact, places)
        if gradient is not None:
            self._add(places)
            return
        place, key = places[0].place, places[0].path[-1][1]
        self.refusals.append(
            Refusal(
                f"d{places[0].name}",
                "no gradient",
                f"forward depends on {place}; no gradient of it was found; put it in "
                f"self.grads[{key!r}] (with self.params[{key!r}]), or put {place} into self.state if it is "
                "not trained",
            )
        )

    def _add(self, places, name=None):
        name = name or places[0].name
        if name in self.found or name == "x":
            name = places[0].place.removeprefix("self.")
        self.found[name] = places
        _, place, right = self._gradient(self.exact, places)
        if place and not right:
            leaf = next(leaf for leaf in places if leaf.declared)
            expected = leaf.place.replace("params", "grads", 1)
            self.refusals.append(
                Refusal(
                    f"d{name}",
                    "gradient in another place",
                    f"the gradient of {leaf.place} is in {place}, where no optimizer looks; put it in "
                    f"{expected}",
                )
            )

    @staticmethod
    def _gradient(obj, places):
        """(gradient, place, right) of the first of these places that has one, the right place first."""
        answers = [reach.gradient_of(obj, leaf) for leaf in places]
        there = [answer for answer in answers if answer[0] is not None]
        return next((one for one in there if one[2]), there[0] if there else (None, "", False))

    def _y(self, twin=None):
        twin = self._copy(self.exact) if twin is None else twin
        return self.passes.forward(twin, self.passes.arguments(self.passes.values, float))[0]

    def _moves(self, leaf, kept=None):
        """Return True where y moves with the array; `kept` {Leaf: value}: arrays within it that stay."""
        memory = Memory(reach.leaves(self.exact))
        for step in STEPS:
            values = {leaf: _moved(leaf.value, step), **(kept or {})}
            if self._differs(lambda v=values: reach.duplicate(self.exact, memory.with_values(v))):
                return True
        return False

    def _moves_apart(self, leaf):
        """Return True where y moves when this name alone is given another array."""

        def twin():
            other = self._copy(self.exact)
            reach.put(other, leaf.path, _moved(leaf.value, STEPS[0]))
            return other

        return self._differs(twin)

    def _number_moves(self, leaf):
        def twin():
            other = self._copy(self.exact)
            reach.put(other, leaf.path, float(leaf.value) * 1.001 + 1e-6)
            return other

        return self._differs(twin)

    def _differs(self, make_twin):
        try:
            with np.errstate(all="ignore"):
                y = self._y(make_twin())
        except Exception:  # integers that are indices, say: whatever forward says, it cannot be moved
            return False
        return y.shape != self._still.shape or not np.array_equal(y, self._still, equal_nan=True)

    # ---- copies of the object, for one call each

    def _twin(self, obj, values, options):
        names = {name: value for name, value in values.items() if name in self.found}
        apart = {name: value for name, value in names.items() if name in self.apart}
        memory = Memory(reach.leaves(obj))
        changes = {
            Leaf(places[0].path, reach.get(obj, places[0].path)): names[name]
            for name, places in self.found.items()
            if name in names and name not in apart
        }
        twin = reach.duplicate(obj, memory.with_values(changes))
        for name, value in apart.items():
            reach.put(twin, self.found[name][0].path, np.array(value))
        for name, value in options.items():
            setattr(twin, name, value)
        return twin

    def _copy(self, obj):
        return self._twin(obj, {}, {})

    def params_of(self, obj):
        return {name: np.asarray(reach.get(obj, places[0].path)) for name, places in self.found.items()}


def _is_float_array(value):
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _moved(value, step):
    """The array, every number moved by about `step` times its size, each by another part of it."""
    rng = np.random.default_rng(3)
    size = np.maximum(np.abs(value), 1e-3 if step < 1 else 1)
    with np.errstate(invalid="ignore"):
        return value + step * size * rng.uniform(0.5, 1, value.shape) * rng.choice([-1, 1], value.shape)


def _same_memory(found):
    """Leaves that are the very same numbers in memory, together: [[Leaf, ...], ...]."""
    together = {}
    for leaf in found:
        array = leaf.value
        key = array.__array_interface__["data"][0], array.shape, array.strides
        together.setdefault(key if array.size else id(array), []).append(leaf)
    return list(together.values())


def _same_array(leaf, others):
    return any(len(_same_memory([leaf, other])) == 1 for other in others)
