"""Compiled kernels on disk: several processes that compile at once do not mix them up."""

import importlib.util
import threading
import time
from types import SimpleNamespace

import pytest
from numba.core.caching import IndexDataCacheFile

from tinyconv.kernels import _cache

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("fcntl") is None, reason="Windows has no locks of this kind"
)


def kept_file(folder, kept_until_a_change):
    """The file of a kernel, as one of several processes sees it, which is slow to write its index."""
    file = IndexDataCacheFile(str(folder), "kernel", "stamp")
    write = file._save_index

    def slow(overloads):
        time.sleep(0.2)
        write(overloads)

    file._save_index = slow
    kept_until_a_change(SimpleNamespace(_cache=SimpleNamespace(_cache_file=file)))
    return file


def saved_at_once(folder, kept_until_a_change):
    """What is found under "a" and "b" after two processes have saved them at once."""
    files = [kept_file(folder, kept_until_a_change) for _ in range(2)]
    threads = [
        threading.Thread(target=file.save, args=(key, f"code of {key}")) for file, key in zip(files, "ab")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [files[0].load(key) for key in "ab"]


def test_kernels_that_are_saved_at_once_are_both_kept(tmp_path):
    assert saved_at_once(tmp_path, _cache.kept_until_a_change) == ["code of a", "code of b"]


def test_without_the_lock_they_would_not_be(tmp_path):
    assert saved_at_once(tmp_path, lambda dispatcher: None) != ["code of a", "code of b"]


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path):
    with _cache._alone(str(tmp_path / "missing" / "tinyconv.lock")):
        pass


def test_a_file_beside_the_kernel_belongs_to_its_stamp(tmp_path):
    """A rung of the ladder calls functions of the files beside it: changed, they are compiled again."""
    stamps = []
    for text in ("x = 1", "x = 12"):
        (tmp_path / "beside.py").write_text(text)
        (tmp_path / "own.py").write_text("def function(): pass")
        scope = {}
        exec(compile("def function(): pass", tmp_path / "own.py", "exec"), scope)
        file = SimpleNamespace(_source_stamp="own", _cache_path=str(tmp_path), save=None)
        dispatcher = SimpleNamespace(py_func=scope["function"], _cache=SimpleNamespace(_cache_file=file))
        _cache._files.cache_clear()
        _cache.kept_until_a_change(dispatcher)
        stamps.append(file._source_stamp)
    assert stamps[0] != stamps[1] and stamps[0][:2] == stamps[1][:2]
