"""An optimizer in a checkpoint: its slots, arrays like the parameters, and the number of its steps."""

import numpy as np

from .errors import CheckpointError


def slots_of(optimizer) -> dict[str, dict]:
    """The arrays that an optimizer keeps for each parameter, {slot: {parameter: array}}."""
    slots = getattr(optimizer, "slots", None) or {}
    if not isinstance(slots, dict) or not all(isinstance(values, dict) for values in slots.values()):
        raise CheckpointError(
            f"{type(optimizer).__name__}.slots: expected {{name: {{parameter: array}}}}, got {slots!r}"
        )
    return slots


def describe(path, optimizer) -> dict | None:
    """The entry of an optimizer in the header. Steps are null for an optimizer without a counter."""
    if optimizer is None:
        return None
    if not hasattr(optimizer, "slots"):
        _refuse_unnamed_arrays(path, optimizer)
    return {
        "class": type(optimizer).__name__,
        "slots": sorted(slots_of(optimizer)),
        "steps": getattr(optimizer, "steps", None),
    }


def _refuse_unnamed_arrays(path, optimizer):
    """Raise CheckpointError where an optimizer without slots keeps arrays: a resumed run would lack them."""
    known = [id(values) for values in slots_of(optimizer).values()]
    for name, value in getattr(optimizer, "__dict__", {}).items():
        values = value if isinstance(value, (list, tuple)) else [value]
        inner = value.values() if isinstance(value, dict) else values
        if id(value) not in known and any(isinstance(array, np.ndarray) for array in inner):
            raise CheckpointError(
                f"{path}: {type(optimizer).__name__} keeps arrays in {name!r}, "
                "which would not be saved; give it `slots`, a dict {name: {parameter: array}}"
            )


def check(path, saved: dict | None, optimizer) -> None:
    """Raise CheckpointError where the entry of the header, `saved`, is not one of such an optimizer."""
    if saved is None:
        raise CheckpointError(
            f"{path}: holds a network but no training run; use --resume on a run's own checkpoint"
        )
    name = type(optimizer).__name__
    slots = sorted(slots_of(optimizer))
    if slots != sorted(saved["slots"]):
        has = [", ".join(names) or "nothing" for names in (sorted(saved["slots"]), slots)]
        raise CheckpointError(
            f"{path}: saved with {saved['class']}, which keeps {has[0]} for each parameter, "
            f"and {name} came, which keeps {has[1]}; resume with {saved['class']}"
        )
    if hasattr(optimizer, "steps") != (saved["steps"] is not None):
        counts = ["counts its steps", "does not count its steps"]
        raise CheckpointError(
            f"{path}: saved with {saved['class']}, which {counts[saved['steps'] is None]}, "
            f"and {name} came, which {counts[saved['steps'] is not None]}; resume with {saved['class']}"
        )


def made_at_first_step(saved, targets, net, optimizer):
    """{name in the file: its parameter} of slot arrays that the optimizer makes at its first step."""
    names = {
        f"slots/{slot}/{parameter}": weight
        for slot in slots_of(optimizer)
        for parameter, weight in net.params.items()
    }
    return {name: weight for name, weight in names.items() if name in saved and name not in targets}
