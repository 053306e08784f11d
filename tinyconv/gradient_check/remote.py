"""An object in a file of a user's own as a Subject, with the object in a process of its own (apart.py).

The passes of the file run there. What is compared with what, and what is said of it, is decided here.
"""

from types import SimpleNamespace

import numpy as np

from ..apart import Apart
from . import shapes
from .objects import Subject
from .report import Refusal
from .subjects import from_file, subject


class Served:
    """In the process apart: loads the file and computes with its object."""

    def __init__(self, address):
        self.obj = from_file(address)

    def points(self, labels, training, seed, advice):
        """Return the points to check at, [(x, labels)]."""
        return shapes.find(self.obj, labels, training, seed, advice)

    def take(self, x, labels, training):
        """Make the Subject at a point; return what it knows of itself."""
        self.subject = made = subject(self.obj, x, labels, training)
        return {
            "title": made.title,
            "values": made.values,
            "y": made.y,
            "fixed": made.fixed,
            "earlier": made.earlier,
            "constant": list(made.constant),
            "refusals": [[found.array, found.name, found.sentence] for found in made.refusals],
            "takes_dy": bool(getattr(made, "takes_dy", True)),
            "attributes": _plain(vars(made.obj) if hasattr(made.obj, "__dict__") else {}),
        }

    def forward(self, values, options):
        """Return y."""
        return self.subject.forward(values, **options)

    def run(self, dy):
        """Return (gradients, x, dy, parameters) after one forward and backward."""
        gradients, x, dy_after, owner = self.subject.run(dy)
        plain = {name: None if value is None else np.asarray(value) for name, value in gradients.items()}
        params = {name: np.asarray(value) for name, value in self.subject.params_of(owner).items()}
        return plain, x, dy_after, params


def _plain(attributes):
    """The numbers and arrays among the attributes of an object: what a diagnosis asks for."""
    return {
        name: value
        for name, value in attributes.items()
        if isinstance(value, (bool, int, float, str))
        or isinstance(value, (np.ndarray, np.generic))
        and np.asarray(value).dtype.kind in "biufc"
    }


class RemoteSubject(Subject):
    """The Subject of an object apart; see objects.py."""

    dtype, call_options = np.dtype(np.float64), {}

    def __init__(self, process, x, labels, training):
        self.process, self.labels = process, labels
        known = process.call("take", x, labels, training)
        self.title, self.values, self.y = known["title"], known["values"], known["y"]
        self.fixed, self.earlier, self.constant = known["fixed"], known["earlier"], known["constant"]
        self.refusals = [Refusal(*found) for found in known["refusals"]]
        self.takes_dy, self.obj = known["takes_dy"], SimpleNamespace(**known["attributes"])

    def forward(self, values={}, **options):
        """Return y with some arrays, or attributes of the object, replaced."""
        return self.process.call("forward", values, options)

    def run(self, dy):
        """Return (gradients, x, dy, parameters) after one forward and backward."""
        return self.process.call("run", dy)

    def backward(self, dy):
        """Return {name: gradient}."""
        return self.run(dy)[0]

    def params_of(self, params):
        """Return {name: array} of what run() gave."""
        return params


def in_a_process(address, seconds):
    """A context: the process that serves the object of `address` (from_file)."""
    return Apart(Served, address, subject=address, seconds=seconds)
