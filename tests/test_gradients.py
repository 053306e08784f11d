"""Trust flows from finite differences and complex steps to the reference, from there to the cpu and to the
GPU: every layer, loss and model.
"""

import pytest
from conftest import NEEDS, SIMULATED

from tinyconv.gradient_cases import CASES
from tinyconv.gradient_check import assert_gradients
from tinyconv.kernels import OPERATIONS

ALL = [
    pytest.param(name, case, id=f"{name}-{place}")
    for name, cases in CASES.items()
    for place, case in enumerate(cases)
]


def test_every_operation_has_cases():
    assert set(OPERATIONS) - {"sgd", "adam"} <= set(CASES)


@pytest.mark.parametrize(
    "name, case, device",
    [
        pytest.param(*param.values, device, id=f"{param.id}-{device}")
        for param in ALL
        for device in ("reference", "cpu")
        if device == "cpu" or param.values[0] in (*OPERATIONS, "flatten")
    ],
)
def test_gradients(name, case, device):
    """Whole networks only as the cpu computes them: their oracle computes on the reference as it is."""
    obj, x, options = case.build(seed=1)
    report = assert_gradients(obj.to(device), x, seed=1, **options)
    assert report.largest_error("central") < 1e-7 and report.largest_error("complex") < 1e-12, str(report)
    assert all(row.oracle == "complex" and not row.skipped for row in report.rows)


@pytest.mark.parametrize(
    "name, case",
    [
        pytest.param(name, case, id=f"{name}-{place}", marks=NEEDS["cuda"])
        for name, cases in CASES.items()
        for place, case in enumerate(cases)
        if not SIMULATED or place == 0 and name in (*OPERATIONS, "flatten")
    ],
)
def test_gradients_on_the_gpu(name, case):
    """In the simulator one case of each operation: test_parity.py has them all."""
    obj, x, options = case.build(seed=1)
    report = assert_gradients(obj.to("cuda"), x, seed=1, **options)
    assert report.largest_error("complex") < 1e-12 and all(
        row.checked + row.skipped for row in report.rows
    ), str(report)
