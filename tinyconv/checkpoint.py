"""Saved networks and training runs: one .npz file, written whole or not at all.

    header          JSON: the format, each layer's name and repr, and whatever a training run adds
    params/<name>   parameters          state/<name>   counters of random draws          <slot>/<name>   the optimizer's, such as velocity
"""
import json
import zipfile
import zlib

import numpy as np

from . import device as door
from .errors import CheckpointError
from .files import write_atomically

FORMAT = "tinyconv checkpoint, format 1"


def write(path, net, optimizer=None, **progress):
    """Write the network, the optimiser (where given) and `progress` (JSON values) to `path`.

    First to a file beside it, then renamed: a full disk or a crash leaves the old file as it was. Raises OSError.
    """
    header = {"format": FORMAT, "layers": _layers(net), "steps": optimizer.steps if optimizer else 0, "progress": progress}
    arrays = {f"{group}/{name}": door.as_numpy(value) for group, values in _groups(net, optimizer).items() for name, value in values.items()}
    write_atomically(path, lambda file: np.savez(file, header=np.array(json.dumps(header)), **arrays))


def read(path, net, optimizer=None):
    """Put what `path` holds into the network and the optimiser (where given); gives the `progress` that was saved with it.

    Everything is checked before anything is changed. Raises CheckpointError for a damaged file or another network's.
    """
    header, arrays = _open(path)
    if difference := _difference(header["layers"], _layers(net)):
        raise CheckpointError(f"{path}: saved from another network: {difference}")
    groups = _groups(net, optimizer)
    for group, values in groups.items():
        for name, value in values.items():
            saved = arrays.get(f"{group}/{name}")
            if saved is None or saved.shape != value.shape:
                found = "nothing" if saved is None else f"shape {saved.shape}"
                raise CheckpointError(f"{path}: expected {group}/{name} of shape {value.shape}, found {found}")
    for group, values in groups.items():
        for name, value in values.items():
            door.put(arrays[f"{group}/{name}"], value)
    if optimizer:
        optimizer.steps = header["steps"]
    return header["progress"]


def _groups(net, optimizer):
    return {"params": net.params, "state": net.state, **(optimizer.slots if optimizer else {})}


def _layers(net):
    return [[name, repr(layer)] for name, layer in net.named_layers.items()]


def _open(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}   # reads everything, so that a damaged array shows here
        header = json.loads(str(arrays.pop("header")))
        if header["format"] != FORMAT:
            raise ValueError(f"expected {FORMAT!r}, found {header['format']!r}")
        header["layers"], header["steps"], header["progress"]
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    except PermissionError:
        raise
    except (ValueError, KeyError, TypeError, EOFError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:   # what zip and NumPy raise
        raise CheckpointError(f"{path}: damaged, or no tinyconv checkpoint ({error}); train again or take another copy") from None
    return header, arrays


def _difference(saved, expected):
    """The first layer in which two networks differ, as a sentence; None where they are alike."""
    for place in range(max(len(saved), len(expected))):
        ours, theirs = (layers[place] if place < len(layers) else None for layers in (expected, saved))
        if ours != theirs:
            say = lambda layer: f"{layer[0]} = {layer[1]}" if layer else "no further layer"
            return f"layer {place} is {say(theirs)} in the file and {say(ours)} in this network"
    return None
