"""A kernel from a user's own file, for `tinyconv bench --kernel FILE.py:function`."""

import importlib.util
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...errors import TinyconvError
from ...layers import Conv2d
from .. import parity
from ..backends import BACKENDS, contender
from ..workloads import of_layer, parameters_of

DIRECTIONS = ("forward", "backward_input", "backward_weight")
AWKWARD = [  # what a kernel that only knows LeNet-5's layers may get wrong
    ("one channel, one image", Conv2d(1, 2, 3, rng=0), (1, 1, 5, 4)),
    ("17 images, odd sizes", Conv2d(3, 5, (2, 3), rng=0), (17, 3, 7, 6)),
    ("stride (2, 2), padding (1, 2)", Conv2d(3, 4, 3, stride=2, padding=(1, 2), rng=0), (3, 3, 6, 7)),
    ("stride 3 over a window of 2", Conv2d(2, 3, 2, stride=3, rng=0), (2, 2, 8, 9)),
    ("2 groups", Conv2d(4, 6, 3, groups=2, rng=0), (2, 4, 6, 5)),
]


@dataclass(frozen=True)
class UsersKernel:
    """A function with the parameters of one of conv2d's directions (kernels/conv2d/reference.py, but for
    ceil), on NCHW arrays.
    """

    title: str
    function: Callable
    direction: str

    @classmethod
    def find(cls, argument):
        """The kernel that "FILE.py:function" names. Raises TinyconvError where the file or function is not
        there, or is no kernel.
        """
        path, _, name = argument.rpartition(":")
        if not path.endswith(".py") or not name:
            raise TinyconvError(f"--kernel: expected FILE.py:function, got {argument}")
        if not Path(path).is_file():
            raise TinyconvError(f"--kernel: {path}: no such file")
        spec = importlib.util.spec_from_file_location("users_kernel", path)
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:  # whatever a stranger's file may raise
            raise TinyconvError(f"--kernel: {path} does not load: {type(error).__name__}: {error}") from error
        if not callable(function := getattr(module, name, None)):
            raise TinyconvError(f"--kernel: {path} has no function {name}")
        return cls(f"{Path(path).name}:{name}", function, direction_of(name, function))

    def contender(self, workload, batch, dtype):
        """It is called once for the whole batch: threads are its own business."""
        return contender(self.title, self.function, BACKENDS["reference"], workload, batch, dtype, 1)

    def check(self, dtype):
        """The Parity on awkward shapes: that of the first on which it is wrong. NotImplementedError is an
        honest answer to any of them.
        """
        worst = parity.Parity(0.0)
        for title, layer, x_shape in AWKWARD:
            workload = next(w for w in of_layer("", title, layer, x_shape) if w.direction == self.direction)
            expected, one = workload.expected(x_shape[0]), self.contender(workload, x_shape[0], dtype)
            try:
                one.call(1)
            except NotImplementedError:
                continue
            except Exception as error:
                return parity.Parity(float("inf"), f"{title}: {type(error).__name__}: {error}")
            found = parity.check(one.result(), expected, dtype, workload.terms(x_shape[0], expected))
            if not found.ok:
                return parity.Parity(found.error, f"{title}: {found.why}")
            worst = max(worst, found, key=lambda result: result.error)
        return worst


def direction_of(name, function):
    """forward, backward_input or backward_weight: by the function's parameters, else by its name. Raises
    TinyconvError where neither tells.
    """
    expected = {d: parameters_of("conv2d", d) for d in DIRECTIONS}
    parameters = tuple(
        inspect.signature(getattr(function, "py_func", function)).parameters
    )  # py_func: what is inside a Numba function
    for direction, names in expected.items():
        if parameters == names or name == direction and len(parameters) == len(names):
            return direction
    wanted = "; ".join(f"{direction}({', '.join(names)})" for direction, names in expected.items())
    raise TinyconvError(
        f"--kernel: {name}({', '.join(parameters)}) is no kernel of conv2d; expected the parameters of one "
        f"of {wanted}"
    )
