"""The layers of a network as a checkpoint describes them, and in what two networks differ.

Networks are compared by the settings of their layers. A setting that the file does not have counts as the
default of the constructor's argument: an argument that is added later, with its default, leaves saved files
valid. A setting that the layer does not know is an error, whatever its value.
"""

import json

import numpy as np

from .errors import CheckpointError
from .layer import NO_DEFAULT
from .network import tree


def described(path, net) -> list[list]:
    """[name, class, settings] of all layers of `net`. Raises CheckpointError for settings not in JSON."""
    entries = []
    for name, layer in tree(net):
        try:
            entries.append([name, *_entry(layer)])
        except (TypeError, ValueError, AttributeError):
            raise CheckpointError(
                f"{path}: the settings of {name}, {layer!r}, cannot be saved: expected numbers, strings "
                "and lists of these; leave other attributes out of `settings`"
            ) from None
    return entries


def _entry(layer):
    """(class name, settings) with the values as JSON gives them back."""
    class_name, settings = layer.describe()
    return class_name, json.loads(json.dumps(settings, default=lambda value: value.tolist()))


def difference(header: dict, net) -> str | None:
    """The first layer in which the file and the network differ, as a sentence; None where they are alike."""
    # files of format 1 know only the layers that stand in the network itself
    layers = list(net.named_layers.items()) if header.get("flat") else list(tree(net))
    for place in range(max(len(layers), len(header["layers"]))):
        theirs = header["layers"][place] if place < len(header["layers"]) else None
        ours = layers[place] if place < len(layers) else None
        if theirs is None or ours is None or theirs[0] != ours[0] or not _same_class(theirs, ours[1]):
            return _sentence(place, theirs, ours)
        name, class_name, settings = theirs
        if settings is None:
            continue
        known = _entry(ours[1])[1]
        for setting, value in settings.items():
            if setting not in known:
                return (
                    f"layer {name} has the setting {setting}={value!r} in the file, "
                    f"which {class_name} does not know here"
                )
        if any(
            not _same(settings.get(setting, ours[1].default(setting)), value)
            for setting, value in known.items()
        ):
            return _sentence(place, theirs, ours)
    return None


def _same_class(theirs, layer):
    """Compare the classes. A layer of format 1 whose repr says no settings has None and that repr."""
    _, class_name, settings = theirs
    return class_name == (repr(layer) if settings is None else layer.describe()[0])


def _same(theirs, ours):
    """Compare two settings. A default may be one number for a pair of the same two."""
    if isinstance(ours, (tuple, list)) and isinstance(theirs, (int, float)):
        return all(_same(theirs, value) for value in ours)
    if isinstance(ours, (tuple, list)) and isinstance(theirs, (tuple, list)):
        return len(ours) == len(theirs) and all(map(_same, theirs, ours))
    return theirs is not NO_DEFAULT and bool(np.array_equal(theirs, ours))


def _sentence(place, theirs, ours):
    def options(settings):
        shown = {
            setting: tuple(value) if isinstance(value, list) else value for setting, value in settings.items()
        }
        return ", ".join(f"{setting}={value!r}" for setting, value in shown.items())

    def say(entry):
        if entry is None:
            return "no further layer"
        name, class_name, settings = entry
        return f"{name} = {class_name}" if settings is None else f"{name} = {class_name}({options(settings)})"

    ours = ours and (ours[0], *_entry(ours[1]))
    return f"layer {place} is {say(theirs)} in the file and {say(ours)} in this network"
