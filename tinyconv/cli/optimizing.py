"""The optimizer of a run's settings, and the schedule of its rate.

To add one: its line in OPTIMIZERS or SCHEDULES.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .. import optim


@dataclass(frozen=True)
class Schedule:
    """How the rate goes on.

    help   the words of the help
    rate   (settings, steps_per_epoch, errors) -> function step -> rate
    """

    help: str
    rate: Callable[..., Callable]


def _constant(settings, steps_per_epoch, errors):
    return optim.constant(settings["lr"])


def _cosine(settings, steps_per_epoch, errors):
    return optim.cosine(settings["lr"], settings["epochs"] * steps_per_epoch)


def _plateau(settings, steps_per_epoch, errors):
    return optim.plateau(settings["lr"], errors, settings["patience"])


def _steps(settings, steps_per_epoch, errors):
    return optim.lowered_at(settings["lr"], [epoch * steps_per_epoch for epoch in settings["lr_steps"]])


SCHEDULES = {
    "constant": Schedule("the same all the time", _constant),
    "cosine": Schedule("falls to 0 along a cosine", _cosine),
    "plateau": Schedule("divided by 10 when the test error stops improving", _plateau),
    "steps": Schedule("divided by 10 at the epochs of --lr-steps", _steps),
}


@dataclass(frozen=True)
class Rule:
    """How an optimizer is made of a run's settings.

    kind       its class
    make       (settings, net, rate) -> the optimizer
    training   {setting: value}: what goes before the recipe where the command line chooses this optimizer
    """

    kind: type[optim.Optimizer]
    make: Callable[..., optim.Optimizer]
    training: dict[str, Any] = field(default_factory=dict)


def _sgd(settings, net, rate):
    nesterov = settings["nesterov"] and settings["momentum"] > 0
    return optim.SGD(
        net, rate, settings["momentum"], settings["weight_decay"], nesterov, clip=settings["clip"] or None
    )


def _adam(settings, net, rate):
    return optim.Adam(
        net,
        rate,
        settings["beta1"],
        settings["beta2"],
        settings["eps"],
        settings["weight_decay"],
        settings["decoupled"],
        clip=settings["clip"] or None,
    )


# The rates of the recipes were chosen for SGD. Adam's is that of its paper.
OPTIMIZERS = {"sgd": Rule(optim.SGD, _sgd), "adam": Rule(optim.Adam, _adam, {"lr": 1e-3})}


def optimizer(settings: dict, net: Any, steps_per_epoch: int, errors: Callable[[], list]) -> optim.Optimizer:
    """Return the optimizer of a run's settings for `net`; errors() gives the test errors of its epochs."""
    rate = SCHEDULES[settings["schedule"]].rate(settings, steps_per_epoch, errors)
    return OPTIMIZERS[settings["optimizer"]].make(settings, net, rate)
