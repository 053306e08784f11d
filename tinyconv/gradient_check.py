"""Is a backward pass the derivative of its forward pass? Two oracles that know nothing of the backward code tell.

    central differences   (f(x + h) - f(x - h)) / 2h, extrapolated     any object; 9 digits or more
    complex step          Im f(x + ih) / h, h = 1e-30                objects whose forward takes complex numbers; about 15 digits

where f = sum dy * forward(x) with a random dy. Random, because a dy of ones lets a flipped, transposed or ignored dy pass.
Source: Squire, Trapp 1998 (Using complex variables to estimate derivatives of real functions).
"""
import copy
import inspect
import textwrap
from dataclasses import dataclass
from functools import partial

import numpy as np
from tqdm import tqdm

from . import device as door
from .errors import DtypeError

TOLERANCE = {"central": 1e-7, "complex": 1e-12}
STEPS = (1e-2, 1e-3, 1e-4, 1e-5)                             # of central differences, relative to an element of more than 1


@dataclass(frozen=True)
class Row:
    """What one oracle says of one array of gradients."""

    array: str                   # "dx", or the name of a parameter with a d before it
    oracle: str                  # "central" or "complex"
    checked: int                 # elements compared, of `size`
    size: int
    error: float                 # the largest relative error
    index: tuple                 # where it is
    backward: float              # what backward says there
    expected: float              # what the oracle says there
    tolerance: float
    note: str = ""

    @property
    def ok(self):
        return self.error <= self.tolerance                 # a NaN is not


@dataclass(frozen=True)
class Report:
    """The rows of one check; `ok` where all agree. str(report) is the table."""

    subject: str
    rows: tuple

    @property
    def ok(self):
        return all(row.ok for row in self.rows)

    def largest_error(self, oracle):
        """The largest relative error by `oracle` ("central" or "complex") over all arrays; 0 where it was not asked."""
        return max((row.error for row in self.rows if row.oracle == oracle), default=0.0)

    def __str__(self):
        table = [("array", "oracle", "checked", "error", "at", "backward", "expected", "")]
        for row in self.rows:
            table.append((row.array, row.oracle, f"{row.checked} of {row.size}", f"{row.error:.1e}", str(list(row.index)), f"{row.backward:.10g}",
                          f"{row.expected:.10g}", row.note or ("ok" if row.ok else f"WRONG, above {row.tolerance:.0e}")))
        widths = [max(len(line[column]) for line in table) for column in range(8)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in table]
        return "\n".join([self.subject, *("  " + line for line in lines)])


def check_gradients(obj, x, *, labels=None, training=False, sample=None, seed=0, tolerance=None, quiet=False, progress=False):
    """Compare backward with central differences and, where `obj` supports it, with the complex step; print the table; give the Report.

    obj        a layer, network or loss: anything with forward(x) and backward(dy), and params and grads (dicts) if it has parameters.
               A loss has forward(x, labels) and backward(). It is copied, so the object itself stays as it is, and a random mask
               is the same at every call; tinyconv's own are converted to float64. An object of your own must compute in float64; where it sets
               supports_complex_step = True, its forward must take complex x and read its parameters from params.
    x          array (N, ...): the point at which to check. Keep it away from kinks (relu at 0, two maxima in a max-pool window).
    labels     (N,) int, for a loss              training   whether forward is called with training=True
    sample     how many elements of each array to check, drawn at random from `seed` as dy is; None: every one
    tolerance  largest relative error allowed: a number for both oracles, or None: 1e-7 for central differences, 1e-12 for the complex step
    quiet      whether no table is printed     progress   whether a bar shows how many arrays are done

    The relative error is (|backward - expected| - noise) / max(|backward|, |expected|, r), r the root mean square of `expected`: an element
    much smaller than its array is judged by the array's size. The noise is what rounding alone makes of the oracle, 8 eps sum |dy y| over
    its step: a gradient that is exactly zero would have no digit to agree in. Raises TypeError for an object without forward and backward, DtypeError for an x
    that is not real or a forward that does not keep float64, ValueError where forward gives something other than finite numbers.
    """
    subject, rows, rng = _Subject(obj, x, labels, training), [], np.random.default_rng(seed)
    y = subject.run()
    dy = rng.standard_normal(y.shape)
    rounding = 8 * np.finfo(np.float64).eps * float(np.abs(dy * y).sum())
    gradients = subject.gradients(dy)
    picks = {}
    for name in gradients:
        size = subject.array(name).size
        picks[name] = np.arange(size) if sample is None or sample >= size else np.sort(rng.choice(size, sample, replace=False))
    for oracle in ("central", "complex") if subject.supports_complex_step else ("central",):
        limit = TOLERANCE[oracle] if tolerance is None else tolerance
        for name, gradient in tqdm(gradients.items(), desc=oracle, unit="array", delay=1, leave=False, disable=not progress):
            derivative = partial(getattr(subject, oracle), name, dy)
            noise = rounding / (STEPS[0] if oracle == "central" else 1)
            rows.append(_compare(_label(name), oracle, limit, gradient, subject.array(name).shape, picks[name], derivative, noise))
    report = Report(textwrap.shorten(repr(obj), 130, placeholder=" ..."), tuple(rows))
    if not quiet:
        print(report)
    return report


def assert_gradients(obj, x, **options):
    """check_gradients for tests: silent where all is well; AssertionError with the table where not."""
    report = check_gradients(obj, x, quiet=True, **options)
    if not report.ok:
        raise AssertionError(f"wrong gradients\n{report}")
    return report


def _label(name):
    layer, dot, key = name.rpartition(".")
    return f"{layer}{dot}d{key}"                             # x -> dx, C1.weight -> C1.dweight


def _compare(array, oracle, tolerance, gradient, shape, picks, derivative, noise):
    size = int(np.prod(shape))
    if gradient is None or np.shape(gradient) != shape:
        note = f"WRONG: expected a gradient of shape {shape}, got {'none' if gradient is None else np.shape(gradient)}"
        return Row(array, oracle, 0, size, np.inf, (), np.nan, np.nan, tolerance, note)
    expected = np.array([derivative(np.unravel_index(pick, shape)) for pick in picks])
    found = np.asarray(gradient).reshape(-1)[picks]
    typical = np.sqrt(np.mean(expected ** 2))
    scale = np.maximum(np.maximum(np.abs(found), np.abs(expected)), typical)
    errors = np.maximum(np.abs(found - expected) - noise, 0) / np.where(scale == 0, 1, scale)
    worst = int(np.argmax(np.where(np.isnan(errors), np.inf, errors)))
    index = tuple(int(i) for i in np.unravel_index(picks[worst], shape))
    return Row(array, oracle, len(picks), size, float(errors[worst]), index, float(found[worst]), float(expected[worst]), tolerance)


class _Subject:
    """The object under test at one point: evaluates forward with one element of x or of a parameter moved.

    Every evaluation is made on a fresh deep copy, so that nothing an evaluation leaves behind reaches the next one.
    """

    def __init__(self, obj, x, labels, training):
        for method in ("forward", "backward"):
            if not callable(getattr(obj, method, None)):
                raise TypeError(f"check_gradients: expected an object with forward(x) and backward(dy), got {obj!r} without {method}")
        needed = [p for p in inspect.signature(obj.forward).parameters.values() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
        if labels is None and len(needed) > 1:
            raise TypeError(f"check_gradients: forward of {obj!r} takes {', '.join(p.name for p in needed)}; for a loss give labels=...")
        x = np.asarray(x)
        if x.dtype.kind not in "fiu":
            raise DtypeError(f"check_gradients: expected real numbers in x, got {x.dtype}")
        self.x, self.labels = x.astype(np.float64), labels
        self.obj = copy.deepcopy(obj)
        if hasattr(self.obj, "astype"):
            self.obj.astype(np.float64)
        self.options = {"training": True} if training else {}
        self.supports_complex_step = bool(getattr(obj, "supports_complex_step", False))
        if self.supports_complex_step:
            self.complex_obj = _in_complex(copy.deepcopy(self.obj))
        y = self.run()
        if y.dtype != np.float64:
            raise DtypeError(f"check_gradients: differences need float64, forward of {obj!r} gives {y.dtype}; keep its parameters in float64")
        if not np.all(np.isfinite(y)):
            raise ValueError(f"check_gradients: forward of {obj!r} gives numbers that are not finite at this x; check at another point")

    def array(self, name):
        """x, or the parameter of that name."""
        return self.x if name == "x" else door.as_numpy(self.obj.params[name])

    def run(self, name=None, index=None, delta=0.0):
        """forward(x) with `delta` added to one element of x or of a parameter."""
        imaginary = isinstance(delta, complex)
        twin, x = copy.deepcopy(self.complex_obj if imaginary else self.obj), self.x.astype(complex if imaginary else float)
        if name == "x":
            x[index] += delta
        elif name is not None:
            moved = door.as_numpy(twin.params[name])
            moved[index] += delta
            door.put(moved, twin.params[name])
        return np.asarray(self._forward(twin, x))

    def _forward(self, obj, x):
        return obj.forward(x, **self.options) if self.labels is None else obj.forward(x, self.labels, **self.options)

    def gradients(self, dy):
        """{"x": dx, and every parameter: its gradient}, from backward; None for a parameter that grads lacks."""
        obj = copy.deepcopy(self.obj)
        self._forward(obj, self.x.copy())
        takes_dy = bool(inspect.signature(obj.backward).parameters)
        dx = obj.backward(dy) if takes_dy else dy * obj.backward()     # a loss has no dy: its y is one number
        grads = getattr(obj, "grads", {})
        return {"x": dx, **{name: door.as_numpy(grads.get(name)) for name in getattr(obj, "params", {})}}

    def central(self, name, dy, index):
        """The slope by central differences of fourth order at steps h and h/2.

        h goes down from the first of STEPS, where rounding disturbs least, until both agree: near a kink, or where forward bends sharply, they do
        not, and the step that agrees best is taken.
        """
        best, spread, size = np.nan, np.inf, max(1.0, abs(self.array(name)[index]))
        for h in (step * size for step in STEPS):
            # outputs are subtracted before they are summed, so that those that did not move cancel exactly
            half, one, two = (np.sum(dy * (self.run(name, index, step) - self.run(name, index, -step))) / (2 * step) for step in (h / 2, h, 2 * h))
            coarse, fine = (4 * one - two) / 3, (4 * half - one) / 3    # Richardson: the error in h^2 cancels
            if abs(fine - coarse) < spread:
                best, spread = float(fine), abs(fine - coarse)
            if spread <= 1e-8 * abs(best):
                break
        return best

    def complex(self, name, dy, index):
        """Im f(x + ih) / h: no difference is taken, so h can be as small as one likes."""
        h = 1e-30
        return float(np.sum(dy * self.run(name, index, 1j * h).imag)) / h


def _in_complex(obj):
    if hasattr(obj, "to"):
        obj.to("reference")
    if hasattr(obj, "astype"):
        return obj.astype(np.complex128)
    for name, value in getattr(obj, "params", {}).items():
        obj.params[name] = value.astype(np.complex128)
    return obj
