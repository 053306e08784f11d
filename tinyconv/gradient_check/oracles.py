"""The true slope of forward along a direction, from evaluations of forward alone. None of them knows the
backward code.

    "complex"   Im f(v + i h d) / h, h = 1e-30      where forward takes complex numbers: no difference is taken, so 15 digits are left
    "linear"    (f(v + d) - f(v - d)) / 2           where forward is linear in this array: any step is exact, and a large one loses least
    "central"   (f(v + t d) - f(v - t d)) / 2t      else: at eight steps t, extrapolated to t = 0, with an error estimate from how they agree

v is the array (x or a parameter), d a direction of its shape: one element, or all of them at once.
Sources: Squire, Trapp 1998 (Using complex variables to estimate derivatives of real functions); Ridders 1982
(Accurate computation of F'(x) and F'(x) F''(x)), for the tableau of extrapolations.
"""  # noqa: E501

import warnings
from dataclasses import dataclass

import numpy as np

EPS = np.finfo(np.float64).eps
STEPS = 0.02 * 0.25 ** np.arange(8)  # 2e-2 ... 1.2e-6, relative to an element of more than 1
NEAR = 1e-6  # a kink nearer than this is on the element, for what differences can tell
DIGITS = {
    "complex": 1e-12,
    "linear": 1e-11,
    "central": 1e-10,
}  # relative to the sum of all terms: the rounding of forward and backward


@dataclass
class Slope:
    """dy/dt of y(v + t d) at t = 0."""

    y: np.ndarray  # like y
    error: np.ndarray  # how far off each element may be
    kink: np.ndarray  # bool, like y: the slope differs from one side to the other


class Oracle:
    """Slopes of the forward pass of a subject, by the sharpest way that each of its arrays allows."""

    def __init__(self, subject, rng):
        self.subject, self.rng, self.y, self.ways = subject, rng, subject.forward(), {}

    def way(self, name):
        """(how, kinks): "complex", "linear" or "central", and whether a kink is near for any element of the
        array.
        """
        if name not in self.ways:
            self.ways[name] = self._choose(name)
        return self.ways[name]

    def slope(self, name, direction, **changes):
        """The slope along `direction`. With changes (values=..., options=...) that of a forward that is
        changed so (Subject.forward).
        """
        how, kinks = self.way(name)
        along = self._along(name, direction, **changes)
        y = self.y if not changes else along(0.0)
        if how == "complex":
            slope = self._complex(name, direction, **changes)
            kink = _kinks(along, y) if kinks and not changes else np.zeros(y.shape, bool)
            return Slope(slope, np.zeros(y.shape), kink)
        if how == "linear":
            found = _linear(along, y)
            if found is not None:
                return found
        return central(along, y)

    def element(self, name, index):
        """The slope along one element of the array."""
        return self.slope(name, self.one_hot(name, index))

    def one_hot(self, name, index):
        """Return the direction along one element of the array."""
        direction = np.zeros(self.subject.values[name].shape)
        direction[index] = 1
        return direction

    def random_direction(self, name):
        """Return a direction along which every element of the array moves."""
        return self.rng.choice([-1.0, 1.0], self.subject.values[name].shape) * self.rng.uniform(
            0.5, 1, self.subject.values[name].shape
        )

    def _along(self, name, direction, values=None, **options):
        """t -> forward with the array moved by t along the direction."""
        base = (values or {}).get(name, self.subject.values[name])
        scale = max(1.0, float(np.abs(base[direction != 0]).max(initial=0)))

        def along(t):
            return (
                self.subject.forward({**(values or {}), name: base + t * scale * direction}, **options)
                if t
                else self.subject.forward(values or {}, **options)
            )

        along.scale = scale
        return along

    def _complex(self, name, direction, values=None, **options):
        base = (values or {}).get(name, self.subject.values[name])
        with warnings.catch_warnings():
            warnings.simplefilter(
                "error", np.exceptions.ComplexWarning
            )  # a forward that drops the imaginary part says so
            return (
                self.subject.forward({**(values or {}), name: base + 1e-30j * direction}, **options).imag
                / 1e-30
            )

    def _choose(self, name):
        """Complex numbers only where their slope along a random direction is that of differences: a forward
        with abs() or .real takes them, wrongly.
        """
        direction = self.random_direction(name)
        along = self._along(name, direction)
        kinks = _kinks(along, self.y)
        try:
            slope = self._complex(name, direction)
            # a direction through thousands of elements may cross a kink even within the first
            for t in (NEAR, NEAR / 100):
                rough = (along(t) - along(-t)) / (2 * t * along.scale)
                if slope.shape == self.y.shape and np.all(
                    (np.abs(slope - rough) <= 1e-4 * np.abs(rough).max(initial=0) + 1e-7) | kinks
                ):
                    return "complex", bool(kinks.any())
        except Exception:  # whatever a forward of a user's says of complex numbers: it does not take them
            pass
        return "linear" if not kinks.any() and _linear(along, self.y) is not None else "central", bool(
            kinks.any()
        )


def _linear(along, y):
    """Slope by a step of 1, or None where forward is not linear that far."""
    plus, minus = along(1.0), along(-1.0)
    size = np.maximum(np.abs(plus), np.abs(minus))
    if not np.all(np.abs(plus + minus - 2 * y) <= 64 * EPS * size.max(initial=0)):  # NaN is not
        return None
    return Slope((plus - minus) / (2 * along.scale), 4 * EPS * size / along.scale, np.zeros(y.shape, bool))


def central(along, y):
    """Slope by differences at all STEPS, or as many as it takes: the extrapolation whose neighbours in the
    tableau agree best.
    """
    best, error, kinked = np.full(y.shape, np.nan), np.full(y.shape, np.inf), np.zeros(y.shape, bool)
    above, clean, gap_before = [], np.zeros(y.shape, int), np.full(y.shape, np.inf)
    for place, t in enumerate(STEPS):
        with np.errstate(all="ignore"):
            plus, minus = along(t), along(-t)
            row = [(plus - minus) / (2 * t)]
            gap = (
                np.abs(plus + minus - 2 * y) / t
            )  # of the slopes on either side: shrinks with t, unless a kink lies between
            rounding = 2 * EPS * np.maximum(np.abs(plus), np.abs(minus)) / t
            typical = np.maximum(np.abs(row[0]), np.mean(np.abs(row[0])))
            kinked = ~(gap <= np.maximum(0.5 * gap_before, np.maximum(1e-5 * typical, 16 * rounding)))
            clean, gap_before = np.where(kinked, 0, clean + 1), gap
            for order, coarse in enumerate(above, start=1):
                row.append(
                    row[-1] + (row[-1] - coarse) / (16.0**order - 1)
                )  # Richardson: the error in t^(2 order) cancels
                spread = np.maximum(np.abs(row[-1] - row[-2]), np.abs(row[-1] - coarse)) + rounding
                better = (clean > order) & (
                    spread < error
                )  # only from steps that are all smaller than the way to the next kink
                best, error = np.where(better, row[-1], best), np.where(better, spread, error)
            above = row
            if place > 0 and np.all(error <= np.maximum(1e-11 * typical, 8 * rounding)) and not kinked.any():
                break
    kinked |= np.isnan(best)
    return Slope(np.where(kinked, 0, best) / along.scale, np.where(kinked, 0, error) / along.scale, kinked)


def _kinks(along, y, t=NEAR):
    """Where the slopes on either side differ, and no less so at a quarter of the distance."""

    def gap(t):
        plus, minus = along(t), along(-t)
        return (
            np.abs(plus + minus - 2 * y) / t,
            np.maximum(np.abs(plus - y), np.abs(minus - y)) / t,
            64 * EPS * np.abs(plus) / t,
        )

    far, slope, rounding = gap(t)
    suspicious = far > 1e-3 * slope + rounding
    return suspicious & (gap(t / 4)[0] > 0.5 * far) if suspicious.any() else suspicious
