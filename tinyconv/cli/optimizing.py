"""The optimizer of a run's settings, and the schedule of its rate. To add one: a line in OPTIMIZERS or in SCHEDULES."""
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import optimizers


@dataclass(frozen=True)
class Schedule:
    """How the rate goes on.

    help   the words of the help
    rate   (settings, steps_per_epoch, errors) -> function step -> rate
    """

    help: str
    rate: Callable[..., Callable]


def _steps(settings, steps_per_epoch, errors):
    return optimizers.lowered_at(settings["lr"], [epoch * steps_per_epoch for epoch in settings["lr_steps"]])


SCHEDULES = {
    "constant": Schedule("the same all the time",
                         lambda settings, steps_per_epoch, errors: optimizers.constant(settings["lr"])),
    "cosine": Schedule("falls to 0 along a cosine",
                       lambda settings, steps_per_epoch, errors: optimizers.cosine(settings["lr"], settings["epochs"] * steps_per_epoch)),
    "plateau": Schedule("divided by 10 when the test error stops improving",
                        lambda settings, steps_per_epoch, errors: optimizers.plateau(settings["lr"], errors, settings["patience"])),
    "steps": Schedule("divided by 10 at the epochs of --lr-steps", _steps),
}


def _sgd(settings, net, rate):
    nesterov = settings["nesterov"] and settings["momentum"] > 0
    return optimizers.SGD(net, rate, settings["momentum"], settings["weight_decay"], nesterov=nesterov, clip=settings["clip"] or None)


OPTIMIZERS = {"sgd": _sgd}


def optimizer(settings: dict, net: Any, steps_per_epoch: int, errors: Callable[[], list]) -> Any:
    """Return the optimizer of a run's settings for `net`; errors() gives the test errors of the epochs so far."""
    rate = SCHEDULES[settings["schedule"]].rate(settings, steps_per_epoch, errors)
    return OPTIMIZERS[settings["optimizer"]](settings, net, rate)
