"""Optimizer: the base of everything that changes parameters by their gradients."""
import copy
import functools
from operator import is_
from typing import Any

import numpy as np

from .. import device as door
from . import checks, updates
from .schedules import Rate, constant
from .settings import Setting, at_least, function, limit, whole
from .tapes import Tapes, worth_a_tape


def _closing(init):
    """Return the constructor `init`, which also closes the optimizer: attributes of other names cannot be set afterwards."""
    @functools.wraps(init)
    def constructor(self, *arguments, **options):
        init(self, *arguments, **options)
        # the constructor of the object's own class, not one that it calls by super()
        if type(self).__init__ is constructor:
            if "net" not in vars(self):
                raise TypeError(f"{type(self).__name__}: its __init__ must call super().__init__(net, lr, ...)")
            self._check_settings()
            vars(self)["_closed"] = True
    return constructor


class Optimizer:
    """Base of SGD, Adam and a user's own: step() collects the gradients, checks them, clips them, and updates every parameter.

    An optimizer of one's own defines update() in NumPy, and names the arrays that it keeps for every parameter:

        class Signs(tc.Optimizer):
            slot_names = ("mean",)

            def update(self, name, weight, gradient, mean):
                mean[...] = 0.9 * mean + 0.1 * gradient
                weight -= self.lr * np.sign(mean)

    It then trains in train_step and Trainer, on every device, and checkpoints keep its slots and the number of steps, and nothing else of it.

    net            anything with params and grads, dicts with the same keys; both are read at every step
    lr             the rate of the step to come: set a number, or a function step -> rate (schedules.py); it takes effect at the next step
    rate           that function
    weight_decay   the share of the weight that is added to its gradient: gradient = scale dweight + weight_decay weight
    clip           the largest allowed norm of the gradient, taken over all parameters together; None: not limited
    slots          {slot: {name: array like the parameter}}, zeros at first
    steps          how many steps have been taken

    Raises ValueError for a setting out of range, and for parameters that cannot be updated in their memory; AttributeError for a setting of another
    name.  Source of clipping: Pascanu, Mikolov, Bengio 2013.
    """

    operation: str | None = None                            # the kernel folder of the update; None: update() is in NumPy
    slot_names: tuple[str, ...] = ()                        # the names of the slots, in the order of the kernel's parameters
    rate = Setting("as a function step -> rate; set lr to a number", function)
    weight_decay = Setting("of 0 or more", at_least(0))
    clip = Setting("above 0, or None", limit)
    steps = Setting("as a whole number of 0 or more", whole)
    _closed = False

    @_closing
    def __init__(self, net: Any, lr: float | Rate = 0.01, weight_decay: float = 0.0, clip: float | None = None):
        self.net = net
        self.lr = lr
        self.weight_decay = weight_decay
        self.clip = clip
        self.steps = 0
        self._check_parameters(net.params)
        if isinstance(self.slot_names, str):
            raise TypeError(f"{type(self).__name__}: expected slot_names as a tuple of names, got {self.slot_names!r}; use ({self.slot_names!r},)")
        self.slots = {slot: {name: np.zeros(weight.shape, weight.dtype) for name, weight in net.params.items()} for slot in self.slot_names}
        self._names = list(net.params)
        self._weights: list[Any] = list(net.params.values())
        self._tapes: Tapes | None = None

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = _closing(cls.__init__)

    def __setattr__(self, name: str, value: Any):
        if self._closed and name not in vars(self) and not hasattr(type(self), name):
            raise AttributeError(f"{type(self).__name__} has no setting {name!r}; it has {', '.join(self._settings())} (an optimizer of one's own "
                                 "makes its attributes in __init__, and keeps arrays of parameters in slots)")
        object.__setattr__(self, name, value)

    @property
    def lr(self) -> float:
        """The rate of the step to come. Raises ValueError where the function `rate` gives no number of 0 or more."""
        value = self.rate(self.steps)
        try:
            return _LR.convert(value)
        except (TypeError, ValueError):
            raise ValueError(f"{type(self).__name__}: expected a rate of 0 or more at step {self.steps}, got {value!r} from the function that is "
                             "its rate; set lr to another") from None

    @lr.setter
    def lr(self, value: float | Rate):
        self.rate = value if callable(value) else constant(_LR.checked(self, value))

    def step(self) -> None:
        """Update every parameter by its gradient.

        Raises RuntimeError where a gradient or slot is missing, ShapeError or DtypeError where an array does not fit its parameter: before any
        parameter is touched.
        """
        params, grads = self.net.params, self.net.grads
        slots = [self.slots.get(slot, {}) for slot in self.slot_names]
        arrays = [array for name, weight in params.items() for array in (weight, grads.get(name), *[slot.get(name) for slot in slots])]
        # the arrays that the tapes hold have been checked
        if self._tapes is not None and self._tapes.hold(arrays):
            updates.by_tapes(self, self._tapes)
        else:
            self._update(self.rows(grads))
        self.steps += 1

    def _update(self, rows):
        if type(self).update is not Optimizer.update:
            updates.in_numpy(self, rows)
        elif getattr(self.net, "device", "cpu") != "reference" and worth_a_tape(rows):
            if self._tapes is None or not self._tapes.fit(rows):
                self._tapes = Tapes(self.operation, rows, self.arguments())
            self._tapes.put(rows)
            updates.by_tapes(self, self._tapes)
        else:
            updates.by_kernels(self, rows)

    def update(self, name: str, weight: np.ndarray, gradient: np.ndarray, **slots: np.ndarray) -> None:
        """Change `weight`, and its slots, in their memory; to be defined by an optimizer of one's own.

        gradient   clipped, weight decay included; an array that only this call has
        slots      the arrays of slot_names, by name
        """
        raise NotImplementedError(f"{type(self).__name__} must define {_hook(self.slot_names)}")

    def arguments(self) -> tuple:
        """Return the settings of the step to come as the kernel's update takes them: behind the arrays, and without the scale."""
        raise NotImplementedError(f"{type(self).__name__} must define {_hook(self.slot_names)}")

    def rows(self, grads: dict[str, Any]) -> list[tuple]:
        """Return (weight, dweight, slots ...) of every parameter, all of them checked, in the dtype and place of the parameter."""
        owner, params = type(self).__name__, self.net.params
        if changed := params.keys() ^ set(self._names):
            raise RuntimeError(f"{owner}: {', '.join(sorted(changed))}: added or removed since the optimizer was made; make a new one for the "
                               "parameters as they are now")
        if missing := params.keys() - grads.keys():
            raise RuntimeError(f"{owner}: no gradient for {', '.join(sorted(missing))}; call backward before step")
        weights = list(params.values())
        if len(weights) != len(self._weights) or not all(map(is_, weights, self._weights)):
            self._check_parameters(params)
            self._weights = weights
        dweights = [checks.ready_gradient(owner, name, grads[name], weight) for name, weight in params.items()]
        columns = [self._ready_slot(owner, slot, params) for slot in self.slot_names]
        return list(zip(weights, dweights, *columns, strict=True))

    def _ready_slot(self, owner, slot, params):
        """The arrays of a slot in the order of the parameters; where one had to be converted or moved, the slot has the new one from now on."""
        arrays = self.slots.get(slot, {})
        for name, weight in params.items():
            arrays[name] = checks.ready_slot(owner, slot, name, arrays.get(name), weight)
        return [arrays[name] for name in params]

    def _check_parameters(self, params):
        for name, weight in params.items():
            checks.check_weight(type(self).__name__, name, weight)
        checks.check_memory(type(self).__name__, params)

    def _check_settings(self):
        """Raises ValueError where the settings do not go together."""

    # ---- a step that is captured on a GPU (tinyconv/graph.py), and repeated with other numbers

    @property
    def capturable(self) -> bool:
        """True where step is nothing but kernels, which a graph can repeat; any other optimizer is stepped from Python."""
        return self.operation is not None and type(self).update is Optimizer.update and type(self).step is Optimizer.step

    def options(self) -> tuple[float, ...]:
        """Return the numbers of the step to come, as the kernels read them, and the scale of the gradient, 1, behind them."""
        return (*updates.contract(self).numbers(*self.arguments()), 1.0)

    def capture(self, gradients: dict[str, Any], options: Any, losses: Any) -> None:
        """Launch the update of all parameters, with `options` read from the GPU; where a loss is not finite, it changes nothing."""
        updates.captured(self, self.rows(gradients), options, losses)

    def fingerprint(self) -> list:
        """Return the objects that a captured step has been made with: where another one stands in a place, it has to be captured anew."""
        return [self.clip, *[self.slots.get(slot, {}).get(name) for slot in self.slot_names for name in self._names]]

    # ---- copies

    def __getstate__(self):
        # a copy has arrays of its own, and tapes work on addresses
        return self.__dict__ | {"_tapes": None, "_weights": []}

    def __deepcopy__(self, memo):
        for arrays in self.slots.values():
            memo.update(door.copies_on_gpu(arrays.values()))
        twin = memo[id(self)] = object.__new__(type(self))
        twin.__dict__.update(copy.deepcopy(self.__getstate__(), memo))
        return twin

    @classmethod
    def _settings(cls):
        """The names that people set, in the order of the repr."""
        own = [name for base in reversed(cls.__mro__) for name, value in vars(base).items() if isinstance(value, Setting)]
        return ["lr", *[name for name in own if name not in ("rate", "steps")]]

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self._settings())})"


def _hook(slot_names):
    return f"update({', '.join(('self', 'name', 'weight', 'gradient', *slot_names))})"


_LR = Setting("of 0 or more", at_least(0))
_LR.name = "lr"
