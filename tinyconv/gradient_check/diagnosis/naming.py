"""Name the mistake that explains a wrong gradient: a hypothesis of the table that predicts every element."""

from dataclasses import dataclass

import numpy as np

from .evidence import Evidence
from .hypotheses import HYPOTHESES

AXES = {
    4: ("image", "channel", "row", "column"),
    3: ("image", "channel", "position"),
    2: ("image", "feature"),
}


@dataclass(frozen=True)
class Diagnosis:
    """The mistake in one array of gradients."""

    # "dx", or the name of a parameter with a d before it
    array: str
    # the name of the hypothesis (hypotheses.py) that explains every element; "" where none does
    name: str
    sentence: str
    # the elements that are wrong, in words
    where: str


def diagnose(oracle, dy, found, comparisons):
    """Return a Diagnosis for each wrong array.

    found        {name: the gradient of this array that backward gave, or None}
    comparisons  {name: Comparison} of the checker, in which `wrong` says which elements are
    """
    wrong = [name for name, comparison in comparisons.items() if not comparison.row.ok]
    others = {
        name: comparison.expected.reshape(comparison.shape)
        for name, comparison in comparisons.items()
        if comparison.shapes_fit and len(comparison.picks) == comparison.size
    }
    return tuple(_diagnosis(oracle, name, dy, found[name], comparisons[name], others) for name in wrong)


def _diagnosis(oracle, name, dy, found, comparison, others):
    where = _where(comparison, oracle.subject) if comparison.shapes_fit else ""
    if found is None:
        return Diagnosis(comparison.row.array, "missing", f"backward gives no gradient of {name}.", "")
    if not np.all(np.isfinite(found)):
        return Diagnosis(
            comparison.row.array,
            "not finite",
            "the gradient has NaN or infinite elements: a division by 0, a log or root of a number "
            "that is not positive, or memory that nobody wrote.",
            where,
        )
    evidence = Evidence(oracle, name, dy, found, comparison, others)
    for hypothesis in HYPOTHESES:
        for claim in hypothesis.claims(evidence):
            if evidence.explained_by(claim):
                sentence = hypothesis.sentence.format(
                    array=comparison.row.array, name=name, detail=claim.detail
                )
                return Diagnosis(comparison.row.array, hypothesis.name, sentence, where)
    unknown = (
        "no known mistake explains it; compare the two values above by hand, on a smaller x."
        if evidence.fits
        else "the shape is wrong, and no known mistake explains the numbers."
    )
    return Diagnosis(comparison.row.array, "", unknown, where)


def _where(comparison, subject):
    """Which elements are wrong, and the rows, channels, images ... that they all lie in."""
    wrong, checked = comparison.picks[comparison.wrong], len(comparison.picks)
    if not comparison.shape:
        return "wrong: its only element"
    indices = np.unravel_index(wrong, comparison.shape)
    names = (
        AXES.get(len(comparison.shape), ())
        if comparison.name == "x"
        else tuple(f"axis {axis}, index" for axis in range(len(comparison.shape)))
    )
    if comparison.name != "x" and len(comparison.shape) == 4:
        names = ("filter", "channel", "row", "column")
    places = [
        text
        for axis, name in enumerate(names)
        if (text := _cluster(np.unique(indices[axis]), comparison.shape[axis], name))
    ]
    if not places and len(comparison.shape) == 4 and len(wrong) < checked:
        (rows, columns), (H, W) = indices[2:], comparison.shape[2:]
        places = ["on the border"] * bool(
            np.all((rows == 0) | (rows == H - 1) | (columns == 0) | (columns == W - 1))
        )
    number = "every one" if len(wrong) == checked else f"{len(wrong)}"
    return f"wrong: {number} of {checked} elements" + (f", all {' and '.join(places)}" if places else "")


def _cluster(used, size, name):
    """ "in row 3 (the last)" where the indices used are a small part of an axis."""
    if len(used) == size or len(used) > max(1, size // 2) or size == 1:
        return ""
    if len(used) == 1:
        place = {0: " (the first)", size - 1: " (the last)"}.get(int(used[0]), "")
        return f"in {name} {used[0]}{place}"
    return (
        f"in {name}s {used[0]} to {used[-1]}"
        if used[-1] - used[0] == len(used) - 1
        else f"in {name}s {', '.join(map(str, used[:6]))}"
    )
