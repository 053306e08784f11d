"""SGD: stochastic gradient descent."""

from typing import Any

from .compiled import CompiledOptimizer
from .schedules import Rate
from .settings import Setting, at_least, truth


class SGD(CompiledOptimizer):
    """Stochastic gradient descent with momentum.

        g        = scale dweight + weight_decay weight
        velocity = momentum velocity + g
        weight   = weight - lr velocity

    net            anything with params and grads; both are read at every step
    lr             the rate, or a function step -> rate: constant, stepped, lowered_at, plateau or cosine
    momentum       0 for none
    weight_decay   the share of the weight that is added to its gradient
    nesterov       True: the step looks ahead, weight = weight - lr (g + momentum velocity)
    clip           the largest allowed norm of the gradient, over all parameters together; None: not limited
    velocity       {name: array like the parameter}: slots["velocity"]

    A setting takes effect at the next step. Raises ValueError for one out of range; ValueError or DtypeError
    for a parameter that cannot be updated in its memory.
    Source: the contract page of kernels/sgd; clipping: Pascanu, Mikolov, Bengio 2013.
    """

    operation = "sgd"
    slot_names = ("velocity",)
    momentum: Setting[float] = Setting("of 0 or more", at_least(0))
    nesterov: Setting[bool] = Setting("True or False", truth)

    def __init__(
        self,
        net: Any,
        lr: float | Rate = 0.01,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        clip: float | None = None,
    ):
        super().__init__(net, lr, weight_decay, clip)
        self.momentum = momentum
        self.nesterov = nesterov

    @property
    def velocity(self) -> dict[str, Any]:
        """The running sum of gradients of every parameter, by name."""
        return self.slots["velocity"]

    @velocity.setter
    def velocity(self, arrays: dict[str, Any]):
        self.slots["velocity"] = arrays

    def arguments(self) -> tuple:
        """Return (lr, momentum, weight_decay, nesterov) of the step to come."""
        return self.lr, self.momentum, self.weight_decay, self.nesterov

    def _check_settings(self):
        if self.nesterov and self.momentum == 0:
            raise ValueError(
                f"{type(self).__name__}: nesterov=True looks ahead along the momentum, so it needs momentum "
                "above 0"
            )
