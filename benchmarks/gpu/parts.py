"""The parts of a run: what is measured in which order, and the seconds that each part may take.

No part takes the seconds of another: it ends when its own are over. What a part leaves, the next part has.
"""

from dataclasses import dataclass

from ...errors import TinyconvError
from .sizes import SIZES

CHECKS = 75  # seconds in which all checks have to be done, of all parts together, before anything is timed
# seconds of the timed rows of a part; parts of another model take DEFAULT
SECONDS = {
    "ceilings": 12,
    "alexnet-operations": 50,
    "lenet5-operations": 25,
    "lenet5-steps": 20,
    "alexnet-steps": 40,
    "predictions": 12,
    "compile": 27,
    "crossing": 8,
    "mnist": 15,
    "cifar10": 15,
}
DEFAULT = 30
ALIASES = {"lenet-operations": "lenet5-operations", "lenet-steps": "lenet5-steps"}


@dataclass(frozen=True)
class Part:
    """One part of a run.

    name      as --only takes it: "alexnet-operations"
    measure   the name of what measures it in worker.MEASURES: "operations"
    section   of its timed rows: "operations"
    model     that it is about; "" where it is about several
    seconds   that its timed rows may take
    """

    name: str
    measure: str
    section: str
    model: str = ""
    seconds: float = DEFAULT


def parts(sizes):
    """Return all parts of a run in such Sizes, in the order in which they are timed."""

    def part(name, measure, section, model=""):
        return Part(name, measure, section, model, SECONDS.get(name, DEFAULT))

    # the larger model comes first: its rows are what most is asked of
    batches, steps = reversed(sizes.batches), reversed(sizes.steps)
    return [
        part("environment", "environment", "environment"),
        part("kernels", "kernels", "checks"),
        part("ceilings", "ceilings", "ceilings"),
        *(part(f"{model}-operations", "operations", "operations", model) for model in batches),
        *(part(f"{model}-steps", "steps", "networks", model) for model in steps),
        part("predictions", "predictions", "networks"),
        part("mnist", "mnist", "training", "lenet5"),
        part("compile", "compile", "networks"),
        part("crossing", "crossing", "networks"),
        part("cifar10", "cifar10", "training", "alexnet"),
    ]


def names(sizes=SIZES["full"]):
    """Return {name that --only takes: names of the parts that it stands for}."""
    every = [part for part in parts(sizes) if part.name != "environment"]
    found = {part.name: [part.name] for part in every}
    for group in ("operations", "steps"):
        found[group] = [part.name for part in every if part.measure == group]
    found["training"] = [part.name for part in every if part.section == "training"]
    return found


def chosen(text, sizes):
    """Return the parts that `text`, a list with commas, names: all for None. The machine always comes first,
    and operations need ceilings. Raises TinyconvError for an unknown name.
    """
    known = names(sizes)
    wanted = [ALIASES.get(name, name) for name in text.split(",")] if text else list(known)
    if unknown := [name for name in wanted if name not in known]:
        raise TinyconvError(f"--only: expected some of {', '.join(known)}, got {', '.join(sorted(unknown))}")
    found = {"environment"} | {part for name in wanted for part in known[name]}
    if any(part.measure == "operations" and part.name in found for part in parts(sizes)):
        found.add("ceilings")
    return [part for part in parts(sizes) if part.name in found]
