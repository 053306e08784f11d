"""Arrays of a user's own layer that no optimizer would see.

A layer names what is trained in `params` and `grads`, and what is fixed in `state`. Many people write self.W and self.dW instead. Such a layer computes
the right gradients, and is never trained; so it is refused, by name.
"""
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

import numpy as np

DEEP = 4                                                    # objects, lists and dicts within each other that are looked into
FIXED = ("grads", "state", "cache", "_made", "_persistent") # attributes that hold nothing that is trained
NO_DATA = (type, FunctionType, MethodType, BuiltinFunctionType, ModuleType)


def persistent_arrays(obj) -> dict:
    """Return {path: (owner, attribute, array)} of all float arrays that obj holds outside of params, grads, state and cache."""
    found, seen = {}, set()

    def visit(value, path, owner, attribute, depth):
        if isinstance(value, np.ndarray):
            if value.dtype.kind == "f" and value.size:
                found[path] = owner, attribute, value
        elif id(value) in seen or depth > DEEP:
            return
        elif isinstance(value, (list, tuple)):
            seen.add(id(value))
            for place, inner in enumerate(value):
                visit(inner, f"{path}[{place}]", owner, attribute, depth + 1)
        elif isinstance(value, dict):
            seen.add(id(value))
            for name, inner in value.items():
                visit(inner, f"{path}[{name!r}]", owner, attribute, depth + 1)
        elif hasattr(value, "__dict__") and not isinstance(value, NO_DATA):
            seen.add(id(value))
            for name, inner in vars(value).items():
                # the params of an object within obj have to be trained too
                if name not in FIXED and (depth or name != "params"):
                    visit(inner, f"{path}.{name}" if path else name, value, name, depth + 1)

    visit(obj, "", obj, "", 0)
    return found


def forgotten_arrays(obj, before: dict, declared=None) -> str | None:
    """Return a sentence about arrays of obj that nothing trains, or None.

    before    persistent_arrays(obj) before its first forward: an array that forward or backward replaced since is no parameter
    declared  the object whose params and state count, where that is not obj

    An object that says nothing of params must hold no such arrays. One that has params may hold constants, but no array with a gradient beside it.
    """
    if not before:
        return None
    declared = obj if declared is None else declared
    named = [getattr(declared, name, None) or {} for name in ("params", "state")]
    known = {id(array) for arrays in named if isinstance(arrays, dict) for array in arrays.values()}
    now = persistent_arrays(obj)
    kept = {path: (owner, attribute) for path, (owner, attribute, array) in before.items()
            if path in now and now[path][2] is array and id(array) not in known}
    if getattr(declared, "params", None):
        kept = {path: where for path, where in kept.items() if _gradient_beside(*where)}
    if not kept:
        return None
    names = ", ".join(f"self.{path}" for path in kept)
    first, (owner, attribute) = next(iter(kept.items()))
    gradient = _gradient_beside(owner, attribute)
    has = f", and its gradient in {gradient}" if gradient else ""
    return (f"holds {names}{has}, which no optimizer sees: put what is trained into self.params and its gradient, under the same key, into "
            f"self.grads (self.params = {{{first.rpartition('.')[2]!r}: self.{first}}}); put what is fixed into self.state")


def _gradient_beside(owner, name):
    """The attribute beside `name` that people give the gradient of it; None where there is none."""
    small, large = name.lower(), name.upper()
    usual = (f"d{name}", f"d_{name}", f"D{name}", f"d{small}", f"d{large}", f"grad_{name}", f"grad{name}", f"{name}_grad", f"{name}grad", f"g{name}",
             f"{name}_gradient", f"gradient_{name}", f"delta_{name}", f"nabla_{name}", f"grads_{name}", f"{name}_grads")
    return next((other for other in usual if other != name and getattr(owner, other, None) is not None), None)
