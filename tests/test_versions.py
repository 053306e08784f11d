"""Versions of NumPy, Numba and numba-cuda: a kernel for a GPU compiles with those that are installed, and
doctor names a misfit.
"""

import configparser
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinyconv.cli import doctor

ROOT = Path(__file__).parent.parent
COMPILE = """
import numpy as np
import numba.np.arrayobj
if hasattr(np, "row_stack"):
    del np.row_stack
    np.__all__.remove("row_stack")
from tinyconv.kernels._cuda.launch import kernel, machine_code
from tinyconv.kernels._cuda.package import cuda
assert not hasattr(np, "row_stack"), "a name that NumPy lacks is left behind"
@kernel
def doubled(x):
    for e in range(cuda.grid(1), len(x), cuda.gridsize(1)):
        x[e] += x[e]
(ptx, report), = machine_code(doubled, [np.zeros(3, np.float32)], [(9, 0)])
assert "doubled" in ptx
"""


@pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="needs numba-cuda (pip install 'tinyconv[cuda]')"
)
def test_a_kernel_compiles_where_numpy_has_no_row_stack(tmp_path):
    # The program takes the name away from an older NumPy, once Numba itself has read it.
    # Numba keeps what it compiles beside a file, so the program is one.
    program = tmp_path / "program.py"
    program.write_text(COMPILE)
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "numpy, numba, numba_cuda, expected",
    [
        ("2.4.6", "0.68.1", "0.30.4", "fit each other"),
        ("2.5.5", "0.68.1", None, "fit each other"),
        ("2.5.5", "0.68.1", "0.30.4", "expected a numpy below 2.5 beside numba-cuda 0.30.4, got 2.5.5"),
        ("2.4.6", "0.64.0", "0.30.4", "expected numba 0.65 or newer, got 0.64.0"),
        ("2.4.6", "0.68.1", "0.29.0", "expected numba-cuda 0.30 or newer, got 0.29.0: pip install -U"),
    ],
)
def test_doctor_names_versions_that_do_not_fit(numpy, numba, numba_cuda, expected):
    assert doctor.versions(numpy, numba, numba_cuda).startswith(expected)


def test_doctor_knows_what_setup_cfg_asks_for():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    oldest = ".".join(map(str, doctor.OLDEST_NUMBA))
    below = ".".join(map(str, doctor.NUMPY_UNKNOWN_TO_NUMBA_CUDA))
    numba_cuda = ".".join(map(str, doctor.OLDEST_NUMBA_CUDA))
    assert f"numba>={oldest}" in config["options"]["install_requires"].split()
    extras = config["options.extras_require"]
    assert all(f"numpy<{below}" in extras[name].split() for name in ("cuda", "cuda12"))
    for name, cuda in (("cuda", 13), ("cuda12", 12)):
        assert f"numba-cuda[cu{cuda}]>={numba_cuda}" in extras[name].split()


def test_doctor_names_parts_of_two_cudas():
    parts = {"cuda-bindings": "12.9.4", "nvidia-nvvm": "13.0.48", "nvidia-nvjitlink": None}
    said = doctor.versions("2.4.6", "0.68.1", "0.30.4", parts)
    assert "got cuda-bindings of CUDA 12, nvidia-nvvm of CUDA 13: pip install -U 'tinyconv[cuda]'" in said
    assert doctor.versions("2.4.6", "0.68.1", None, parts) == "fit each other"
    assert doctor.versions("2.4.6", "0.68.1", "0.30.4", parts | {"nvidia-nvvm": "12.9"}) == "fit each other"


BROKEN = """
import sys
class Refuses:
    def find_spec(self, name, path=None, target=None):
        if name == "numba.cuda.core":
            raise AttributeError("module 'numpy' has no attribute 'trapz'")
sys.meta_path.insert(0, Refuses())
from tinyconv.cli import main
status = main(["doctor"])
from tinyconv import layers
from tinyconv.errors import DeviceError
try:
    layers.ReLU().to("cuda")
except DeviceError as error:
    print("refused:", error)
sys.exit(status)
"""


@pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="needs numba-cuda (pip install 'tinyconv[cuda]')"
)
@pytest.mark.parametrize("simulator", ["0", "1"])
def test_a_numba_cuda_that_does_not_load_is_a_sentence(simulator):
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": simulator, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", BROKEN], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = 'the device "cuda" needs a numba-cuda that fits numba and NumPy, and this one does not load'
    assert f"GPU                       {said} (AttributeError: module 'numpy'" in done.stdout
    assert f"refused: {said}" in done.stdout
