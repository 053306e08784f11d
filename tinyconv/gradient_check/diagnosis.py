"""Which mistake explains a wrong gradient? Each hypothesis of the table predicts the wrong array; one that predicts every element is named.

A prediction is an array, or a changed truth: the true gradient for another dy, at other values, of an object with another stride. The second kind
needs no array: along a random direction d, sum(gradient * d) is the sum of dy * slope, one evaluation of forward however large the array is.
"""
import copy

import numpy as np

from ..network import named_leaves, observe
from .hypotheses import HYPOTHESES
from .report import Diagnosis

MOST_ELEMENTS = 4000                                        # of an array whose true gradient is computed element by element
AXES = {4: ("image", "channel", "row", "column"), 2: ("image", "feature"), 3: ("image", "channel", "position")}


class Evidence:
    """One wrong array and all that hypotheses may ask of it.

    name, found, shape   of the array; found as backward gave it, whatever its shape
    dy, x, y, values     of the call;  true  the true gradient, None where the array is too large to know it element by element
    columns              dy/de of each element e, flat: the Jacobian, (size, y.size); None likewise
    obj, labels, earlier of the subject (subjects.py);  others  {name: the true gradient} of the other arrays
    """

    def __init__(self, oracle, name, dy, found, comparison, others):
        self.oracle, self.subject, self.name, self.dy, self.found, self.others = oracle, oracle.subject, name, dy, np.asarray(found, float), others
        self.obj, self.labels, self.earlier, self.fixed = self.subject.obj, self.subject.labels, self.subject.earlier, self.subject.fixed
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
            smooth = (self.smooth if self.fits else np.ones(self.found.shape, bool)) & (True if claim.known is None else claim.known)
            off = np.abs(predicted - self.found)[smooth].max(initial=0)    # NaN is not below anything
            size = np.sqrt(np.mean(self.found ** 2))
            wrong = np.abs(self.true - self.found)[smooth].max(initial=0) if self.fits and self.true is not None else np.inf
            return bool(off <= min(1e-7 * size, 0.01 * wrong) + self.allowed)
        return self.fits and bool(claim.terms) and all(self._agrees_along(self._direction(seed), claim) for seed in (1, 2))

    def _direction(self, seed):
        return np.where(self.smooth, np.random.default_rng(seed).normal(size=self.shape), 0)

    def _agrees_along(self, direction, claim):
        try:
            with np.errstate(all="ignore"):
                predicted = sum(c * self.along(direction, **changes) for c, changes in claim.terms)
        except Exception:                                   # an option or shape that forward cannot take explains nothing
            return False
        found = float(np.sum(self.found * direction))
        size = np.sqrt(np.sum((self.found * direction) ** 2))
        wrong = abs(self.along(direction) - found)
        return bool(np.isfinite(predicted) and abs(predicted - found) <= min(1e-7 * size, 0.01 * wrong) + 1e-14 * size)

    def along(self, direction, dy=None, values=None, options=None):
        """sum(direction * the true gradient), of a call that is changed so. A dy meets a y of another shape in the corner where both begin."""
        changes = {"values": values or {}, **(options or {})} if values or options else {}
        slope = self.oracle.slope(self.name, direction, **changes).y
        dy = self.dy if dy is None else dy
        common = tuple(slice(min(a, b)) for a, b in zip(slope.shape, dy.shape))
        return float(np.sum(slope[common] * dy[common]))


def diagnose(oracle, dy, found, comparisons):
    """A Diagnosis for each wrong array; of a network, for the layer at fault."""
    at_fault = _layer_at_fault(oracle.subject)
    if at_fault:
        return at_fault
    wrong = [name for name, comparison in comparisons.items() if not comparison.row.ok]
    others = {name: comparison.expected.reshape(comparison.shape) for name, comparison in comparisons.items()
              if comparison.shapes_fit and len(comparison.picks) == comparison.size}
    return tuple(_diagnosis(oracle, name, dy, found[name], comparisons[name], others) for name in wrong)


def _diagnosis(oracle, name, dy, found, comparison, others):
    where = _where(comparison, oracle.subject) if comparison.shapes_fit else ""
    if found is None:
        return Diagnosis(comparison.row.array, "missing", f"backward gives no gradient of {name}.", "")
    if not np.all(np.isfinite(found)):
        return Diagnosis(comparison.row.array, "not finite", "the gradient has NaN or infinite elements: a division by 0, a log or root of a number "
                                                             "that is not positive, or memory that nobody wrote.", where)
    evidence = Evidence(oracle, name, dy, found, comparison, others)
    for hypothesis in HYPOTHESES:
        for claim in hypothesis.claims(evidence):
            if evidence.explained_by(claim):
                sentence = hypothesis.sentence.format(array=comparison.row.array, name=name, detail=claim.detail)
                return Diagnosis(comparison.row.array, hypothesis.name, sentence, where)
    unknown = "no known mistake explains it; compare the two values above by hand, on a smaller x." if evidence.fits else \
        "the shape is wrong, and no known mistake explains the numbers."
    return Diagnosis(comparison.row.array, "", unknown, where)


def _where(comparison, subject):
    """Which elements are wrong, and the rows, channels, images ... that they all lie in."""
    wrong, checked = comparison.picks[comparison.wrong], len(comparison.picks)
    indices = np.unravel_index(wrong, comparison.shape)
    names = AXES.get(len(comparison.shape), ()) if comparison.name == "x" else tuple(f"axis {axis}, index" for axis in range(len(comparison.shape)))
    if comparison.name != "x" and len(comparison.shape) == 4:
        names = ("filter", "channel", "row", "column")
    places = [text for axis, name in enumerate(names) if (text := _cluster(np.unique(indices[axis]), comparison.shape[axis], name))]
    if not places and len(comparison.shape) == 4 and len(wrong) < checked:
        (rows, columns), (H, W) = indices[2:], comparison.shape[2:]
        places = ["on the border"] * bool(np.all((rows == 0) | (rows == H - 1) | (columns == 0) | (columns == W - 1)))
    number = "every one" if len(wrong) == checked else f"{len(wrong)}"
    return f"wrong: {number} of {checked} elements" + (f", all {' and '.join(places)}" if places else "")


def _cluster(used, size, name):
    """"in row 3 (the last)" where the indices used are a small part of an axis."""
    if len(used) == size or len(used) > max(1, size // 2) or size == 1:
        return ""
    if len(used) == 1:
        place = {0: " (the first)", size - 1: " (the last)"}.get(int(used[0]), "")
        return f"in {name} {used[0]}{place}"
    return f"in {name}s {used[0]} to {used[-1]}" if used[-1] - used[0] == len(used) - 1 else f"in {name}s {', '.join(map(str, used[:6]))}"


def _layer_at_fault(subject):
    """The last layer of a network that is wrong when it is checked alone, at the x that reaches it; () where none is, or obj is no network."""
    from .check import check_gradients
    if subject.dtype != np.float64 or not getattr(subject.obj, "named_layers", None):
        return ()
    net, training = copy.deepcopy(subject.obj).astype(np.float64), bool(subject.call_options)
    seen = observe(net, subject.values["x"], training)
    for name, layer in reversed(named_leaves(net).items()):
        if "x" not in seen[name]:
            continue
        report = check_gradients(copy.deepcopy(layer), seen[name]["x"], training=bool(subject.call_options), sample=50, quiet=True)
        if report.verdict == "wrong":
            return tuple(Diagnosis(f"{name}.{found.array}", found.name, f"in layer {name}, {layer!r}: {found.sentence}", found.where)
                         for found in report.diagnoses)
    return ()
