"""Model and Recipe: a network with all that `tinyconv train` and `tinyconv bench` must know about it.

Each model has them beside it, in models/.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .data import Inputs
from .setting import Setting


@dataclass(frozen=True)
class Recipe:
    """A model with one loss: the network, its inputs, and how it is trained.

    network      (classes, rng, **options) -> the network, untrained; the options are those of the Model
    loss         () -> the loss
    inputs       (train, net, settings) -> Inputs: from an image of the data set `train` to the input of `net`
    preparation  of images from a folder (data.load)
    training     {setting: value}: where this recipe differs from the defaults in tinyconv/cli/settings.py; it
                 must name "lr"
    """

    network: Callable[..., Any]
    loss: Callable[[], Any]
    inputs: Callable[..., Inputs]
    preparation: str = "fit"
    training: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """A model as `tinyconv bench` measures it.

    loss         () -> the loss of a training step
    optimizer    the options of its SGD
    predictions  the numbers of images of its predictions
    alone        True: every contestant has a process of its own, whose peak memory tells something then
    """

    loss: Callable[[], Any]
    optimizer: dict[str, Any]
    predictions: tuple[int, ...]
    alone: bool = False


@dataclass(frozen=True)
class Model:
    """An architecture, its recipes and its options. Called, it gives the network: model(**options).

    architecture  the function that gives the network, untrained
    recipes       {loss: Recipe}; the first is the one of `tinyconv train MODEL`
    options       the Settings that the network's variants are chosen by, kept in run.json under "options"
    presets       {name: facts} of a model that comes in several variants, facts being a dataclass
    bench         None: it is not measured
    """

    architecture: Callable[..., Any]
    recipes: dict[str, Recipe]
    options: tuple[Setting, ...] = ()
    presets: dict[str, Any] = field(default_factory=dict)
    bench: Bench | None = None

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Return the network, untrained."""
        return self.architecture(*args, **options)


def digits(train: Any, net: Any, settings: dict) -> Inputs:
    """Inputs as in 1998: background -0.1 and ink 1.175, padded to the size that the network takes."""
    return Inputs.digits(train.shape, net.input_shape)


def photographs(scale: float = 1.0, **augmentation: Any) -> Callable[..., Inputs]:
    """Return the `inputs` of a Recipe: the mean image is subtracted.

    augmentation   options of Inputs, where the run has not switched them off
    """

    def inputs(train, net, settings):
        chosen = augmentation if settings["augment"] else {}
        return Inputs.measured(train, crop=net.input_shape[1], scale=scale, **chosen)

    return inputs
