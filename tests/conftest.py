"""What the tests share."""
import ctypes
import importlib.util
import os
import sys


def gpu_driver():
    """Whether this machine has an NVIDIA driver: then the cuda kernels are tested on its GPU, else in numba-cuda's simulator."""
    try:
        ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return False
    return True


if not gpu_driver():
    os.environ.setdefault("NUMBA_ENABLE_CUDASIM", "1")       # before anything imports numba, which reads it once
    sys.setswitchinterval(5e-5)                              # seconds: the simulator's threads wait for each other all the time

import numpy as np  # noqa: E402
import pytest  # noqa: E402

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
NEEDS = {"reference": [], "cpu": [], "cuda": [pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None,          # marks of tests on a device
                                                                 reason="numba-cuda is not installed: tinyconv[cuda]")]}
EVERYWHERE = pytest.mark.parametrize("device", [pytest.param(device, marks=marks) for device, marks in NEEDS.items()])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session", autouse=True)
def away_from_home(tmp_path_factory):
    """No test reads or writes the user's cache folder."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
