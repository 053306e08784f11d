"""What a check of gradients says: one row an array, and sentences where something is wrong."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What an oracle says of one array of gradients."""

    array: str  # "dx", or the name of a parameter with a d before it
    oracle: str  # "complex", "linear", "central" or "reference" (oracles.py)
    checked: int  # elements compared one by one, of `size`
    size: int
    error: (
        float  # the relative error of the element that is farthest outside of its tolerance, or nearest to it
    )
    index: tuple  # where it is
    backward: float  # what backward says there
    expected: float  # what the oracle says there
    tolerance: float  # to how many digits the oracle knows it
    note: str = ""  # what is wrong, where it is not a number
    skipped: int = 0  # elements on a kink, of those checked: there is no derivative to compare with
    x_shape: tuple = ()  # of the point of the check

    @property
    def ok(self):
        """True where the error is within the tolerance."""
        return self.error <= self.tolerance  # a NaN is not

    @property
    def verdict(self):
        """ "ok", "WRONG" with the tolerance, or a note."""
        kinks = f", kink, {self.skipped} of {self.checked} skipped" if self.skipped else ""
        return self.note or ("ok" if self.ok else f"WRONG, above {self.tolerance:.0e}") + kinks


@dataclass(frozen=True)
class Refusal:
    """Why a comparison, though it may agree, proves nothing."""

    array: str  # "dx", "y" ...
    name: str  # short and fixed: "zero", "input changed", "not deterministic", "too many kinks", "no digits"
    sentence: str


@dataclass(frozen=True)
class Report:
    """The result of one check; str(report) is the table with its sentences."""

    subject: str
    rows: tuple
    refusals: tuple = ()
    diagnoses: tuple = ()
    # of the object, what forward depends on and no gradient is taken of: "eps = 1e-05", "state['codes']"
    constant: tuple = ()

    @property
    def verdict(self):
        """ "wrong": some gradient is; "refused": none is seen to be, but the comparison proves too little;
        else "ok".
        """
        return (
            "wrong"
            if not all(row.ok for row in self.rows)
            else "refused"
            if self.refusals or not self.rows
            else "ok"
        )

    @property
    def ok(self):
        """True where no gradient is wrong, and the comparison proves enough."""
        return self.verdict == "ok"

    def largest_error(self, oracle):
        """The largest relative error by `oracle` over all arrays; 0 where it was not asked."""
        return max((row.error for row in self.rows if row.oracle == oracle), default=0.0)

    def __str__(self):
        table = [("array", "oracle", "checked", "error", "at", "backward", "expected", "")]
        for row in self.rows:
            table.append(
                (
                    row.array,
                    row.oracle,
                    f"{row.checked} of {row.size}",
                    f"{row.error:.1e}",
                    str(list(row.index)),
                    f"{row.backward:.10g}",
                    f"{row.expected:.10g}",
                    row.verdict,
                )
            )
        if len({row.x_shape for row in self.rows}) > 1:
            table = [
                ("x" if place == 0 else "x".join(map(str, self.rows[place - 1].x_shape)), *line)
                for place, line in enumerate(table)
            ]
        widths = [max(map(len, column)) for column in zip(*table)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in table]
        lines += [
            f"{found.array}: {text}"
            for found in self.diagnoses
            for text in (found.where, found.sentence)
            if text
        ]
        lines += [f"taken as constant: {', '.join(self.constant)}"] * bool(self.constant)
        lines += [f"REFUSED, {found.array}: {found.sentence}" for found in self.refusals]
        return "\n".join([self.subject, *("  " + line for line in lines)])
