"""Code of a user's own in a process of its own, so that whatever it does ends in one sentence.

The process serves one object: Apart(Server, path) makes Server(path) there, and call("method", ...) calls its
method. What goes back and forth are plain values and NumPy arrays, written as JSON and bytes and never
unpickled. The caller compares, judges and prints; the code that is judged holds nothing of that. So it cannot
end the judge, change its functions, or hand it a verdict: it can only answer calls with numbers.

Where the system can fork (Linux, macOS) the process is a copy of this one and starts in milliseconds.
"""

import contextlib
import faulthandler
import importlib
import json
import math
import multiprocessing
import os
import signal
import sys
from typing import Any

import numpy as np

from .errors import DataError

SECONDS = 60.0  # that one call may take
MEMORY = 4 * 2**30  # bytes that the process may take beyond what it begins with
ERRORS = {"TypeError": TypeError, "ValueError": ValueError, "NoPoint": ValueError, "DataError": DataError}


class Ended(DataError):
    """The process ended, or was ended, before it answered."""


class Raised(Exception):
    """An exception of the code apart. kind, text and where ("mine.py, line 12", or "") say which."""

    def __init__(self, kind, text, where):
        super().__init__(f"{kind}: {text}" + (f" ({where})" if where else ""))
        self.kind, self.text, self.where = kind, text, where


class Apart:
    """A process that serves Server(*arguments), as a context.

    Server   a class that a module of ours defines      subject   what the sentences are about: a path
    seconds  that one call may take; what takes longer is ended
    """

    def __init__(self, Server, *arguments, subject, seconds=SECONDS, memory=MEMORY):
        self.subject, self.seconds = subject, seconds
        methods = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("fork" if "fork" in methods else "spawn")
        self.here, there = context.Pipe()
        named = Server.__module__, Server.__qualname__
        self.process = context.Process(
            target=_serve, args=(there, self.here, *named, arguments, memory), daemon=True
        )
        for stream in (sys.stdout, sys.stderr):  # what waits there must not be printed twice
            with contextlib.suppress(Exception):
                stream.flush()
        self.process.start()
        there.close()
        self.call("__init__")

    def call(self, method: str, *arguments: Any) -> Any:
        """Return what the method gives. Raises Ended where the process ends or takes too long, Raised with
        what the code there raised, and TypeError, ValueError or DataError of ours as they are.
        """
        try:
            self.here.send_bytes(pack([method, list(arguments)]))
            if not self.here.poll(self.seconds):
                self.close()
                raise Ended(
                    f"{self.subject}: took more than {self.seconds:g} s and was ended: is there a loop that "
                    "does not end?"
                )
            answer = self.here.recv_bytes()
        except (EOFError, OSError):
            raise Ended(f"{self.subject}: {self._how_it_ended()}") from None
        try:
            ours, kind, value, where = unpack(answer)
        except Exception:
            self.close()
            raise Ended(f"{self.subject}: wrote something else than numbers into its channel") from None
        if not kind:
            return value
        if ours and kind in ERRORS:
            raise ERRORS[kind](value)
        raise Raised(kind, value, where)

    def _how_it_ended(self):
        self.process.join(5)
        status = self.process.exitcode
        self.close()
        if status is not None and status < 0:
            name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
            return f"its process crashed ({name})"
        return (
            f"ended its process with status {status} before its gradients were checked; leave out sys.exit "
            'and os._exit, or put them under `if __name__ == "__main__":`'
        )

    def close(self) -> None:
        """End the process."""
        if self.process.is_alive():
            self.process.kill()
        self.process.join(5)
        self.here.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _serve(there, here, module, name, arguments, memory):
    """Work of the process: make the object, then answer calls until nobody asks."""
    here.close()
    faulthandler.disable()  # a crash is one sentence, which the caller says
    _limit(memory)
    server = None
    while True:
        try:
            method, given = unpack(there.recv_bytes())
        except EOFError:
            os._exit(0)
        try:
            if method == "__init__":
                server = getattr(importlib.import_module(module), name)(*arguments)
                answer = [True, "", None, ""]
            else:
                answer = [True, "", getattr(server, method)(*given), ""]
            data = pack(answer)
        except BaseException as error:  # sys.exit and KeyboardInterrupt of the code too: it has a sentence
            data = pack([_is_ours(error), type(error).__name__, _text(error), where_of(error)])
        there.send_bytes(data)


def _limit(memory):
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    with contextlib.suppress(OSError, ValueError):
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (used + memory, hard))


def _text(error):
    return " ".join(str(error).split())[:300]


def _frames(error):
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame.f_code.co_filename, trace.tb_lineno, trace.tb_frame.f_globals.get("__name__", "")
        trace = trace.tb_next


def _is_ours(error):
    """Return True where a file of tinyconv raised it."""
    last = list(_frames(error))[-1:]
    return bool(last) and last[0][2].partition(".")[0] == __name__.partition(".")[0]


def where_of(error) -> str:
    """Return the last file and line that is neither tinyconv's nor a library's; "" where there is none."""
    ours = os.path.dirname(os.path.abspath(__file__))
    libraries = tuple(os.path.dirname(os.path.abspath(module.__file__)) for module in (np, os))
    for file, line, _ in reversed(list(_frames(error))):
        path = os.path.abspath(file)
        if file.startswith("<") or path.startswith((ours, *libraries)) or "site-packages" in path:
            continue
        return f"{os.path.basename(file)}, line {line}"
    return ""


def pack(value: Any) -> bytes:
    """Return plain values and NumPy arrays as bytes: a length, JSON, and the arrays' numbers one behind the
    other. Raises TypeError for anything else.
    """
    arrays = []

    def plain(value):
        if isinstance(value, (np.ndarray, np.generic)):
            array = np.asarray(value)
            if array.dtype.kind not in "biufc":
                raise TypeError(f"expected an array of numbers, got one of {array.dtype}")
            arrays.append(array.tobytes())
            return {"array": array.dtype.str, "shape": array.shape}
        if isinstance(value, (tuple, list)):
            return {"tuple" if isinstance(value, tuple) else "list": [plain(one) for one in value]}
        if isinstance(value, dict):
            return {"dict": [[plain(key), plain(one)] for key, one in value.items()]}
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        raise TypeError(f"expected numbers and arrays, got {type(value).__name__}")

    text = json.dumps(plain(value)).encode()
    return b"".join([len(text).to_bytes(8, "little"), text, *arrays])


def unpack(data: bytes) -> Any:
    """Return the value that pack() wrote. Raises ValueError, KeyError or TypeError for other bytes."""
    length = int.from_bytes(data[:8], "little")
    place = 8 + length

    def value(plain):
        nonlocal place
        if not isinstance(plain, dict):
            return plain
        if "array" in plain:
            dtype, shape = np.dtype(plain["array"]), tuple(plain["shape"])
            size = math.prod(shape) * dtype.itemsize
            array = np.frombuffer(data[place : place + size], dtype).reshape(shape).copy()
            place += size
            return array
        if "dict" in plain:
            return {value(key): value(one) for key, one in plain["dict"]}
        many = [value(one) for one in plain.get("tuple", plain.get("list"))]
        return tuple(many) if "tuple" in plain else many

    return value(json.loads(data[8:place]))
