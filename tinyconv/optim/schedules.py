"""Schedules: functions step -> rate that an optimizer follows. The first step has the number 0."""

import math
from collections.abc import Callable, Iterable, Sequence

Rate = Callable[[int], float]


def constant(lr: float) -> Rate:
    """Return rate(step) = lr."""
    return lambda step: lr


def stepped(lr: float, every: int, factor: float = 0.1) -> Rate:
    """Return rate(step) = lr factor^(step // every): lower by a factor after each `every` steps.

    Source: Krizhevsky et al. 2012 divide by 10.
    """
    return lambda step: lr * factor ** (step // every)


def lowered_at(lr: float, steps: Sequence[int], factor: float = 0.1) -> Rate:
    """Return rate(step) = lr factor^k, lower by a factor at given steps: k of `steps` have been reached."""
    return lambda step: lr * factor ** sum(step >= at for at in steps)


def plateau(
    lr: float, errors: Callable[[], Iterable[float]], patience: int = 5, factor: float = 0.1, times: int = 3
) -> Rate:
    """Return rate(step) = lr factor^k: lower by a factor whenever the error has stopped improving.

    errors     a function without arguments: the validation errors of all epochs so far. The rate follows from
               them alone, so that a resumed run goes on with the rate that it had
    patience   epochs in a row without a new best error, after which the rate is lowered
    times      the largest k

    Source: Krizhevsky et al. 2012, section 5: divided by 10 when the validation error stopped improving,
    three times.
    """
    return lambda step: lr * factor ** min(_times_without_progress(errors(), patience), times)


def _times_without_progress(errors, patience):
    best, waited, count = math.inf, 0, 0
    for error in errors:
        waited = 0 if error < best else waited + 1
        best = min(best, error)
        if waited == patience:
            count, waited = count + 1, 0
    return count


def cosine(lr: float, steps: int) -> Rate:
    """Return rate(step) = lr/2 (1 + cos(pi step / steps)): from lr down to 0 after `steps` steps.

    Source: Loshchilov, Hutter 2017.
    """
    return lambda step: lr / 2 * (1 + math.cos(math.pi * min(step, steps) / steps))
