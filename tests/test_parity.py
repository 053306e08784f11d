"""The cpu and cuda kernels compute what the reference computes, in float64 and float32, through the same
layers.
"""

import copy
import math
import sys

import numpy as np
import pytest
from conftest import NEEDS, SIMULATED

from tinyconv import device as door
from tinyconv.gradient_cases import CASES
from tinyconv.kernels._cpu.native import aligned_empty

WHOLE = {
    "lenet5",
    "alexnet",
    "cifar_net",
    "mlp",
}  # networks: the simulator would take minutes for each; benchmarks/gpu/ checks them on a GPU
ALL = [
    pytest.param(case, id=f"{name}-{place}")
    for name, cases in CASES.items()
    for place, case in enumerate(cases)
]


def on(*devices):
    """Every case on every one of these devices."""
    slow = pytest.mark.skipif(SIMULATED, reason="a whole network takes minutes in the simulator")
    return pytest.mark.parametrize(
        "case, device",
        [
            pytest.param(
                case,
                device,
                id=f"{name}-{place}-{device}",
                marks=[*NEEDS[device], *([slow] if name in WHOLE and device == "cuda" else [])],
            )
            for name, cases in CASES.items()
            for place, case in enumerate(cases)
            for device in devices
        ],
    )


def run(obj, x, dy, labels, training):
    """forward and backward: {"y", "dx", and the gradient of each parameter}."""
    if labels is not None:
        return {"y": np.array(obj.forward(x, labels)), "dx": obj.backward()}
    y = obj.forward(x, training=training)
    dx = obj.backward(dy(y))
    return {"y": y, "dx": dx, **{name: door.to_host(grad) for name, grad in obj.grads.items()}}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@on("cpu", "cuda")
def test_backend_is_reference(case, dtype, device):
    obj, x, options = case.build(seed=2)
    labels, training = options.get("labels"), options.get("training", False)
    dy = lambda y: np.random.default_rng(3).standard_normal(y.shape).astype(y.dtype)
    expected = run(copy.deepcopy(obj).to("reference"), x, dy, labels, training)
    found = run(obj.to(device), x.astype(dtype), dy, labels, training)
    # Rounding errors of a sum of K terms grow like sqrt(K) eps; no sum here has more than x.size terms, or
    # 400 (C5 of LeNet-5). The factor 8 covers that terms are larger than their sum, and dy, which float32
    # rounds too.
    tolerance = 8 * np.sqrt(max(x.size, 400)) * np.finfo(dtype).eps
    for name, value in expected.items():
        assert labels is not None and name == "y" or found[name].dtype == dtype
        np.testing.assert_allclose(
            found[name], value, rtol=0, atol=tolerance * np.abs(value).max(), err_msg=name
        )
        assert name == "y" or np.abs(value).max() > 0, f"{name} is all zeros: nothing was compared"


@pytest.mark.parametrize("case", ALL)
def test_nothing_is_read_before_it_is_written(case, monkeypatch):
    """Fresh memory full of NaN, and more NaN behind it: a kernel that reads a margin that nobody wrote, or
    beyond the end, gives NaN.
    """

    def poisoned(shape, dtype, lasting=False):
        memory = aligned_empty((math.prod(shape) + 256,), dtype)
        memory.fill(np.nan)
        return memory[:-256].reshape(shape)

    for name, module in list(sys.modules.items()):
        if name.startswith("tinyconv.kernels.") and hasattr(module, "aligned_empty"):
            monkeypatch.setattr(module, "aligned_empty", poisoned)
    obj, x, options = case.build(seed=2)
    dy = lambda y: np.random.default_rng(3).standard_normal(y.shape).astype(y.dtype)
    for name, value in run(
        obj.to("cpu"), x, dy, options.get("labels"), options.get("training", False)
    ).items():
        assert np.isfinite(value).all(), name


@on("reference", "cpu", "cuda")
def test_inputs_stay_untouched(case, device):
    """The very arrays that the kernels see, native and in the dtype of the parameters: nothing is copied on
    the way.
    """
    obj, x, options = case.build(seed=2)
    obj = obj.to(device).astype(np.float64) if hasattr(obj, "astype") else obj.to(device)
    enter = lambda array: door.pack(array, device, "test")
    seen = [enter(x)]

    def dy(y):
        seen.append(enter(np.random.default_rng(3).standard_normal(y.shape)))
        return seen[-1]

    data = lambda array: np.array(door.to_host(array.data if door.is_native(array) else array))
    before, params = data(seen[0]), {name: data(value) for name, value in getattr(obj, "params", {}).items()}
    run(obj, seen[0], dy, options.get("labels"), options.get("training", False))
    np.testing.assert_array_equal(data(seen[0]), before)
    if len(seen) > 1:
        np.testing.assert_array_equal(
            data(seen[1]), data(enter(np.random.default_rng(3).standard_normal(seen[1].shape)))
        )
    for name, value in params.items():
        np.testing.assert_array_equal(door.to_host(obj.params[name]), value)
