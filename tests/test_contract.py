"""Every operation has a contract page and the same functions with the same parameters on every backend."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest

from tinyconv import kernels
from tinyconv.kernels import BACKENDS, OPERATIONS, load

EXPECTED = {
    "conv2d",
    "table_conv2d",
    "subsample2d",
    "max_pool2d",
    "avg_pool2d",
    "dense",
    "rbf",
    "scaled_tanh",
    "tanh",
    "sigmoid",
    "relu",
    "local_response_norm",
    "add",
    "dropout",
    "softmax_cross_entropy",
    "rbf_loss",
    "sgd",
    "adam",
}
UPDATES = {"sgd", "adam"}  # of optimizers: they write into their arrays
FOLDER = Path(kernels.__file__).parent


def public(module):
    return {
        name: list(inspect.signature(function).parameters)
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and name.startswith(("forward", "backward", "update", "sum_of"))
        and not name.endswith("_loops")
    }


def test_all_operations_are_there():
    assert set(OPERATIONS) >= EXPECTED


@pytest.mark.parametrize("operation", OPERATIONS)
def test_backends_agree_on_functions_and_parameters(operation):
    reference = public(load(operation, "reference"))
    assert reference
    for backend in BACKENDS[1:]:
        assert public(load(operation, backend)) == reference, f"{operation}/{backend}.py"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_contract_page(operation):
    contract = import_module(f"tinyconv.kernels.{operation}")
    assert "Source:" in contract.__doc__
    for function in public(load(operation, "reference")):
        assert function in contract.__doc__, (
            f"kernels/{operation}/__init__.py does not give the equation of {function}"
        )
    assert operation in UPDATES or callable(contract.output_shape)


@pytest.mark.parametrize(
    "path", [*(f"{operation}/reference.py" for operation in OPERATIONS), "_windows_reference.py"]
)
def test_reference_imports_numpy_alone(path):
    """Beside it only the windows that references share, which import numpy alone in their turn."""
    tree = ast.parse((FOLDER / path).read_text())
    modules = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    modules |= {
        "." * node.level + (node.module or "") for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    }
    shared = set() if path == "_windows_reference.py" else {".._windows_reference"}
    assert all(module.split(".")[0] == "numpy" for module in modules - shared), modules


def test_load_says_what_is_missing():
    with pytest.raises(ValueError, match="unknown operation 'conv3d': expected one of adam, add, avg_pool2d"):
        load("conv3d", "cpu")
    with pytest.raises(ValueError, match="unknown backend 'gpu': expected one of reference, cpu, cuda"):
        load("conv2d", "gpu")
