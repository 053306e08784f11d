"""Arrays of a user's own layer that no optimizer would see.

A layer names what is trained in `params` and `grads`, and what is fixed in `state`. Many people write self.W
and self.dW instead. Such a layer computes the right gradients, and is never trained; so it is refused, by
name.
"""

from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

import numpy as np

DEEP = 4  # objects, lists and dicts within each other that are looked into
FIXED = ("grads", "state", "cache", "_made", "_persistent")  # attributes that hold nothing that is trained
NO_DATA = (type, FunctionType, MethodType, BuiltinFunctionType, ModuleType)


def persistent_arrays(obj) -> dict:
    """Return {path: (owner, attribute, array)} of all float arrays that obj holds outside of params, grads,
    state and cache.
    """
    found = {}

    def note(container, key, path, owner, attribute, array, inside):
        # the params of an object within obj have to be trained too
        if array.dtype.kind == "f" and array.size and (attribute != "params" or inside):
            found[path] = owner, attribute, array

    _visit(obj, note)
    return found


def replace_array(obj, before, after) -> None:
    """Put the array `after` wherever obj, or an object within it, holds the array `before`."""
    places = []
    _visit(
        obj,
        lambda container, key, path, owner, attribute, array, inside: (
            places.append((container, key)) if array is before else None
        ),
    )
    for container, key in places:
        if isinstance(container, (dict, list)):
            container[key] = after


def _visit(obj, note):
    """Call note(container, key, path, owner, attribute, array, whether owner is an object within obj) for the
    arrays that obj holds.
    """
    seen = set()

    def visit(value, container, key, path, owner, attribute, depth):
        if isinstance(value, np.ndarray):
            note(container, key, path, owner, attribute, value, owner is not obj)
        elif id(value) in seen or depth > DEEP or isinstance(value, NO_DATA):
            return
        elif isinstance(value, (list, tuple, dict)):
            seen.add(id(value))
            for inner_key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
                visit(inner, value, inner_key, f"{path}[{inner_key!r}]", owner, attribute, depth + 1)
        elif hasattr(value, "__dict__"):
            seen.add(id(value))
            for name, inner in [item for item in vars(value).items() if item[0] not in FIXED]:
                visit(inner, vars(value), name, f"{path}.{name}" if path else name, value, name, depth + 1)

    visit(obj, None, None, "", obj, "", 0)


def forgotten_arrays(obj, before: dict, says_params: bool) -> str | None:
    """Return a sentence about arrays of obj that nothing trains, or None.

    before       persistent_arrays(obj) before its first forward: an array that forward or backward replaced
                 since is no parameter
    says_params  True where obj itself says what its params are, be there none. Then it may hold constants,
                 but no array with a gradient beside it; else it must not hold any such array
    """
    if not before:
        return None
    named = [getattr(obj, name, None) or {} for name in ("params", "state")]
    known = {id(array) for arrays in named if isinstance(arrays, dict) for array in arrays.values()}
    now = persistent_arrays(obj)
    kept = {
        path: (owner, attribute)
        for path, (owner, attribute, array) in before.items()
        if path in now and now[path][2] is array and id(array) not in known
    }
    if says_params:
        kept = {path: where for path, where in kept.items() if _gradient_beside(*where)}
    if not kept:
        return None
    names = ", ".join(f"self.{path}" for path in kept)
    first, (owner, attribute) = next(iter(kept.items()))
    gradient = _gradient_beside(owner, attribute)
    has = f", and its gradient in {gradient}" if gradient else ""
    return (
        f"holds {names}{has}, which no optimizer sees: put what is trained into self.params and its "
        "gradient, under the same key, into "
        f"self.grads (self.params = {{{first.rpartition('.')[2]!r}: self.{first}}}); put what is fixed "
        f"into self.state"
    )


def gradient_names(name: str) -> tuple[str, ...]:
    """Return the names that people give the gradient of `name`, other than `name` itself."""
    small, large = name.lower(), name.upper()
    usual = (
        f"d{name}",
        f"d_{name}",
        f"D{name}",
        f"d{small}",
        f"d{large}",
        f"grad_{name}",
        f"grad{name}",
        f"{name}_grad",
        f"{name}grad",
        f"g{name}",
        f"{name}_gradient",
        f"gradient_{name}",
        f"delta_{name}",
        f"nabla_{name}",
        f"grads_{name}",
        f"{name}_grads",
    )
    return tuple(dict.fromkeys(other for other in usual if other != name))


def _gradient_beside(owner, name):
    """The attribute beside `name` that holds the gradient of it; None where there is none."""
    return next((other for other in gradient_names(name) if getattr(owner, other, None) is not None), None)
