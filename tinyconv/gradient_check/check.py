"""check_gradients: the gradients that backward gives, compared with the slopes of forward."""
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from . import diagnosis, habits, shapes
from .oracles import DIGITS, EPS, Oracle
from .report import Refusal, Report, Row
from .subjects import subject as as_subject

ELEMENTS = 2000                                             # up to so many in all arrays, each is compared; of more, a sample
SAMPLE = 200                                                # of so many, spread over the arrays
MOST_KINKS = 0.2                                            # of the elements of an array


def check_gradients(obj, x=None, *, labels=None, training=False, sample=None, seed=0, tolerance=None, quiet=False, progress=False, dtype="float64",
                    diagnose=True):
    """Compare every gradient that backward gives with the slope of forward; print the table and what is wrong; give the Report.

    obj        a layer, network or loss, a pair of functions (forward, backward), or a class in the style of torch: subjects.py says how each is
               called. It is copied, so the object itself stays as it is, and a random mask is the same at every call. Parameters are converted to
               float64; a forward of your own must keep that dtype.
    x          array (N, ...): the point at which to check; for functions, the tuple of all arguments of forward. None: awkward ones are looked for
               (odd sizes, a batch of 1, one channel), as many as obj takes: its output_shape, or its forward, tells.
    labels     (N,) int, for a loss              training   whether forward is called with training=True
    sample     how many elements of each array to check, drawn at random from `seed` as dy is. None: every one where there are no more than 2,000 in
               all, else 200 spread over the arrays. Where not all are checked, the slope along a random direction through all of them is as well.
    tolerance  relative error that is allowed beyond what the oracle is unsure of, which is all that is allowed where this is None
    quiet      whether nothing is printed        progress   whether a bar shows how many arrays are done
    dtype      "float32": in addition the passes in float32 against the reference in float64, which the oracle has judged, in units of sqrt(K) eps
    diagnose   whether the mistake behind a wrong gradient is looked for

    dy is random: one of ones would let a flipped, transposed or ignored dy pass. What is compared is sum dy * slope; the relative error is
    |backward - expected| / max(|backward|, |expected|, r), r the root mean square of `expected`. An element on a kink (relu at 0, two equal maxima) has
    no derivative: it is skipped and counted. Raises TypeError for what has no forward and backward, DtypeError for an x that is not real or a forward
    that does not keep float64, ValueError where forward gives something other than finite numbers, or no x is found.
    """
    points = [(x, labels)] if x is not None else shapes.find(obj, labels, training, seed)
    reports = []
    for x_point, labels_point in points:
        subject = as_subject(obj, x_point, labels_point, training)
        report = _check(subject, sample, seed, tolerance, progress, diagnose)
        if np.dtype(dtype) != np.float64:
            rows = habits.against_reference(as_subject(obj, x_point, labels_point, training, dtype), seed)
            report = replace(report, rows=report.rows + rows)
        reports.append(report)
        if reports[-1].verdict == "wrong":
            break
    report = reports[-1] if len(reports) == 1 or reports[-1].verdict == "wrong" else _merged(reports)
    if not quiet:
        print(report)
    return report


def assert_gradients(obj, x=None, **options):
    """check_gradients for tests: silent where all is well; AssertionError with the table and the diagnosis where not."""
    report = check_gradients(obj, x, quiet=True, **options)
    if not report.ok:
        raise AssertionError(f"wrong gradients\n{report}" if report.verdict == "wrong" else f"gradients that prove nothing\n{report}")
    return report


def label(name):
    layer, dot, key = name.rpartition(".")
    return f"{layer}{dot}d{key}"                             # x -> dx, C1.weight -> C1.dweight


def _merged(reports):
    refusals = {(found.array, found.name): found for report in reports for found in report.refusals}
    # at one point a gradient may well be zero; where another point moves it, nothing is left to refuse
    moved = {row.array for report in reports for row in report.rows if not any(found.array == row.array for found in report.refusals)}
    kept = tuple(found for (array, name), found in refusals.items() if name not in habits.OF_THE_POINT or array not in moved)
    return Report(reports[0].subject, tuple(row for report in reports for row in report.rows), kept)


def _check(subject, sample, seed, tolerance, progress, diagnose):
    rng = np.random.default_rng(seed)
    dy = rng.standard_normal(subject.y.shape)
    found = subject.backward(dy)
    refusals = habits.refusals(subject, dy, found)
    oracle, comparisons = Oracle(subject, rng), {}
    if sample is None:
        total = sum(value.size for value in subject.values.values())
        sample = ELEMENTS if total <= ELEMENTS else max(5, SAMPLE // len(subject.values))
    for name in tqdm(subject.values, desc="gradients", unit="array", delay=1, leave=False, disable=not progress):
        comparisons[name] = Comparison(oracle, name, dy, found[name], sample, tolerance)
        refusals += comparisons[name].refusals
    rows = tuple(each.row for each in comparisons.values())
    if getattr(subject.obj, "device", None) == "cuda":
        rows += habits.against_reference(subject, seed)[:1]
    report = Report(subject.title, rows, tuple(refusals))
    return replace(report, diagnoses=diagnosis.diagnose(oracle, dy, found, comparisons)) if diagnose and report.verdict == "wrong" else report


class Comparison:
    """One array of gradients against the oracle, element by element.

    picks, found, expected, allowed   (checked,) flat indices, and what is compared there;  kinks  bool (checked,): what is skipped
    """

    def __init__(self, oracle, name, dy, gradient, sample, tolerance):
        self.oracle, self.name, self.dy, self.refusals = oracle, name, dy, []
        self.shape = oracle.subject.values[name].shape
        self.size = int(np.prod(self.shape))
        self.way, _ = oracle.way(name)
        self.relative = DIGITS[self.way] if tolerance is None else tolerance
        self.shapes_fit = gradient is not None and np.shape(gradient) == self.shape
        self.gradient = np.asarray(gradient).reshape(-1) if self.shapes_fit else None
        self.picks = np.arange(self.size) if sample >= self.size else np.sort(oracle.rng.choice(self.size, sample, replace=False))
        if not self.shapes_fit:
            self.row = self._row(np.inf, (), np.nan, np.nan, f"WRONG: expected a gradient of shape {self.shape}, got "
                                 f"{'none' if gradient is None else np.shape(gradient)}")
            return
        self._measure()
        if len(self.picks) < self.size and not self.wrong.any():
            self._measure_all_along_a_line()
        self.row = self._judge()

    def _measure(self):
        self.columns = [self.oracle.element(self.name, np.unravel_index(pick, self.shape)) for pick in self.picks]
        terms = np.array([_terms(self.dy, slope) for slope in self.columns])
        self.expected, unsure, self.magnitude, self.kinks = terms[:, 0], terms[:, 1], terms[:, 2], terms[:, 3] > 0
        self.found = self.gradient[self.picks]
        self.typical = float(np.sqrt(np.mean(self.magnitude[~self.kinks] ** 2))) if not self.kinks.all() else 0.0
        self.allowed = 4 * unsure + self.relative * np.maximum(self.magnitude, self.typical) + noise(self.dy, self.oracle.y)
        self.wrong = ~(np.abs(self.found - self.expected) <= self.allowed) & ~self.kinks

    def _measure_all_along_a_line(self):
        """Where the sample agrees but the sum over all elements, each times a random number, does not: halve until one wrong element is left."""
        direction = self.oracle.random_direction(self.name).reshape(-1)

        def disagrees(elements):
            line = np.zeros(self.size)
            line[elements] = direction[elements]
            expected, unsure, magnitude, kink = _terms(self.dy, self.oracle.slope(self.name, line.reshape(self.shape)))
            found = float(self.gradient @ line)
            scale = max(magnitude, float(np.abs(self.gradient * line).sum()))
            return not kink and not abs(found - expected) <= 4 * unsure + self.relative * scale + noise(self.dy, self.oracle.y)

        elements = np.arange(self.size)
        if not disagrees(elements):
            return
        while len(elements) > 1:
            half = elements[:len(elements) // 2]
            elements = half if disagrees(half) else elements[len(elements) // 2:]
        self.picks = np.sort(np.append(self.picks, elements)) if elements[0] not in self.picks else self.picks
        self._measure()

    def _judge(self):
        checked, skipped, name = len(self.picks), int(self.kinks.sum()), label(self.name)
        scale = np.maximum(np.maximum(np.abs(self.found), np.abs(self.expected)), np.sqrt(np.mean(self.expected ** 2)))
        scale = np.where(scale == 0, 1, scale)
        errors, limits = np.abs(self.found - self.expected) / scale, self.allowed / scale
        excess = np.where(self.kinks, -1, errors / np.maximum(limits, 1e-300))
        worst = int(np.argmax(np.where(np.isnan(excess), np.inf, excess)))
        if skipped > MOST_KINKS * checked:
            self.refusals.append(Refusal(name, "too many kinks", f"{skipped} of {checked} elements lie on a kink, where no derivative is; check at "
                                                                 "another x"))
        elif np.all(np.abs(self.expected) <= np.maximum(self.allowed, 1e-12)) and not self.wrong.any():
            self._zero(name)
        elif np.median(limits[~self.kinks]) > 1e-3:
            self.refusals.append(Refusal(name, "no digits", f"differences know the expected gradient to {np.median(limits[~self.kinks]):.0e} only: forward "
                                                            "is too rough or too noisy here; check at another x"))
        index = tuple(int(i) for i in np.unravel_index(self.picks[worst], self.shape))
        if self.kinks[worst]:
            return self._row(0.0, (), np.nan, np.nan, skipped=skipped)
        return self._row(float(errors[worst]), index, float(self.found[worst]), float(self.expected[worst]), skipped=skipped,
                         tolerance=float(limits[worst]))

    def _zero(self, name):
        """All that was compared is zero. It may be the sample: along a direction through all elements it is seen."""
        slope = self.oracle.slope(self.name, self.oracle.random_direction(self.name))
        value, unsure, magnitude, _ = _terms(self.dy, slope)
        if np.abs(value) > 4 * unsure + 1e-12 * magnitude + noise(self.dy, self.oracle.y):
            return
        why = f"forward does not depend on {self.name} here" if not np.any(np.abs(slope.y) > slope.error) else "the true gradient is zero everywhere"
        self.refusals.append(Refusal(name, "zero", f"{why}: zero was compared with zero; check at another x, or take {self.name} out"))

    def _row(self, error, index, backward, expected, note="", skipped=0, tolerance=0.0):
        return Row(label(self.name), self.way, len(self.picks) if self.shapes_fit else 0, self.size, error, index, backward, expected, tolerance, note,
                   skipped, self.oracle.subject.values["x"].shape if "x" in self.oracle.subject.values else ())


def _terms(dy, slope):
    """(sum dy * slope, its error, the sum of the terms' sizes, whether a kink takes part)."""
    terms = dy * slope.y
    return float(np.sum(terms)), float(np.sum(np.abs(dy) * slope.error)), float(np.sum(np.abs(terms))), bool(np.any(slope.kink & (dy != 0)))


def noise(dy, y):
    """What rounding alone makes of a gradient: even one that is exactly zero was computed from numbers of the size of 1, or of y."""
    return 8 * EPS * float(np.sum(np.abs(dy) * (np.abs(y) + 1)))
