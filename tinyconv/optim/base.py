"""Optimizer: the base of everything that changes parameters by their gradients."""

import copy
from typing import Any

import numpy as np

from ..device import copies_on_gpu, is_on_gpu, put, to_host
from ..kernels import load
from . import clipping
from .collecting import Collector
from .schedules import Rate, constant
from .settings import Setting, at_least, closing, function, limit, whole


class Optimizer:
    """Base of SGD, Adam and a user's own: step() collects, checks and clips gradients and updates parameters.

    An optimizer of one's own defines update() in NumPy, and names the arrays that it keeps of each parameter:

        class Signs(tc.Optimizer):
            slot_names = ("mean",)

            def update(self, name, weight, gradient, mean):
                mean[...] = 0.9 * mean + 0.1 * gradient
                weight -= self.lr * np.sign(mean)

    It then trains in train_step and in a Trainer, on every device. A checkpoint keeps its slots and the
    number of steps, and nothing else of it: counters follow from self.steps, and settings are those of the
    new object.

    net            anything with params and grads, dicts with the same keys; both are read at every step
    lr             the rate of the step to come; set a number, or a function step -> rate (schedules.py)
    rate           the function that lr is read from
    weight_decay   the share of the weight that is added to its gradient
    clip           the largest allowed norm of the gradient, over all parameters together; None: not limited
    slots          {slot: {name: array like the parameter}}, zeros at first
    steps          number of steps taken

    A setting takes effect at the next step. Raises ValueError for one out of range, AttributeError for one of
    another name; ValueError or DtypeError for a parameter that cannot be updated in its memory.
    Source of clipping: Pascanu, Mikolov, Bengio 2013.
    """

    # the names of the slots: those of update's last parameters, in their order
    slot_names: tuple[str, ...] = ()
    # True where a step on a GPU may be captured in a graph: see compiled.py
    capturable = False

    rate: Setting[Rate] = Setting("as a function step -> rate (a number is set as lr)", function)
    weight_decay: Setting[float] = Setting("of 0 or more", at_least(0))
    clip: Setting[float | None] = Setting("above 0, or None", limit)
    steps: Setting[int] = Setting("as a whole number of 0 or more", whole)
    _closed = False

    @closing
    def __init__(
        self, net: Any, lr: float | Rate = 0.01, weight_decay: float = 0.0, clip: float | None = None
    ):
        self.net = net
        self.lr = lr
        self.weight_decay = weight_decay
        self.clip = clip
        self.steps = 0
        self._collector = Collector(type(self).__name__, self.slot_names, net.params)
        self.slots = self._collector.new_slots(net.params)

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = closing(cls.__init__)

    def __setattr__(self, name: str, value: Any):
        if self._closed and name not in vars(self) and not hasattr(type(self), name):
            raise AttributeError(
                f"{type(self).__name__} has no setting {name!r}; it has {', '.join(self._settings())} (an "
                "optimizer of one's own makes its attributes in __init__, and keeps arrays in slots)"
            )
        object.__setattr__(self, name, value)

    @property
    def lr(self) -> float:
        """The rate of the step to come. Raises ValueError where `rate` gives no number of 0 or more."""
        value = self.rate(self.steps)
        try:
            return _LR.convert(value)
        except (TypeError, ValueError):
            raise ValueError(
                f"{type(self).__name__}: expected a rate of 0 or more at step {self.steps}, got {value!r} "
                "from the function step -> rate; set lr to another"
            ) from None

    @lr.setter
    def lr(self, value: float | Rate):
        self.rate = value if callable(value) else constant(_LR.checked(self, value))

    def step(self) -> None:
        """Update every parameter by its gradient.

        Raises RuntimeError where a gradient or slot is missing, ShapeError or DtypeError where an array does
        not fit its parameter: before any parameter is touched.
        """
        self._update(self._rows(self.net.grads))
        self.steps += 1

    def update(self, name: str, weight: np.ndarray, gradient: np.ndarray, **slots: np.ndarray) -> None:
        """Change `weight`, and its slots, in their memory; to be defined by an optimizer of one's own.

        gradient   scale dweight + weight_decay weight, in an array of its own; the scale is 1, or makes the
                   norm clip
        slots      the arrays of slot_names, by name
        """
        arrays = ", ".join(("self", "name", "weight", "gradient", *self.slot_names))
        raise NotImplementedError(f"{type(self).__name__} must define update({arrays})")

    def _update(self, rows):
        """Call update() for one parameter after the other. What lies on a GPU is fetched, and put back."""
        scale = self._scale(rows)
        for name, row in zip(self.net.params, rows, strict=True):
            weight, dweight, *slots = map(to_host, row)
            gradient = np.asarray(scale * dweight + self.weight_decay * weight)
            given = self.update(name, weight, gradient, **dict(zip(self.slot_names, slots, strict=True)))
            if given is not None:
                raise TypeError(
                    f"{type(self).__name__}: update must change weight in its memory (weight -= ...) and "
                    f"return nothing, it returned {type(given).__name__}"
                )
            for array, value in zip((row[0], *row[2:]), (weight, *slots), strict=True):
                if is_on_gpu(array):
                    put(value, array)

    def _scale(self, rows):
        """The factor of all gradients that keeps their norm within clip."""
        if self.clip is None:
            return 1.0
        sums = (load("sgd", self._backend(weight)).sum_of_squares(dweight) for weight, dweight, *_ in rows)
        return clipping.scale(sum(sums), self.clip)

    def _backend(self, weight):
        """The backend whose kernels work on a parameter where it lies."""
        if is_on_gpu(weight):
            return "cuda"
        return "reference" if getattr(self.net, "device", "cpu") == "reference" else "cpu"

    def _rows(self, grads):
        """(weight, dweight, slots ...) of every parameter, checked."""
        return self._collector.rows(self.net.params, grads, self.slots)

    def _check_settings(self):
        """Raises ValueError where the settings do not go together."""

    @classmethod
    def _settings(cls):
        """The names that people set, in the order of the repr."""
        classes = reversed(cls.__mro__)
        own = [name for base in classes for name, value in vars(base).items() if isinstance(value, Setting)]
        return ["lr", *[name for name in own if name not in ("rate", "steps")]]

    def __getstate__(self):
        return vars(self)

    def __deepcopy__(self, memo: dict):
        """A copy with arrays and a network of its own."""
        for arrays in self.slots.values():
            memo.update(copies_on_gpu(arrays.values()))
        twin = memo[id(self)] = object.__new__(type(self))
        twin.__dict__.update(copy.deepcopy(self.__getstate__(), memo))
        return twin

    def __repr__(self):
        settings = (f"{name}={getattr(self, name)!r}" for name in self._settings())
        return f"{type(self).__name__}({', '.join(settings)})"


_LR = Setting("of 0 or more", at_least(0))
_LR.name = "lr"
