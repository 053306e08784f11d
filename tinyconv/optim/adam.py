"""Adam: steps of the size of the rate, whatever the size of the gradient."""
from typing import Any

from .base import Optimizer
from .schedules import Rate
from .settings import Setting, at_least, truth

SMALLEST = 1.2e-38              # the smallest normal float32: a smaller eps would be 0 there


class Adam(Optimizer):
    """Adam: weight -= lr mean / (sqrt(square) + eps), with running means of the gradient and of its square, both corrected for their start at 0.

    net            anything with params and grads; both are read at every step
    lr             the rate, or a function step -> rate: constant(...), stepped(...), lowered_at(...), plateau(...) or cosine(...)
    beta1, beta2   the shares of the old mean, and of the old square, that a step keeps: from 0 to below 1
    eps            added to the root, so that nothing is divided by 0
    weight_decay   a step makes every weight smaller by the share lr weight_decay
    decoupled      True: the decay is not part of the gradient (AdamW), so it acts on all weights alike, as its name says, and its best value does not
                   change with beta2 or the size of the gradients: hence the default. False: as in SGD, weight_decay weight is added to the gradient
    clip           the largest allowed norm of the gradient, taken over all parameters together; None: not limited
    slots          "mean" and "square", each a dict with the keys of net.params

    Every setting can be set between steps. The correction follows from `steps`, so that a resumed run has the same bits. Raises ValueError for a setting
    out of range, or parameters that cannot be updated in their memory.
    Source: the contract page of kernels/adam; Kingma, Ba 2015; Loshchilov, Hutter 2019.
    """

    operation = "adam"
    slot_names = ("mean", "square")
    beta1 = Setting("of 0 or more and below 1", at_least(0, below=1))
    beta2 = Setting("of 0 or more and below 1", at_least(0, below=1))
    eps = Setting(f"of {SMALLEST} (the smallest float32) or more", at_least(SMALLEST))
    decoupled = Setting("True or False", truth)

    def __init__(self, net: Any, lr: float | Rate = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, weight_decay: float = 0.0,
                 decoupled: bool = True, clip: float | None = None):
        super().__init__(net, lr, weight_decay, clip)
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps
        self.decoupled = decoupled

    def arguments(self) -> tuple:
        return self.lr, self.beta1, self.beta2, self.eps, self.weight_decay, self.decoupled, self.steps + 1
