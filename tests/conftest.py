"""What the tests share."""

import ctypes
import importlib.util
import os
import subprocess
import sys
import tempfile


def gpu_driver():
    """Whether this machine has an NVIDIA driver: then the cuda kernels are tested on its GPU, else in
    numba-cuda's simulator.
    """
    try:
        ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return False
    return True


if not gpu_driver():
    os.environ.setdefault("NUMBA_ENABLE_CUDASIM", "1")  # before anything imports numba, which reads it once
    sys.setswitchinterval(5e-5)  # seconds: the simulator's threads wait for each other all the time

import numpy as np  # noqa: E402
import pytest  # noqa: E402

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
NEEDS = {
    "reference": [],
    "cpu": [],
    "cuda": [
        pytest.mark.skipif(
            importlib.util.find_spec("numba_cuda") is None,  # marks of tests on a device
            reason="numba-cuda is not installed: tinyconv[cuda]",
        )
    ],
}
EVERYWHERE = pytest.mark.parametrize(
    "device", [pytest.param(device, marks=marks) for device, marks in NEEDS.items()]
)


def pytest_collection_finish(session):
    """To compile every kernel of the GPU takes a processor over a minute: where that is to be tested, it
    begins now, beside the tests before it.
    """
    wanted = any(item.name == "test_every_kernel_is_as_in_the_table" for item in session.items)
    if wanted and importlib.util.find_spec("numba_cuda") and not session.config.option.collectonly:
        said = tempfile.TemporaryFile("w+")
        session.config.cubins = (
            said,
            subprocess.Popen(
                [sys.executable, "-m", "tinyconv.benchmarks.cubins"],
                stdout=said,
                stderr=subprocess.STDOUT,
                env=os.environ | {"NUMBA_ENABLE_CUDASIM": "0"},
            ),
        )


def pytest_sessionfinish(session):
    if hasattr(session.config, "cubins"):
        session.config.cubins[1].kill()  # of a session that ends early; else it has ended already


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session", autouse=True)
def away_from_home(tmp_path_factory):
    """No test reads or writes the user's cache folder."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
