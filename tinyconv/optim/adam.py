"""Adam: steps of the size of the rate, whatever the size of the gradient."""

from typing import Any

from .compiled import CompiledOptimizer
from .schedules import Rate
from .settings import Setting, at_least, truth

# the smallest normal float32: a smaller eps would be 0 there
SMALLEST = 1.2e-38


class Adam(CompiledOptimizer):
    """Adam: a running mean of the gradient, divided by the root of the running mean of its square.

    In step t = 1, 2, ..., with g = scale dweight:

        mean   = beta1 mean + (1 - beta1) g
        square = beta2 square + (1 - beta2) g^2
        weight = weight - lr (mean / (1 - beta1^t)) / (sqrt(square / (1 - beta2^t)) + eps)

    net            anything with params and grads; both are read at every step
    lr             the rate, or a function step -> rate: constant, stepped, lowered_at, plateau or cosine
    beta1, beta2   the shares of the old mean, and of the old square, that a step keeps: from 0 to below 1
    eps            keeps the division from one by 0
    weight_decay   every step makes a weight smaller by the share lr weight_decay
    decoupled      True (AdamW): the decay stands apart from the gradient, and acts on all weights alike. This
                   is the default because it does what weight_decay says. False: the decay is added to the
                   gradient, as in SGD, and then divided by the root too: weights with large gradients hardly
                   decay
    clip           the largest allowed norm of the gradient, over all parameters together; None: not limited
    slots          "mean" and "square", each {name: array like the parameter}

    A setting takes effect at the next step. t is steps + 1, so that a resumed run has the same bits. Raises
    ValueError for a setting out of range; ValueError or DtypeError for a parameter that cannot be updated in
    its memory.
    Source: the contract page of kernels/adam; Kingma, Ba 2015; Loshchilov, Hutter 2019.
    """

    operation = "adam"
    slot_names = ("mean", "square")
    beta1: Setting[float] = Setting("of 0 or more and below 1", at_least(0, below=1))
    beta2: Setting[float] = Setting("of 0 or more and below 1", at_least(0, below=1))
    eps: Setting[float] = Setting(f"of {SMALLEST} (the smallest float32) or more", at_least(SMALLEST))
    decoupled: Setting[bool] = Setting("True or False", truth)

    def __init__(
        self,
        net: Any,
        lr: float | Rate = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled: bool = True,
        clip: float | None = None,
    ):
        super().__init__(net, lr, weight_decay, clip)
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps
        self.decoupled = decoupled

    def arguments(self) -> tuple:
        """Return (lr, beta1, beta2, eps, weight_decay, decoupled, step) of the step to come."""
        return self.lr, self.beta1, self.beta2, self.eps, self.weight_decay, self.decoupled, self.steps + 1
