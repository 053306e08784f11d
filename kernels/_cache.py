"""The compiled kernels that Numba keeps on disk: compiled again where a file that kernels share has changed,
and written by one process at a time.
"""

import os
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # there is none on Windows
    fcntl = None


def kept_until_a_change(dispatcher):
    """Return the dispatcher of a function that Numba keeps on disk, which is compiled again where any file
    that kernels share has changed.

    Numba compares only the file of the function itself; but the functions that it calls stand in the files
    that all kernels share (kernels/_*.py, kernels/_cpu, kernels/_cuda), or beside it (the rungs of
    benchmarks/ladder), so the sizes and times of those belong to the stamp too.
    """
    function = getattr(dispatcher, "py_func", None)
    beside = _files(Path(function.__code__.co_filename).parent) if function else ()
    kept = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if kept is not None:  # None under NUMBA_DISABLE_JIT, and in the simulator of a GPU
        kept._source_stamp = kept._source_stamp, _shared_files(), beside
        kept.save = _one_at_a_time(kept)
    return dispatcher


def _one_at_a_time(kept):
    """Return kept.save(key, data) in a form that processes call one after the other.

    Numba reads the index, takes the next free number for a file, and writes both. Two processes that do so at
    once take the same number: one kernel would then be found under the name of another.
    """
    save = kept.save

    def locked(key, data):
        with _alone(os.path.join(kept._cache_path, "tinyconv.lock")):
            save(key, data)

    return locked


@contextmanager
def _alone(path):
    """Within this context no other process is within it with the same path. Where the system has no such
    locks, or the file cannot be written, there is no lock.
    """
    with ExitStack() as stack:
        if fcntl is not None:
            with suppress(OSError):
                file = stack.enter_context(open(path, "w"))
                fcntl.flock(file, fcntl.LOCK_EX)  # which ends when the file is closed
        yield


@cache
def _shared_files():
    folder = Path(__file__).parent
    return _stamps(folder, [*folder.glob("_*.py"), *folder.glob("_cpu/*.py"), *folder.glob("_cuda/*.py")])


@cache
def _files(folder):
    return _stamps(folder, folder.glob("*.py"))


def _stamps(folder, paths):
    """The name of each file, and when it was changed, and its size."""
    return tuple(
        (str(path.relative_to(folder)), path.stat().st_mtime, path.stat().st_size) for path in sorted(paths)
    )
