"""One array of gradients against the oracle: elements that are wrong, and agreement that proves nothing."""

import numpy as np

from .oracles import DIGITS, EPS
from .report import Refusal, Row

MOST_KINKS = 0.2  # of the elements of an array


def label(name):
    """Return the name of a gradient: dx for x, C1.dweight for C1.weight."""
    layer, dot, key = name.rpartition(".")
    return f"{layer}{dot}d{key}"  # x -> dx, C1.weight -> C1.dweight


class Comparison:
    """One array of gradients against the oracle, element by element.

    picks, found, expected, allowed   (checked,) flat indices, and what is compared there;  kinks  bool
                                      (checked,): what is skipped
    """

    def __init__(self, oracle, name, dy, gradient, sample, tolerance):
        self.oracle, self.name, self.dy, self.refusals = oracle, name, dy, []
        self.shape = oracle.subject.values[name].shape
        self.size = int(np.prod(self.shape))
        self.way, _ = oracle.way(name)
        self.relative = DIGITS[self.way] if tolerance is None else tolerance
        self.shapes_fit = gradient is not None and np.shape(gradient) == self.shape
        self.gradient = np.asarray(gradient).reshape(-1) if self.shapes_fit else None
        self.picks = (
            np.arange(self.size)
            if sample >= self.size
            else np.sort(oracle.rng.choice(self.size, sample, replace=False))
        )
        if not self.shapes_fit:
            self.row = self._row(
                np.inf,
                (),
                np.nan,
                np.nan,
                f"WRONG: expected a gradient of shape {self.shape}, got "
                f"{'none' if gradient is None else np.shape(gradient)}",
            )
            return
        self._measure()
        if len(self.picks) < self.size and not self.wrong.any():
            self._measure_all_along_a_line()
        self.row = self._judge()

    def _measure(self):
        self.columns = [
            self.oracle.element(self.name, np.unravel_index(pick, self.shape)) for pick in self.picks
        ]
        terms = np.array([_terms(self.dy, slope) for slope in self.columns])
        self.expected, unsure, self.magnitude, self.kinks = (
            terms[:, 0],
            terms[:, 1],
            terms[:, 2],
            terms[:, 3] > 0,
        )
        self.found = self.gradient[self.picks]
        self.typical = (
            float(np.sqrt(np.mean(self.magnitude[~self.kinks] ** 2))) if not self.kinks.all() else 0.0
        )
        self.allowed = (
            4 * unsure
            + self.relative * np.maximum(self.magnitude, self.typical)
            + noise(self.dy, self.oracle.y)
        )
        self.wrong = ~(np.abs(self.found - self.expected) <= self.allowed) & ~self.kinks

    def _measure_all_along_a_line(self):
        """Where the sample agrees but the sum over all elements, each times a random number, does not: halve
        until one wrong element is left.
        """
        direction = self.oracle.random_direction(self.name).reshape(-1)

        def disagrees(elements):
            line = np.zeros(self.size)
            line[elements] = direction[elements]
            expected, unsure, magnitude, kink = _terms(
                self.dy, self.oracle.slope(self.name, line.reshape(self.shape))
            )
            found = float(self.gradient @ line)
            scale = max(magnitude, float(np.abs(self.gradient * line).sum()))
            return not kink and not abs(found - expected) <= 4 * unsure + self.relative * scale + noise(
                self.dy, self.oracle.y
            )

        elements = np.arange(self.size)
        if not disagrees(elements):
            return
        while len(elements) > 1:
            half = elements[: len(elements) // 2]
            elements = half if disagrees(half) else elements[len(elements) // 2 :]
        self.picks = np.sort(np.append(self.picks, elements)) if elements[0] not in self.picks else self.picks
        self._measure()

    def _judge(self):
        checked, skipped, name = len(self.picks), int(self.kinks.sum()), label(self.name)
        scale = np.maximum(
            np.maximum(np.abs(self.found), np.abs(self.expected)), np.sqrt(np.mean(self.expected**2))
        )
        scale = np.where(scale == 0, 1, scale)
        errors, limits = np.abs(self.found - self.expected) / scale, self.allowed / scale
        excess = np.where(self.kinks, -1, errors / np.maximum(limits, 1e-300))
        worst = int(np.argmax(np.where(np.isnan(excess), np.inf, excess)))
        if skipped > MOST_KINKS * checked:
            self.refusals.append(
                Refusal(
                    name,
                    "too many kinks",
                    f"{skipped} of {checked} elements lie on a kink, where no derivative is; check at "
                    "another x",
                )
            )
        elif np.all(np.abs(self.expected) <= np.maximum(self.allowed, 1e-12)) and not self.wrong.any():
            self._zero(name)
        elif np.median(limits[~self.kinks]) > 1e-3:
            self.refusals.append(
                Refusal(
                    name,
                    "no digits",
                    f"differences know the expected gradient to {np.median(limits[~self.kinks]):.0e} only: "
                    "forward "
                    "is too rough or too noisy here; check at another x",
                )
            )
        index = tuple(int(i) for i in np.unravel_index(self.picks[worst], self.shape))
        if self.kinks[worst]:
            return self._row(0.0, (), np.nan, np.nan, skipped=skipped)
        return self._row(
            float(errors[worst]),
            index,
            float(self.found[worst]),
            float(self.expected[worst]),
            skipped=skipped,
            tolerance=float(limits[worst]),
        )

    def _zero(self, name):
        """All that was compared is zero. It may be the sample: along a direction through all elements it is
        seen.
        """
        slope = self.oracle.slope(self.name, self.oracle.random_direction(self.name))
        value, unsure, magnitude, _ = _terms(self.dy, slope)
        if np.abs(value) > 4 * unsure + 1e-12 * magnitude + noise(self.dy, self.oracle.y):
            return
        why = (
            f"forward does not depend on {self.name} here"
            if not np.any(np.abs(slope.y) > slope.error)
            else "the true gradient is zero everywhere"
        )
        self.refusals.append(
            Refusal(
                name,
                "zero",
                f"{why}: zero was compared with zero; check at another x, or take {self.name} out",
            )
        )

    def _row(self, error, index, backward, expected, note="", skipped=0, tolerance=0.0):
        return Row(
            label(self.name),
            self.way,
            len(self.picks) if self.shapes_fit else 0,
            self.size,
            error,
            index,
            backward,
            expected,
            tolerance,
            note,
            skipped,
            self.oracle.subject.values["x"].shape if "x" in self.oracle.subject.values else (),
        )


def _terms(dy, slope):
    """(sum dy * slope, its error, the sum of the terms' sizes, whether a kink takes part)."""
    terms = dy * slope.y
    return (
        float(np.sum(terms)),
        float(np.sum(np.abs(dy) * slope.error)),
        float(np.sum(np.abs(terms))),
        bool(np.any(slope.kink & (dy != 0))),
    )


def noise(dy, y):
    """What rounding alone makes of a gradient: even one that is exactly zero was computed from numbers of the
    size of 1, or of y.
    """
    return 8 * EPS * float(np.sum(np.abs(dy) * (np.abs(y) + 1)))
