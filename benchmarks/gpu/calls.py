"""One operation on the GPU, ours and PyTorch's: a call, its result to check, its graph to time."""

from contextlib import nullcontext

from ...kernels import load
from ...kernels._cuda import launch
from .. import pytorch
from ..backends import BACKENDS, NotMeasured
from ..workloads import IN_PLACE
from .clock import OnGpu, TorchStream, Wall, how_many
from .graphs import captured


class OurCall:
    """A kernel's function on the arrays of a workload, on the GPU. call() computes; result() is what the last
    call made, as a NumPy array.
    """

    def __init__(self, workload, batch, dtype, precision="float32"):
        form, self.workload, self.precision, self.made = BACKENDS["cuda"], workload, precision, None
        (self.arrays,) = form.parts(workload.arrays(batch, dtype), 1)
        self.function, self.leave = getattr(load(workload.operation, "cuda"), workload.direction), form.leave
        self.arguments = [self.arrays[name] for name in workload.parameters]

    def __call__(self):
        with launch.computing_in(self.precision):
            self.made = self.function(*self.arguments)

    def result(self):
        in_place = IN_PLACE.get(self.workload.direction)
        return self.leave(self.arrays[in_place[0]] if in_place else self.made)

    def contender(self, name="cuda"):
        """It as a Contender: a graph of calls."""
        return captured(name, self)


class TorchCall:
    """The same work in PyTorch on `device`: eager operations for the way forward, autograd for the way back.
    Raises NotMeasured where it has none.
    """

    def __init__(self, workload, batch, dtype, device="cuda"):
        self.torch = torch = pytorch.load()
        if workload.operation == "dropout":
            raise NotMeasured(
                "PyTorch draws other random numbers, so there is nothing to check its dropout against"
            )
        if workload.operation not in pytorch.FORWARD or workload.updates:
            raise NotMeasured(f"{workload.operation} has no counterpart here")
        self.workload, self.made = workload, None
        self.stream = (
            torch.cuda.Stream() if device == "cuda" else None
        )  # graphs are captured in a stream of their own
        t = pytorch.tensors(torch, workload.operation, workload.everything(batch, dtype), device)
        forward = pytorch.FORWARD[workload.operation]
        if workload.direction == "forward":
            self.wanted, self.t, self.compute = None, t, lambda: forward(torch, t)
            return
        source = next(name for name in ("penalties", "scores", "x") if name in workload.inputs)
        self.wanted, self.t = (
            source
            if workload.direction == "backward_input"
            else workload.direction.removeprefix("backward_"),
            t,
        )
        t[self.wanted].requires_grad_()
        with self._in_stream():
            y = forward(torch, t)  # autograd goes back in the stream in which it came
        self.compute = lambda: torch.autograd.grad(y, t[self.wanted], t["dy"], retain_graph=True)[0]

    def _in_stream(self):
        if self.stream is None:
            return nullcontext()
        self.stream.wait_stream(self.torch.cuda.default_stream())
        return self.torch.cuda.stream(self.stream)

    def __call__(self):
        with self._in_stream(), self.torch.set_grad_enabled(self.wanted is not None):
            self.made = self.compute()

    def result(self):
        if self.stream is not None:
            self.torch.cuda.synchronize()
        return (
            self.made.cpu().numpy()
            if self.wanted is None
            else pytorch.as_ours(self.workload.operation, self.wanted, self.made, self.t)
        )

    def contender(self, name="torch"):
        if self.stream is None:
            return OnGpu(name, self, Wall())
        time_of = TorchStream(self.torch, self.stream)
        self()
        together = how_many(self, time_of)
        try:
            graph = self.torch.cuda.CUDAGraph()
            with (
                self.torch.set_grad_enabled(self.wanted is not None),
                self.torch.cuda.graph(graph, stream=self.stream),
            ):
                for _ in range(together):
                    self.made = self.compute()
        except Exception:
            self.torch.cuda.synchronize()
            return OnGpu(name, self, time_of)

        def launch():
            with self.torch.cuda.stream(self.stream):
                graph.replay()

        return OnGpu(name, launch, time_of, together, "graph")
