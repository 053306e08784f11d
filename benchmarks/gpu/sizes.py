"""Sizes of a run, in batches, repetitions and seconds: "full", "quick", and "rehearsal" for the simulator."""

from dataclasses import dataclass, field, replace

from ...kernels._cuda import gpu


@dataclass(frozen=True)
class Sizes:
    """What is measured, and for how long. batches: of checks; the last one is timed too."""

    cases: object = "all"  # of gradient_cases.py, by name
    batches: dict = field(default_factory=lambda: {"lenet5": (64, 256), "alexnet": (128,)})
    steps: dict = field(default_factory=lambda: {"lenet5": (64, 256, 1024), "alexnet": (128,)})
    tf32_steps: tuple = ("alexnet",)
    predictions: dict = field(default_factory=lambda: {"lenet5": (1, 10_000), "alexnet": (1, 64)})
    compiled: tuple = ("alexnet", "lenet5")  # by torch.compile, in their first batch of steps
    crossing: tuple = ("lenet5", (1, 4, 16, 64, 256, 1024))
    small: tuple = ("lenet5",)  # models that the reference trains for some steps
    seconds: float = 0.03  # of the samples of one contender; of whole networks four times as many
    sample: float = 0.02  # seconds of one sample of a whole network
    together: int = 4  # steps in such a sample, at least: they overlap
    turns: int = 5
    fma_steps: int = 2000
    copied: int = 2**30  # bytes
    crossed: int = 2**28
    launches: int = 1000
    matrix: int = 8192
    images: int | None = None  # of training; None: all
    training: dict = field(default_factory=dict)  # settings of MNIST's recipe that are others here
    mnist_seconds: float = 30
    alexnet_seconds: float = 12
    alexnet_precision: str = "tf32"
    tested: int = 2000  # images of CIFAR-10, enlarged
    torch_device: str = "cuda"

    def precisions(self, model):
        """Return the precisions in which whole steps of a model are measured."""
        return ("float32", "tf32") if model in self.tf32_steps else ("float32",)

    @staticmethod
    def multiprocessors():
        return gpu.facts()["multiprocessors"]


FULL = Sizes()
QUICK = replace(
    FULL,
    batches={"lenet5": (256,), "alexnet": (128,)},
    steps={"lenet5": (64,), "alexnet": (128,)},
    compiled=(),
    crossing=(),
    seconds=0.02,
    training={"epochs": 4},
    alexnet_seconds=5,
)
# In the simulator, where a launch takes a tenth of a second. "tiny" is a network of the tests; PyTorch has no
# GPU there either.
REHEARSAL = Sizes(
    cases=("relu", "softmax_cross_entropy"),
    batches={"tiny": (1, 3)},
    steps={"tiny": (3,)},
    tf32_steps=(),
    predictions={"tiny": (2,)},
    compiled=("tiny",),
    crossing=("tiny", (1,)),
    small=("tiny",),
    seconds=1e-4,
    sample=1e-9,
    together=1,
    turns=1,
    fma_steps=1,
    copied=256,
    crossed=256,
    launches=3,
    matrix=16,
    images=4,
    training={"epochs": 1, "batch_size": 2},
    mnist_seconds=1e9,
    alexnet_seconds=0,
    tested=2,
    torch_device="cpu",
)
SIZES = {"full": FULL, "quick": QUICK, "rehearsal": REHEARSAL}
