"""check_gradients: the gradients that backward gives, compared with the slopes of forward."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
from tqdm import tqdm

from ..apart import SECONDS
from ..network import named_leaves, observe
from . import diagnosis, habits, remote, shapes
from .comparison import Comparison
from .oracles import Oracle
from .report import Report
from .subjects import subject as as_subject

ELEMENTS = 2000  # up to so many in all arrays, each is compared; of more, a sample
SAMPLE = 200  # of so many, spread over the arrays


def check_gradients(
    obj: Any,
    x: Any = None,
    *,
    labels: Any = None,
    training: bool = False,
    sample: int | None = None,
    seed: int = 0,
    tolerance: float | None = None,
    quiet: bool = False,
    progress: bool = False,
    dtype: str = "float64",
    diagnose: bool = True,
) -> Report:
    """Compare every gradient that backward gives with the slope of forward; print the table and what is
    wrong; give the Report.

    obj        a layer, network or loss, a pair of functions (forward, backward), or a class in the style of
               torch: subjects.py says how each is called. It is copied, so the object itself stays as it is,
               and a random mask is the same at every call. Parameters are converted to float64; a forward of
               your own must keep that dtype.
    x          array (N, ...): the point at which to check; for functions, the tuple of all arguments of
               forward. None: awkward ones are looked for (odd sizes, a batch of 1, one channel), as many as
               obj takes: its output_shape, or its forward, tells.
    labels     (N,) int, for a loss              training   whether forward is called with training=True
    sample     how many elements of each array to check, drawn at random from `seed` as dy is. None: every one
               where there are no more than 2,000 in all, else 200 spread over the arrays. Where not all are
               checked, the slope along a random direction through all of them is as well.
    tolerance  relative error that is allowed beyond what the oracle is unsure of, which is all that is
               allowed where this is None
    quiet      whether nothing is printed        progress   whether a bar shows how many arrays are done
    dtype      "float32": in addition the passes in float32 against the reference in float64, which the oracle
               has judged, in units of sqrt(K) eps
    diagnose   whether the mistake behind a wrong gradient is looked for

    dy is random: one of ones would let a flipped, transposed or ignored dy pass. What is compared is sum dy *
    slope; the relative error is |backward - expected| / max(|backward|, |expected|, r), r the root mean
    square of `expected`. An element on a kink (relu at 0, two equal maxima) has no derivative: it is skipped
    and counted.

    The object's code runs in this process: what it does to the process (an exit, a crash, other functions in
    place of ours) is done to the caller. check_file guards against that.

    Raises TypeError for what has no forward and backward, DtypeError for an x that is not real
    or a forward that does not keep float64, ValueError where forward gives something other than finite
    numbers, or no x is found.
    """
    points = [(x, labels)] if x is not None else shapes.find(obj, labels, training, seed)

    def check(point):
        report = _check(as_subject(obj, *point, training), sample, seed, tolerance, progress, diagnose)
        if np.dtype(dtype) != np.float64:
            rows = habits.against_reference(as_subject(obj, *point, training, dtype), seed)
            report = replace(report, rows=report.rows + rows)
        return report

    report = _of_all(points, check)
    if not quiet:
        print(report)
    return report


def check_file(
    address: str,
    x: Any = None,
    *,
    labels: Any = None,
    training: bool = False,
    sample: int | None = None,
    seed: int = 0,
    tolerance: float | None = None,
    progress: bool = False,
    diagnose: bool = True,
    seconds: float = SECONDS,
    advice: str = "check_file(address, x)",
) -> Report:
    """Return check_gradients of the object that "FILE.py:EXPRESSION" names, its code in a process of its own.

    Whatever the file does (it ends the process, crashes, never ends, changes functions of ours), what comes
    back is a Report or an error: no code of the file runs in this process.

    seconds  that one pass may take        advice  how an x is given, for the sentence that none was found
    Raises DataError where the file cannot be loaded, or ends its process, or takes too long; TypeError and
    ValueError as check_gradients does.
    """
    with remote.in_a_process(address, seconds) as process:
        points = [(x, labels)] if x is not None else process.call("points", labels, training, seed, advice)
        return _of_all(
            points,
            lambda point: _check(
                remote.RemoteSubject(process, *point, training), sample, seed, tolerance, progress, diagnose
            ),
        )


def _of_all(points, check):
    """One Report of the points: the first that is wrong, or all of them together."""
    reports = []
    for point in points:
        reports.append(check(point))
        if reports[-1].verdict == "wrong":
            return reports[-1]
    return reports[0] if len(reports) == 1 else _merged(reports)


def assert_gradients(obj: Any, x: Any = None, **options: Any) -> None:
    """check_gradients for tests: silent where all is well; AssertionError with the table and the diagnosis
    where not.
    """
    report = check_gradients(obj, x, quiet=True, **options)
    if not report.ok:
        raise AssertionError(
            f"wrong gradients\n{report}"
            if report.verdict == "wrong"
            else f"gradients that prove nothing\n{report}"
        )
    return report


def _merged(reports):
    refusals = {(found.array, found.name): found for report in reports for found in report.refusals}
    # at one point a gradient may well be zero; where another point moves it, nothing is left to refuse
    moved = {
        row.array
        for report in reports
        for row in report.rows
        if not any(found.array == row.array for found in report.refusals)
    }
    kept = tuple(
        found
        for (array, name), found in refusals.items()
        if name not in habits.OF_THE_POINT or array not in moved
    )
    constant = dict.fromkeys(name for report in reports for name in report.constant)
    rows = tuple(row for report in reports for row in report.rows)
    return Report(reports[0].subject, rows, kept, constant=tuple(constant))


def _check(subject, sample, seed, tolerance, progress, diagnose):
    rng = np.random.default_rng(seed)
    dy = rng.standard_normal(subject.y.shape)
    found = subject.backward(dy)
    refusals = habits.refusals(subject, dy, found)
    oracle, comparisons = Oracle(subject, rng), {}
    if sample is None:
        total = sum(value.size for value in subject.values.values())
        sample = ELEMENTS if total <= ELEMENTS else max(5, SAMPLE // len(subject.values))
    for name in tqdm(
        subject.values, desc="gradients", unit="array", delay=1, leave=False, disable=not progress
    ):
        comparisons[name] = Comparison(oracle, name, dy, found[name], sample, tolerance)
        refusals += comparisons[name].refusals
    rows = tuple(each.row for each in comparisons.values())
    if getattr(subject.obj, "device", None) == "cuda":
        rows += habits.against_reference(subject, seed)[:1]
    report = Report(subject.title, rows, tuple(refusals), constant=tuple(subject.constant))
    if not diagnose or report.verdict != "wrong":
        return report
    return replace(
        report, diagnoses=_layer_at_fault(subject) or diagnosis.diagnose(oracle, dy, found, comparisons)
    )


def _layer_at_fault(subject):
    """Return the diagnoses of the last layer of a network that is wrong when it is checked alone.

    It is checked at the x that reaches it. Empty where every layer is right alone, or the subject is no
    network.
    """
    if subject.dtype != np.float64 or not getattr(subject.obj, "named_layers", None):
        return ()
    net, training = copy.deepcopy(subject.obj).astype(np.float64), bool(subject.call_options)
    seen = observe(net, subject.values["x"], training)
    for name, layer in reversed(named_leaves(net).items()):
        if "x" not in seen[name]:
            continue
        report = check_gradients(
            copy.deepcopy(layer), seen[name]["x"], training=training, sample=50, quiet=True
        )
        if report.verdict == "wrong":
            return tuple(
                diagnosis.Diagnosis(
                    f"{name}.{found.array}",
                    found.name,
                    f"in layer {name}, {layer!r}: {found.sentence}",
                    found.where,
                )
                for found in report.diagnoses
            )
    return ()
