"""Training steps, ours and PyTorch's in turns: eager, and as a CUDA graph of its own, its strongest form.

Each contender is timed from two kinds of memory. "From NumPy arrays": the batch lies in plain NumPy arrays,
and each step copies it to the GPU. "Resident": the batch lies on the GPU already. A sample holds several
steps, so that the copy of a batch may overlap with the step before it.
"""

import gc
from dataclasses import dataclass

from ...optimizers import SGD, Adam
from ..backends import NotMeasured
from ..networks import Ours, Torch
from ..timing import Contender, Pace, interleaved, summary
from ..workloads import RECIPES
from .ceilings import precision as computing_in
from .step_checks import checks  # noqa: F401
from .tasks import task_of

# speed does not depend on it, and the numbers stay finite however often a step is repeated
RATE = {"lr": 1e-6}
CLIP = 1.0
# Of the length of a gradient of PyTorch's, between two of its own algorithms: where two inputs of a maximum
# are nearer to each other than the rounding, either wins. So this only finds what is grossly wrong.
DISAGREE = {"float32": 0.05, "tf32": 0.5}
WARM = 3  # steps before a graph is captured: cuDNN tries its algorithms meanwhile


@dataclass(frozen=True)
class Rule:
    """The update of a step: "SGD" or "Adam", with its gradient clipped to the norm CLIP or not."""

    optimizer: str
    clipped: bool = False

    @property
    def name(self):
        return self.optimizer + (", clipped" if self.clipped else "")

    def ours(self, net, model):
        """Return our optimizer of the parameters of `net`."""
        clip = CLIP if self.clipped else None
        if self.optimizer == "Adam":
            return Adam(net, **RATE, clip=clip)
        return SGD(net, **(RECIPES[model] | RATE), clip=clip)

    def theirs(self, torch, tensors, model, captured):
        """Return PyTorch's optimizer of the same parameters; captured: for a CUDA graph."""
        if self.optimizer == "Adam":
            fused = tensors[0].device.type == "cuda"
            return torch.optim.Adam(tensors, **RATE, fused=fused, capturable=captured)
        return torch.optim.SGD(tensors, **(RECIPES[model] | RATE))

    def clip(self, torch, tensors):
        if self.clipped:
            torch.nn.utils.clip_grad_norm_(tensors, CLIP)


PLAIN = Rule("SGD")


class OurSteps:
    """Training steps of ours from NumPy arrays, as Trainer makes them: each is submitted before the loss of
    the last one is asked for.
    """

    def __init__(self, model, batch, device="cuda", precision="float32", rule=PLAIN):
        self.one = one = Ours(device, task_of(model, batch), precision=precision)
        one.optimizer = rule.ours(one.net, model)

    def __call__(self, n):
        self.one.repeat(n)

    def resident(self):
        """The captured step by itself, on the batch that lies on the GPU, as a Contender."""
        return self.one.resident()


class TorchSteps:
    """The same in PyTorch, eager or compiled. The loss of a step is never asked for.

    resident(n), from_arrays(n)   make n steps
    """

    captured = False

    def __init__(self, model, batch, device, rule=PLAIN, variant="torch"):
        self.one = one = Torch(variant, task_of(model, batch), device=device)
        self.torch, self.device, self.rule = one.torch, device, rule
        self.tensors = [tensor for tensor, _, _ in one.net.params.values()]
        self.optimizer = rule.theirs(one.torch, self.tensors, model, self.captured)
        self.here = [one.torch.from_numpy(array) for array in (one.x, one.labels)]
        self.there = [tensor.to(device) for tensor in self.here]

    def resident(self, n):
        for _ in range(n):
            self.step(self.there)
        self.wait()

    def from_arrays(self, n):
        for _ in range(n):
            self.step([tensor.to(self.device, non_blocking=True) for tensor in self.here])
        self.wait()

    def step(self, batch):
        self.one.net.evaluate(*batch)
        self.rule.clip(self.torch, self.tensors)
        self.optimizer.step()

    def wait(self):
        if self.device == "cuda":
            self.torch.cuda.synchronize()


class TorchGraph(TorchSteps):
    """PyTorch's step, update included, captured once as a torch.cuda.CUDAGraph that reads one fixed batch."""

    captured = True

    def __init__(self, model, batch, device, rule=PLAIN):
        if device != "cuda":
            raise NotMeasured("PyTorch captures on a GPU only")
        super().__init__(model, batch, device, rule)
        self.graph = captured(self.torch, lambda: self.step(self.there))

    def resident(self, n):
        for _ in range(n):
            self.graph.replay()
        self.wait()

    def from_arrays(self, n):
        for _ in range(n):
            for here, there in zip(self.here, self.there):
                there.copy_(here, non_blocking=True)
            self.graph.replay()
        self.wait()


def captured(torch, call):
    """Return the torch.cuda.CUDAGraph of one `call`, as PyTorch's manual says: some calls before it, on a
    stream of their own.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    gc.collect()
    gc.disable()  # memory on the GPU that is given back meanwhile would end the capture
    try:
        with torch.cuda.graph(graph):
            call()
    finally:
        gc.enable()
    return graph


def timed(run, part):
    """Yield (title, function that returns a row): see worker.py."""
    model, sizes = part.model, run.sizes
    for batch in sizes.steps[model]:
        for precision in sizes.precisions(model):
            yield _title(model, batch, precision, PLAIN), _task(run, model, batch, precision, PLAIN)
    batch = sizes.steps[model][0]
    for rule in (Rule("SGD", clipped=True), Rule("Adam")):
        yield _title(model, batch, "float32", rule), _task(run, model, batch, "float32", rule)


def _title(model, batch, precision, rule):
    return f"{model} training step, batch {batch}, {precision}" + (f", {rule.name}" if rule != PLAIN else "")


def _task(run, model, batch, precision, rule):
    return lambda: _step(run, model, batch, precision, rule)


def _step(run, model, batch, precision, rule):
    """Return one row: ours and PyTorch's in turns, from NumPy arrays and resident."""
    check = f"{model} training step, batch {batch}, {precision}"
    row = described(model, batch, precision, "training step") | {"rule": rule.name} | run.checked(check)
    ours = OurSteps(model, batch, precision=precision, rule=rule)
    contenders = {"": Contender("", 1, ours, None), "resident": ours.resident()}
    try:
        torch = run.torch()
        eager = TorchSteps(model, batch, run.torch_device, rule)
        if why := disagreement(eager, precision):
            row["torch_wrong"] = why
        with computing_in(torch, precision == "tf32", careful="torch_wrong" in row):
            eager.resident(WARM)
            contenders |= both("torch", eager)
            try:
                contenders |= both("graph", TorchGraph(model, batch, run.torch_device, rule))
            except Exception as error:  # whatever PyTorch or the driver says: the other rows stay
                row["graph"] = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
            row |= medians(run, contenders)
    except NotMeasured as error:
        row |= {"torch": str(error)} | medians(run, contenders)
    eager = contenders = ours = None
    gc.collect()
    run.empty_caches()
    return row | ratios(row)


def disagreement(eager, precision):
    """Return "" or a sentence: PyTorch's gradients by the algorithms that cuDNN finds fastest are far from
    those by the algorithms that it calls deterministic.
    """
    torch, found = eager.torch, []
    for careful in (True, False):
        with computing_in(torch, precision == "tf32", careful):
            torch.manual_seed(0)  # the same dropout
            eager.one.net.evaluate(*eager.there)
            found.append([tensor.grad.clone() for tensor in eager.tensors])
    shares = [float((b - a).norm() / a.norm().clamp(min=1e-30)) for a, b in zip(*found)]
    worst = max(range(len(shares)), key=lambda place: shares[place])
    if shares[worst] <= DISAGREE[precision]:
        return ""
    return f"{list(eager.one.net.params)[worst]}: {100 * shares[worst]:.2g} % off as a whole"


def both(name, steps):
    """Return TorchSteps as two Contenders, from NumPy arrays and resident."""
    return {
        name: Contender(name, 1, steps.from_arrays, None),
        f"{name}_resident": Contender(f"{name}_resident", 1, steps.resident, None),
    }


def described(model, batch, precision, work):
    """Return what tells a row of a whole network from others, with its useful operations."""
    task = task_of(model, batch, work)
    return {
        "model": model,
        "batch": batch,
        "precision": precision,
        "work": work,
        "flop": 2 * task.multiply_adds(task.network()[0]) * batch,
    }


def medians(run, contenders):
    """Return {"median", "spread", "samples"} of the contender "", and those of the others behind their
    names.
    """
    row, pace = {}, Pace(run.sizes.sample, run.sizes.turns, run.sizes.sample / 10, run.sizes.together)
    for name, one in contenders.items():
        one.name = name
    for name, samples in interleaved(list(contenders.values()), 4 * run.sizes.seconds, pace).items():
        before = f"{name}_" if name else ""
        row[f"{before}median"], row[f"{before}spread"] = summary(samples)
        row[f"{before}samples"] = samples
    return row


def ratios(row):
    """Return how many times faster we are than each peer, from NumPy arrays and resident."""
    found = {}
    for peer in ("torch", "graph"):
        for kind in ("", "resident_"):
            if f"{peer}_{kind}median" in row and f"{kind}median" in row:
                name = f"times_{peer}{'_resident' if kind else ''}"
                found[name] = row[f"{peer}_{kind}median"] / row[f"{kind}median"]
    return found
