"""CPU against GPU: the rows of a session in pairs, and the batch from which the GPU is faster."""

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Pair:
    """The same work on both devices, in turns. cpu, cuda: rows."""

    cpu: dict
    cuda: dict

    @property
    def batch(self):
        return self.cpu["batch"]

    @property
    def times(self):
        """Return the time of the CPU over that of the GPU; below 1, the CPU is faster."""
        return self.cpu["median"] / self.cuda["median"]

    @property
    def copies(self):
        """Seconds that copying between processor and GPU takes; None where no row tells.

        Of an operation they were measured by themselves, and are no part of its median. Of a training step
        they are, together with the Python around the graph: what the step takes longer than the graph alone.
        """
        if self.cuda.get("resident"):
            return max(0.0, self.cuda["median"] - self.cuda["resident"])
        return self.cuda.get("copies")

    @property
    def times_with_copies(self):
        """Return the same ratio, if every array comes from the processor and goes back to it."""
        apart = 0.0 if self.cuda["kind"] == "network" else self.copies or 0.0
        return self.cpu["median"] / (self.cuda["median"] + apart)


@dataclass(frozen=True)
class Comparison:
    """One piece of work, and its pairs, the smallest batch first."""

    title: str
    threads: int
    pairs: list = field(default_factory=list)

    def wins_from(self, with_copies=False):
        """(batch, between): the smallest measured batch from which on the GPU is always faster, None where
        there is none; and where the two are equally fast, between it and the batch before, None where
        nothing was measured there.

        Between two batches, the logarithm of the ratio is taken as a straight line over that of the batch.
        """
        times = [pair.times_with_copies if with_copies else pair.times for pair in self.pairs]
        first = len(times)
        while first and times[first - 1] > 1:
            first -= 1
        if first == len(times):
            return None, None
        batch = self.pairs[first].batch
        if first == 0:
            return batch, None
        below, ratio, above = self.pairs[first - 1].batch, times[first - 1], times[first]
        share = -math.log(ratio) / (math.log(above) - math.log(ratio))
        return batch, below * (batch / below) ** share


def comparisons(rows):
    """Return the Comparisons of a session's rows, in the order in which they came."""
    found = {}
    for row in rows:
        if row["kind"] != "ladder" and "median" in row and row["contender"] in ("cpu", "cuda"):
            # the GPU's rows say 1 thread; the two of a pair come in one comparison, one after the other
            key = row["model"], row["layer"], row["operation"], row["direction"]
            found.setdefault(key, {}).setdefault(row["batch"], {}).setdefault(row["contender"], []).append(
                row
            )
    return [made for key, batches in found.items() for made in _of_threads(key, batches)]


def _of_threads(key, batches):
    """One Comparison for each number of threads that the CPU had."""
    pairs = {}
    for batch in sorted(batches):
        sides = batches[batch]
        for cpu, cuda in zip(sides.get("cpu", ()), sides.get("cuda", ())):
            pairs.setdefault(cpu["threads"], []).append(Pair(cpu, cuda))
    model, layer, operation, direction = key
    title = f"{model} {direction}" if layer == model else f"{model} {layer} {operation} {direction}"
    return [Comparison(title, threads, some) for threads, some in pairs.items()]
