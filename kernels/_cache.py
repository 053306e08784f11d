"""The compiled kernels that Numba keeps on disk: compiled again where a file that kernels share has
changed.
"""

from functools import cache
from pathlib import Path


def kept_until_a_change(dispatcher):
    """Return the dispatcher of a function that Numba keeps on disk, which is compiled again where any file
    that kernels share has changed.

    Numba compares only the file of the function itself; but the functions that it calls stand in the files
    that all kernels share (kernels/_*.py, kernels/_cpu, kernels/_cuda), so the sizes and times of those
    belong to the stamp too.
    """
    kept = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if kept is not None:  # None under NUMBA_DISABLE_JIT, and in the simulator of a GPU
        kept._source_stamp = kept._source_stamp, _shared_files()
    return dispatcher


@cache
def _shared_files():
    folder = Path(__file__).parent
    paths = sorted([*folder.glob("_*.py"), *folder.glob("_cpu/*.py"), *folder.glob("_cuda/*.py")])
    return tuple((str(path.relative_to(folder)), path.stat().st_mtime, path.stat().st_size) for path in paths)
