"""Which GPU there is, and whether this process can compute on it."""

from .launch import noting
from .package import (
    BROKEN,
    INSTALLED,
    OLDEST,
    SIMULATOR,
    compiler_is_there,
    cuda,
    gpu_name,
    package_and_driver,
)


def missing():
    """Why this process cannot compute on a GPU, as a sentence that says what to do; None where it can."""
    if BROKEN:
        return (
            f'the device "cuda" needs a numba-cuda that fits numba and NumPy, and this one does not load '
            f'({BROKEN}): pip install -U "tinyconv[cuda]", and see what tinyconv doctor says of versions'
        )
    if not INSTALLED:
        return (
            'the device "cuda" needs the package numba-cuda: pip install "tinyconv[cuda]" (CUDA 13) '
            'or "tinyconv[cuda12]" (CUDA 12)'
        )
    if SIMULATOR or noting() is not None:
        return None
    if not compiler_is_there():
        return 'the device "cuda" needs NVIDIA\'s compiler libnvvm: pip install "tinyconv[cuda]" (CUDA 13) or "tinyconv[cuda12]" (CUDA 12)'  # noqa: E501
    if not cuda.is_available():
        return (
            'the device "cuda" needs an NVIDIA GPU and its driver, and none answers: see what nvidia-smi '
            "says, install the driver "
            "(580 or newer for tinyconv[cuda], 525 or newer for tinyconv[cuda12]), or use --device cpu"
        )
    major, own = package_and_driver()
    if own < major:
        return (
            f'the device "cuda" needs a driver for CUDA {major}, as numba-cuda is installed for it, and '
            f"this one is for CUDA {own}: install a newer driver "
            '(580 or newer for CUDA 13), or pip install "tinyconv[cuda12]"'
        )
    try:
        gpu = cuda.get_current_device()  # which takes some of its memory
    except Exception as error:
        return (
            f'the device "cuda" does not let itself be used ({error}): end other programs on the '
            "GPU, see what nvidia-smi says, or use --device cpu"
        )
    if gpu.compute_capability < OLDEST:
        return (
            f'the device "cuda" needs compute capability {OLDEST[0]}.{OLDEST[1]} or newer (Ampere, 2020); '
            f"{gpu_name()} has "
            f"{gpu.compute_capability[0]}.{gpu.compute_capability[1]}: use --device cpu"
        )
    return None


def memory():
    """(free, total) bytes of the GPU; None in the simulator."""
    return None if SIMULATOR else tuple(cuda.current_context().get_memory_info())


def facts():
    """What this GPU is, by name: {"name", "compute_capability", "multiprocessors", ...}; clocks in kHz."""
    if SIMULATOR:
        return {"name": gpu_name(), "compute_capability": list(OLDEST), "multiprocessors": 1}
    gpu = cuda.get_current_device()
    asked = {
        "multiprocessors": "MULTIPROCESSOR_COUNT",
        "clock": "CLOCK_RATE",
        "memory_clock": "MEMORY_CLOCK_RATE",
        "L2": "L2_CACHE_SIZE",
        "memory_bus": "GLOBAL_MEMORY_BUS_WIDTH",
    }
    found = {name: getattr(gpu, attribute, None) for name, attribute in asked.items()}
    return {
        "name": gpu_name(),
        "compute_capability": list(gpu.compute_capability),
        "memory": memory()[1],
    } | found
