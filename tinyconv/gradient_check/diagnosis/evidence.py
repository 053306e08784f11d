"""Evidence: one wrong array, and the questions that hypotheses may ask of it.

A prediction is an array, or a changed truth: the true gradient for another dy, at other values, of an
object with another stride. The second kind needs no array: along a random direction d, sum(gradient * d) is
the sum of dy * slope, one evaluation of forward however large the array is.
"""

import numpy as np

# The largest array whose true gradient is computed element by element.
MOST_ELEMENTS = 4000


class Evidence:
    """One wrong array and all that hypotheses may ask of it.

    name, found, shape   of the array; found as backward gave it, whatever its shape
    dy, x, y, values     of the call;  true  the true gradient, None where the array is too large to know it
                         element by element
    columns              dy/de of each element e, flat: the Jacobian, (size, y.size); None likewise
    obj, labels, earlier of the subject (subjects.py);  others  {name: the true gradient} of the other arrays
    """

    def __init__(self, oracle, name, dy, found, comparison, others):
        self.oracle, self.subject, self.name, self.dy, self.found, self.others = (
            oracle,
            oracle.subject,
            name,
            dy,
            np.asarray(found, float),
            others,
        )
        self.obj, self.labels, self.earlier, self.fixed = (
            self.subject.obj,
            self.subject.labels,
            self.subject.earlier,
            self.subject.fixed,
        )
        self.values, self.y = self.subject.values, oracle.y
        self.x, self.shape = self.values[next(iter(self.values))], self.values[name].shape
        self.fits = self.found.shape == self.shape
        self.true = self.columns = None
        self.allowed, self.smooth = 0.0, np.ones(self.shape, bool)
        if comparison.size <= MOST_ELEMENTS and comparison.size * self.y.size <= 2e7:
            self._know_every_element()

    def _know_every_element(self):
        slopes = [self.oracle.element(self.name, index) for index in np.ndindex(self.shape)]
        self.columns = np.array([slope.y.reshape(-1) for slope in slopes])
        self.true = (self.columns @ self.dy.reshape(-1)).reshape(self.shape)
        self.allowed = 4 * max(float(np.sum(np.abs(self.dy) * slope.error)) for slope in slopes)
        self.smooth = ~np.array([slope.kink.any() for slope in slopes]).reshape(self.shape)

    def explained_by(self, claim):
        """Whether the claim predicts every element, a hundred times nearer than the truth does."""
        if claim.array is not None:
            predicted = np.asarray(claim.array, float)
            if predicted.shape != self.found.shape:
                return False
            smooth = (self.smooth if self.fits else np.ones(self.found.shape, bool)) & (
                True if claim.known is None else claim.known
            )
            off = np.abs(predicted - self.found)[smooth].max(initial=0)  # NaN is not below anything
            size = np.sqrt(np.mean(self.found**2))
            wrong = (
                np.abs(self.true - self.found)[smooth].max(initial=0)
                if self.fits and self.true is not None
                else np.inf
            )
            return bool(off <= min(1e-7 * size, 0.01 * wrong) + self.allowed)
        return (
            self.fits
            and bool(claim.terms)
            and all(self._agrees_along(self._direction(seed), claim) for seed in (1, 2))
        )

    def _direction(self, seed):
        return np.where(self.smooth, np.random.default_rng(seed).normal(size=self.shape), 0)

    def _agrees_along(self, direction, claim):
        try:
            with np.errstate(all="ignore"):
                predicted = sum(c * self.along(direction, **changes) for c, changes in claim.terms)
        except Exception:  # an option or shape that forward cannot take explains nothing
            return False
        found = float(np.sum(self.found * direction))
        size = np.sqrt(np.sum((self.found * direction) ** 2))
        wrong = abs(self.along(direction) - found)
        return bool(
            np.isfinite(predicted) and abs(predicted - found) <= min(1e-7 * size, 0.01 * wrong) + 1e-14 * size
        )

    def along(self, direction, dy=None, values=None, options=None):
        """sum(direction * the true gradient), of a call that is changed so. A dy meets a y of another shape
        in the corner where both begin.
        """
        changes = {"values": values or {}, **(options or {})} if values or options else {}
        slope = self.oracle.slope(self.name, direction, **changes).y
        dy = self.dy if dy is None else dy
        common = tuple(slice(min(a, b)) for a, b in zip(slope.shape, dy.shape))
        return float(np.sum(slope[common] * dy[common]))
