"""Saved networks and training runs: one .npz file, written whole or not at all.

    header                     JSON, see below
    params/<name>              parameters
    state/<name>               what is not trained: codes, counters of random draws, running means
    slots/<slot>/<parameter>   the arrays that the optimizer keeps for each parameter

The header holds "format" and "version"; "layers", a list of [name, class, settings] for every layer of the
tree, where the name of an inner layer is "block.C1"; "optimizer", null or its "class", the names of its
"slots" and its "steps"; and "progress", a dict of JSON values that a training run adds.
"""

import json
from collections.abc import Callable

import numpy as np

from . import old_checkpoint, optimizer_state
from .device import holder, is_on_gpu, put, to_host
from .errors import CheckpointError
from .files import DAMAGED, write_atomically
from .optimizer_state import slots_of
from .same_network import described, difference

FORMAT, VERSION = "tinyconv checkpoint", 2
HEADER = {"layers": list, "optimizer": dict | None, "progress": dict}


def write(path, net, optimizer=None, **progress) -> None:
    """Write the network, the optimizer (where given) and `progress` (JSON values) to `path`.

    First to a file beside it, then renamed: a full disk or a crash leaves the old file as it was. Raises
    OSError, and CheckpointError for an array or a setting that cannot be saved.
    """
    arrays = {name: _numeric(path, name, value) for name, value in _arrays(net, optimizer).items()}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "layers": described(path, net),
        "optimizer": optimizer_state.describe(path, optimizer),
        "progress": progress,
    }
    members: dict = {"header": np.array(json.dumps(header))} | arrays
    write_atomically(path, lambda file: np.savez(file, **members))


def read(path, net, optimizer=None, understand: Callable = dict):
    """Put the arrays of `path` into the network and the optimizer (if any); return understand(**progress).

    Everything is checked before anything is changed. Raises CheckpointError for a damaged file, another
    network's, another optimizer's, and where understand raises a TypeError.
    """
    header, saved = _open(path)
    if other := difference(header, net):
        raise CheckpointError(f"{path}: saved from another network: {other}")
    if optimizer is not None:
        optimizer_state.check(path, header["optimizer"], optimizer)
    else:
        saved = {name: value for name, value in saved.items() if not name.startswith("slots/")}
    targets = _arrays(net, optimizer)
    made_at_first_step = optimizer_state.made_at_first_step(saved, targets, net, optimizer)
    _check_arrays(path, saved, targets | made_at_first_step)
    try:
        progress = understand(**header["progress"])
    except TypeError:
        raise CheckpointError(
            f"{path}: holds the progress of another kind of training, {sorted(header['progress'])}; "
            "go on with the code that saved it"
        ) from None
    for name, value in targets.items():
        put(saved[name], value)
    for name, weight in made_at_first_step.items():
        _, slot, parameter = name.split("/", 2)
        slots_of(optimizer)[slot][parameter] = holder(weight).move(saved[name])
    if optimizer is not None and hasattr(optimizer, "steps"):
        optimizer.steps = header["optimizer"]["steps"]
    return progress


def _arrays(net, optimizer):
    """All arrays of a checkpoint, by their names in the file."""
    groups = {"params": net.params, "state": net.state}
    groups |= {f"slots/{slot}": values for slot, values in slots_of(optimizer).items()}
    return {f"{group}/{name}": value for group, values in groups.items() for name, value in values.items()}


def _numeric(path, name, value):
    """The array as NumPy's. Raises CheckpointError for anything that could not be read back."""
    value = to_host(value)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biufc":
        found = f"dtype {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
        raise CheckpointError(
            f"{path}: {name} cannot be saved: expected a NumPy array of numbers, got {found}; "
            "keep it as np.array(...) and change it in place"
        )
    return value


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
            raise CheckpointError(
                f"{path}: written by a newer tinyconv (version {header['version']} of the file, and this "
                f"one reads up to {VERSION}); update tinyconv"
            )
        for name, kind in HEADER.items():
            if not isinstance(header[name], kind):
                raise ValueError(f"{name}: {header[name]!r}")
        _ = [(name, class_name, dict(settings or {})) for name, class_name, settings in header["layers"]]
        if header["optimizer"] is not None:
            old = header["optimizer"]
            if (
                not isinstance(old["class"], str)
                or not isinstance(old["slots"], list)
                or not isinstance(old["steps"], int | None)
            ):
                raise ValueError(f"optimizer: {old!r}")
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    except PermissionError:
        raise
    except DAMAGED as error:
        raise CheckpointError(
            f"{path}: damaged, or no tinyconv checkpoint ({error}); train again or take another copy"
        ) from None
    return header, arrays


def _check_arrays(path, saved, targets):
    """Raise CheckpointError for a missing array, one too many, and one of another shape or kind of number."""
    for name, value in targets.items():
        if not is_on_gpu(value) and not (isinstance(value, np.ndarray) and value.flags.writeable):
            raise CheckpointError(
                f"{path}: {name} cannot be loaded: expected a writable NumPy array there, got {value!r}; "
                "keep it as np.array(...) and change it in place"
            )
        found = "nothing" if name not in saved else f"shape {saved[name].shape}"
        if name not in saved or saved[name].shape != value.shape:
            raise CheckpointError(f"{path}: expected {name} of shape {value.shape}, found {found}")
        dtype, expected = saved[name].dtype, np.dtype(value.dtype)
        if dtype != expected and (dtype.kind, expected.kind) != ("f", "f"):
            raise CheckpointError(f"{path}: expected {name} of dtype {expected}, found {dtype}")
    if extra := sorted(saved.keys() - targets.keys()):
        raise CheckpointError(
            f"{path}: holds {', '.join(extra[:5])}, which belongs to nothing in this network; "
            "load it into the network that it was saved from"
        )
