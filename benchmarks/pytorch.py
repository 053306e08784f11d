"""The same work in PyTorch, eager and on the CPU, as its user writes it: operations for the way forward,
autograd for the way back.
"""

import numpy as np

from . import machine
from .backends import NotMeasured
from .timing import Contender
from .workloads import IN_PLACE, options, parameters_of


def _rbf_loss(torch, t):
    penalties, labels = t["penalties"], t["labels"]
    right = penalties.gather(1, labels[:, None])[:, 0]
    if t["criterion"] == "mse":
        return right
    return right + torch.cat([-penalties, torch.full_like(penalties[:, :1], -t["j"])], 1).logsumexp(1)


def _dropout(torch, t):
    """2012's leaves out the factor 1 / (1 - rate) in training, and halves in testing; PyTorch's is the other
    one.
    """
    y, factor = torch.nn.functional.dropout(t["x"], t["rate"], t["training"]), t["scale"] * (1 - t["rate"])
    return y if factor == 1 else factor * y


# operation -> its forward; t holds tensors and options by the names that our kernels use. To compare another
# operation: a line here.
FORWARD = {
    "conv2d": lambda torch, t: torch.nn.functional.conv2d(
        t["x"], t["weight"], t["bias"], t["stride"], t["padding"], 1, t["groups"]
    ),
    "table_conv2d": lambda torch, t: torch.nn.functional.conv2d(t["x"], t["weight"] * t["mask"], t["bias"]),
    "subsample2d": lambda torch, t: (
        torch.nn.functional.avg_pool2d(t["x"], t["size"], divisor_override=1) * t["coefficient"] + t["bias"]
    ),
    "dense": lambda torch, t: torch.nn.functional.linear(t["x"], t["weight"], t["bias"]),
    "rbf": lambda torch, t: (
        (t["x"] ** 2).sum(1, keepdim=True) - 2 * t["x"] @ t["centers"].T + (t["centers"] ** 2).sum(1)
    ),
    "scaled_tanh": lambda torch, t: t["amplitude"] * torch.tanh(t["slope"] * t["x"]),
    "relu": lambda torch, t: torch.nn.functional.relu(t["x"]),
    "local_response_norm": lambda torch, t: torch.nn.functional.local_response_norm(
        t["x"], t["size"], t["size"] * t["alpha"], t["beta"], t["k"]
    ),
    "max_pool2d": lambda torch, t: torch.nn.functional.max_pool2d(
        t["x"], t["size"], t["stride"], t["padding"]
    ),
    "dropout": _dropout,
    "rbf_loss": _rbf_loss,
    "softmax_cross_entropy": lambda torch, t: torch.nn.functional.cross_entropy(
        t["scores"], t["labels"], reduction="none"
    ),
}


def load():
    """The module torch. Raises NotMeasured where it is not installed or does not work."""
    try:
        import torch
    except (ImportError, OSError) as error:
        missing = machine.installed("torch") is None
        raise NotMeasured(
            "PyTorch is not installed: pip install 'tinyconv[bench]'"
            if missing
            else f"PyTorch does not load: {error}"
        ) from None
    return torch


def contender(workload, batch, dtype, threads):
    """The workload as a Contender named "torch". Raises NotMeasured where PyTorch, or its counterpart of the
    operation, is missing.
    """
    torch = load()
    if workload.updates:
        return _optimizer(torch, workload, dtype, threads)
    if workload.operation == "dropout":
        raise NotMeasured(
            "PyTorch draws other random numbers, so there is nothing to check its dropout against"
        )
    if workload.operation not in FORWARD:
        raise NotMeasured(f"{workload.operation} has no counterpart in benchmarks/pytorch.py yet")
    forward, t = (
        FORWARD[workload.operation],
        tensors(torch, workload.operation, workload.everything(batch, dtype)),
    )
    source = next(name for name in ("penalties", "scores", "x") if name in workload.inputs)
    wanted = (
        source if workload.direction == "backward_input" else workload.direction.removeprefix("backward_")
    )
    last = [None]

    def forwards(n):
        torch.set_num_threads(threads)
        with torch.no_grad():
            for _ in range(n):
                last[0] = forward(torch, t)

    def backwards(n):
        torch.set_num_threads(threads)
        for _ in range(n):
            (last[0],) = torch.autograd.grad(y, t[wanted], t["dy"], retain_graph=True)

    if workload.direction == "forward":
        return Contender("torch", threads, forwards, lambda: last[0].numpy())
    t[wanted].requires_grad_()
    y = forward(torch, t)
    return Contender("torch", threads, backwards, lambda: as_ours(workload.operation, wanted, last[0], t))


def _optimizer(torch, workload, dtype, threads):
    arrays = workload.arrays(1, dtype)
    t = {
        name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        for name, value in arrays.items()
    }
    if workload.direction == "sum_of_squares":
        result = []

        def add(n):
            torch.set_num_threads(threads)
            result[:] = [t["dweight"].double().square().sum() for _ in range(n)]

        return Contender("torch", 1, add, lambda: result[-1].numpy())
    weight = t["weight"].requires_grad_()
    weight.grad = t["dweight"]
    update = torch.optim.SGD(
        [weight], **{name: arrays[name] for name in ("lr", "momentum", "weight_decay", "nesterov")}
    )
    update.state[weight]["momentum_buffer"] = t["velocity"]

    def step(n):
        torch.set_num_threads(threads)
        for _ in range(n):
            update.step()

    return Contender("torch", 1, step, lambda: arrays[IN_PLACE[workload.direction][0]])


def tensors(torch, operation, given, device="cpu"):
    """Our arguments as PyTorch takes them, on its `device`. It has no table of connections: a full bank of
    filters, masked, stands for it.
    """
    t = {
        name: torch.from_numpy(value) if isinstance(value, np.ndarray) and value.dtype.kind in "fi" else value
        for name, value in given.items()
    }
    if operation == "subsample2d":
        t |= {name: t[name].reshape(-1, 1, 1) for name in ("coefficient", "bias")}
    if operation == "table_conv2d":
        o, c = t["connections"].T
        filters = torch.zeros(
            len(t["bias"]), int(c.max()) + 1, *t["weight"].shape[1:], dtype=t["weight"].dtype
        )
        mask = torch.zeros_like(filters[:, :, :1, :1])
        filters[o, c], mask[o, c] = t["weight"], 1
        t |= {"weight": filters, "mask": mask}
    return {name: value.to(device) if torch.is_tensor(value) else value for name, value in t.items()}


def as_ours(operation, name, gradient, t):
    """A gradient from PyTorch as a NumPy array of our shape."""
    if operation == "table_conv2d" and name == "weight":
        gradient = gradient[tuple(t["connections"].T)]
    return (gradient.reshape(-1) if operation == "subsample2d" and name != "x" else gradient).cpu().numpy()


class Network:
    """A network and loss of tinyconv, with its weights of this moment, written out in PyTorch layer
    by layer.
    """

    def __init__(self, net, loss, dtype, compiled=False, device="cpu"):
        self.torch, self.loss = load(), vars(loss)
        self.loss_forward = FORWARD[loss.operation]
        self.layers, self.params = [], {}
        for name, layer in net.named_layers.items():
            needed = (
                {"rate", "scale", *parameters_of(layer.operation, "forward"), *layer.params}
                if layer.operation
                else ()
            )
            given = {
                key: np.array(value, dtype)
                if isinstance(value, np.ndarray) and value.dtype.kind == "f"
                else value
                for key, value in options(layer).items()
                if key in needed
            }
            t = tensors(self.torch, layer.operation, given, device)
            for key in layer.params:
                self.params[f"{name}.{key}"] = t[key].requires_grad_(), layer.operation, t
            self.layers.append((FORWARD.get(layer.operation), t))
        self.optimizer = None
        if compiled:
            self.forward, self.loss_of = self.torch.compile(self.forward), self.torch.compile(self.loss_of)

    def forward(self, x, training=False):
        for forward, t in self.layers:
            x = (
                forward(self.torch, t | {"x": x, "training": training}) if forward else x.flatten(1)
            )  # what has no kernel is Flatten
        return x

    def loss_of(self, x, labels):
        scores = self.forward(x, True)
        return self.loss_forward(
            self.torch, self.loss | {"penalties": scores, "scores": scores, "labels": labels}
        ).mean()

    def evaluate(self, x, labels):
        """The loss, as a tensor, with all gradients computed."""
        value = self.loss_of(x, labels)
        for tensor, _, _ in self.params.values():
            tensor.grad = None
        value.backward()
        return value

    def train_step(self, x, labels):
        value = self.evaluate(x, labels)
        self.optimizer.step()
        return value.item()

    def grads(self):
        return {
            name: as_ours(operation, name.rpartition(".")[2], tensor.grad, t)
            for name, (tensor, operation, t) in self.params.items()
        }
