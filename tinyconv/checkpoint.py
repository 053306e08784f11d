"""Saved networks and training runs: one .npz file, written whole or not at all.

    header                     JSON, see below
    params/<name>              parameters
    state/<name>               what layers keep without training it: codes, counters of random draws, running means
    slots/<slot>/<parameter>   the arrays that the optimizer keeps for each parameter

The header holds "format" and "version"; "layers", a list of [name, class, settings] for every layer of the tree, where
the name of an inner layer is "block.C1"; "optimizer", null or its "class", the names of its "slots" and its "steps";
and "progress", a dict of JSON values that a training run adds.
"""
import json
import zipfile
import zlib

import numpy as np

from .device import holder, is_on_gpu, put, to_host
from . import old_checkpoint
from .errors import CheckpointError
from .files import write_atomically
from .same_network import described, difference

FORMAT, VERSION = "tinyconv checkpoint", 2
HEADER = {"layers": list, "optimizer": dict | None, "progress": dict}
OF_DAMAGED_FILES = (ValueError, KeyError, TypeError, EOFError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error)


def write(path, net, optimizer=None, **progress) -> None:
    """Write the network, the optimizer (where given) and `progress` (JSON values) to `path`.

    First to a file beside it, then renamed: a full disk or a crash leaves the old file as it was. Raises OSError, and
    CheckpointError for an array or a setting that cannot be saved.
    """
    arrays = {name: _numeric(path, name, value) for name, value in _arrays(net, optimizer).items()}
    header = {"format": FORMAT, "version": VERSION, "layers": described(path, net),
              "optimizer": _optimizer(path, optimizer), "progress": progress}
    write_atomically(path, lambda file: np.savez(file, header=np.array(json.dumps(header)), **arrays))


def read(path, net, optimizer=None, understand=dict):
    """Put what `path` holds into the network and the optimizer (where given), and return understand(**progress).

    Everything is checked before anything is changed. Raises CheckpointError for a damaged file, another network's,
    another optimizer's, and where understand raises a TypeError.
    """
    header, saved = _open(path)
    if other := difference(header, net):
        raise CheckpointError(f"{path}: saved from another network: {other}")
    if optimizer is not None:
        _check_optimizer(path, header["optimizer"], optimizer)
    else:
        saved = {name: value for name, value in saved.items() if not name.startswith("slots/")}
    targets = _arrays(net, optimizer)
    made_at_first_step = _made_at_first_step(saved, targets, net, optimizer)
    _check_arrays(path, saved, targets | made_at_first_step)
    try:
        progress = understand(**header["progress"])
    except TypeError:
        raise CheckpointError(f"{path}: holds the progress of another kind of training, {sorted(header['progress'])}; "
                              "go on with the code that saved it") from None
    for name, value in targets.items():
        put(saved[name], value)
    for name, weight in made_at_first_step.items():
        _, slot, parameter = name.split("/", 2)
        _slots(optimizer)[slot][parameter] = holder(weight).move(saved[name])
    if hasattr(optimizer, "steps"):
        optimizer.steps = header["optimizer"]["steps"]
    return progress


def _slots(optimizer):
    """The arrays that an optimizer keeps for each parameter, {slot: {parameter: array}}."""
    slots = getattr(optimizer, "slots", None) or {}
    if not isinstance(slots, dict) or not all(isinstance(values, dict) for values in slots.values()):
        raise CheckpointError(f"{type(optimizer).__name__}.slots: expected a dict {{name: {{parameter: array}}}}, got {slots!r}")
    return slots


def _arrays(net, optimizer):
    """All arrays of a checkpoint, by their names in the file."""
    groups = {"params": net.params, "state": net.state} | {f"slots/{slot}": values for slot, values in _slots(optimizer).items()}
    return {f"{group}/{name}": value for group, values in groups.items() for name, value in values.items()}


def _numeric(path, name, value):
    """The array as NumPy's. Raises CheckpointError for anything that could not be read back."""
    value = to_host(value)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biufc":
        found = f"dtype {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
        raise CheckpointError(f"{path}: {name} cannot be saved: expected a NumPy array of numbers, got {found}; "
                              "keep it as np.array(...) and change it in place")
    return value


def _optimizer(path, optimizer):
    """The entry of an optimizer in the header. Steps are null for an optimizer without a counter."""
    if optimizer is None:
        return None
    if not hasattr(optimizer, "slots"):
        _refuse_unnamed_arrays(path, optimizer)
    return {"class": type(optimizer).__name__, "slots": sorted(_slots(optimizer)), "steps": getattr(optimizer, "steps", None)}


def _refuse_unnamed_arrays(path, optimizer):
    """Raise CheckpointError where an optimizer without slots keeps arrays: a resumed run would go on without them."""
    known = [id(values) for values in _slots(optimizer).values()]
    for name, value in getattr(optimizer, "__dict__", {}).items():
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
        if id(value) not in known and any(isinstance(array, np.ndarray) for array in inner):
            raise CheckpointError(f"{path}: {type(optimizer).__name__} keeps arrays in {name!r}, which would not be saved; "
                                  "give it `slots`, a dict {name: {parameter: array}}")


def _open(path):
    """(header, arrays) of the file, as today's version has them. Raises CheckpointError."""
    try:
        with np.load(path, allow_pickle=False) as file:
            # everything is read, so that a damaged array shows here
            arrays = {name: file[name] for name in file.files}
        header = json.loads(str(arrays.pop("header")))
        if header["format"] == old_checkpoint.FORMAT:
            header, arrays = old_checkpoint.upgraded(header, arrays)
        elif header["format"] != FORMAT:
            raise ValueError(f"expected {FORMAT!r}, found {header['format']!r}")
        elif header["version"] > VERSION:
            raise CheckpointError(f"{path}: written by a newer tinyconv (version {header['version']} of the file, and this one "
                                  f"reads up to {VERSION}); update tinyconv")
        for name, kind in HEADER.items():
            if not isinstance(header[name], kind):
                raise ValueError(f"{name}: {header[name]!r}")
        _ = [(name, class_name, dict(settings or {})) for name, class_name, settings in header["layers"]]
        if header["optimizer"] is not None:
            old = header["optimizer"]
            if not isinstance(old["class"], str) or not isinstance(old["slots"], list) or not isinstance(old["steps"], int | None):
                raise ValueError(f"optimizer: {old!r}")
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    except PermissionError:
        raise
    except OF_DAMAGED_FILES as error:
        raise CheckpointError(f"{path}: damaged, or no tinyconv checkpoint ({error}); train again or take another copy") from None
    return header, arrays


def _check_optimizer(path, saved, optimizer):
    if saved is None:
        raise CheckpointError(f"{path}: holds a network but no training run; use --resume on a run's own checkpoint")
    name, slots = type(optimizer).__name__, sorted(_slots(optimizer))
    if slots != sorted(saved["slots"]):
        has = [", ".join(names) or "nothing" for names in (sorted(saved["slots"]), slots)]
        raise CheckpointError(f"{path}: saved with {saved['class']}, which keeps {has[0]} for each parameter, and "
                              f"{name} came, which keeps {has[1]}; resume with {saved['class']}")
    if hasattr(optimizer, "steps") != (saved["steps"] is not None):
        counts = ["counts its steps", "does not count its steps"]
        raise CheckpointError(f"{path}: saved with {saved['class']}, which {counts[saved['steps'] is None]}, and {name} came, "
                              f"which {counts[saved['steps'] is not None]}; resume with {saved['class']}")


def _made_at_first_step(saved, targets, net, optimizer):
    """{name in the file: the parameter} of slot arrays that the optimizer makes at its first step and has not made yet."""
    names = {f"slots/{slot}/{parameter}": weight for slot in _slots(optimizer) for parameter, weight in net.params.items()}
    return {name: weight for name, weight in names.items() if name in saved and name not in targets}


def _check_arrays(path, saved, targets):
    """Raise CheckpointError where the file lacks an array, has one too many, or one of another shape or kind of number."""
    for name, value in targets.items():
        if not is_on_gpu(value) and not (isinstance(value, np.ndarray) and value.flags.writeable):
            raise CheckpointError(f"{path}: {name} cannot be loaded: expected a writable NumPy array there, got {value!r}; "
                                  "keep it as np.array(...) and change it in place")
        found = "nothing" if name not in saved else f"shape {saved[name].shape}"
        if name not in saved or saved[name].shape != value.shape:
            raise CheckpointError(f"{path}: expected {name} of shape {value.shape}, found {found}")
        dtype, expected = saved[name].dtype, np.dtype(value.dtype)
        if dtype != expected and (dtype.kind, expected.kind) != ("f", "f"):
            raise CheckpointError(f"{path}: expected {name} of dtype {expected}, found {dtype}")
    if extra := sorted(saved.keys() - targets.keys()):
        raise CheckpointError(f"{path}: holds {', '.join(extra[:5])}, which belongs to nothing in this network; "
                              "load it into the network that it was saved from")
