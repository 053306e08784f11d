"""What can be checked, and how each kind is called: all become a Subject (objects.py).

a layer, network or loss    forward(x) and backward(dy), with params and grads                  objects.py
an object of a user's own   the same, with its parameters wherever it keeps them                stranger.py
functions                   forward and backward, or a class in the style of torch              functions.py
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np

from ..apart import where_of
from ..errors import DataError
from ..layer import Layer
from ..losses import Loss
from .functions import FunctionSubject, is_torch_style
from .objects import ObjectSubject
from .stranger import StrangerSubject


def subject(obj, x, labels=None, training=False, dtype=np.float64):
    """The Subject for obj at the point x. Raises TypeError for what is none of the kinds above, DtypeError
    for an x that is not real.
    """
    if (
        isinstance(obj, type)
        and is_torch_style(obj)
        or isinstance(obj, tuple)
        and len(obj) == 2
        and all(map(callable, obj))
    ):
        return FunctionSubject(obj, x)
    for method in ("forward", "backward"):
        if isinstance(obj, type) or not callable(getattr(obj, method, None)):
            raise TypeError(
                "check_gradients: expected an object with forward(x) and backward(dy), or a pair of "
                f"functions, got {obj!r} without {method}"
            )
    if isinstance(obj, (Layer, Loss)):
        return ObjectSubject(obj, x, labels, training, dtype)
    return StrangerSubject(obj, x, labels, training, dtype)


def from_file(address):
    """The object that "FILE.py:EXPRESSION" names: EXPRESSION is evaluated in the module of the file; a class
    is called without arguments.

    "layers.py:Scale", "layers.py:Scale(3)", "layers.py:forward, backward". Raises DataError where there is no
    such file, or no such object.
    """
    path, _, expression = address.partition(":")
    if not Path(path).is_file() or not expression.strip():
        raise DataError(
            "expected FILE.py:CLASS, FILE.py:CLASS(ARGUMENTS) or FILE.py:FORWARD,BACKWARD with a file "
            f"that is there, got {address!r}"
        )
    spec = importlib.util.spec_from_file_location(f"_checked_{Path(path).stem}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(Path(path).resolve().parent))  # what the file imports from beside it
    try:
        spec.loader.exec_module(module)
        obj = eval(expression, vars(module))
        return obj() if isinstance(obj, type) and not is_torch_style(obj) else obj
    except Exception as error:
        words, where = " ".join(str(error).split()), where_of(error)
        where = f" ({where})" if where else ""
        raise DataError(f"{address}: {type(error).__name__}: {words}{where}") from error
    finally:
        sys.path.remove(str(Path(path).resolve().parent))
