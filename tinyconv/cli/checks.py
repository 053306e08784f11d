"""Checks before a training run: the classes, the memory, the images."""

import math
from typing import Any

from ..errors import TinyconvError
from ..execution import memory
from .optimizing import OPTIMIZERS
from .options import say_shape
from .recipes import recipe

# batches of inputs that exist beside that in the network (data/feeder.py)
AHEAD = 3


def check_classes(settings: dict) -> None:
    """Raises TinyconvError where the output units have no codes for so many classes."""
    data, classes = settings["data"], len(settings["class_names"])
    if settings["loss"] != "softmax" and classes > 10:
        raise TinyconvError(
            f"{data}: has {classes} classes and the rbf output units have codes for ten: use --loss softmax"
        )


def check_memory(net: Any, settings: dict, device: str) -> None:
    """Print what training takes, of the memory of the device. Raises TinyconvError where there is less."""
    batch_size = settings["batch_size"]
    slots = len(OPTIMIZERS[settings["optimizer"]].kind.slot_names)
    batch = 4 * batch_size * math.prod(net.input_shape)
    needed = memory.needed(net, (batch_size, *net.input_shape), slots=slots) + AHEAD * batch
    available = memory.available(device)
    if available is not None and needed > available:
        raise TinyconvError(
            f"training with batches of {batch_size} needs about {memory.say(needed)} of "
            f"memory and {memory.say(available)} is available; use a smaller --batch-size, "
            "or end other programs"
        )
    of = "" if available is None else f" of {memory.say(available)} available"
    print(f"memory: about {memory.say(needed)}{of}")


def check_images(settings: dict, train: Any, net: Any) -> None:
    """Raises TinyconvError where the network cannot see the images, or would see a small piece of each."""
    data, model, shape = settings["data"], settings["model"], say_shape(train.shape)
    channels, side, _ = net.input_shape
    # others are padded to the network's size
    photographs = recipe(model, settings["loss"]).preparation != "fit"
    if train.shape[0] != channels or photographs and min(train.shape[1:]) < side:
        taken = say_shape(net.input_shape)
        raise TinyconvError(
            f"{data}: has images of {shape} and {model} takes {taken}; use data of that kind, "
            "or another model"
        )
    if photographs and min(train.shape[1:]) >= 2 * side:
        seen = "x".join(map(str, net.input_shape[1:]))
        raise TinyconvError(
            f"{data}: has images of {shape}, far larger than the {seen} that {model} sees; "
            f"make smaller ones with: tinyconv data prepare DIR --out SHARDS --size {side}"
        )
