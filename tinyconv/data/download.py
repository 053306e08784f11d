"""Fetch a file from the first mirror that has it whole; nothing half-written ever stands under its name."""

import http.client
import os
import sys
import urllib.request
from pathlib import Path

from tqdm import tqdm

from ..errors import DataError, reason
from ..files import write_atomically

TIMEOUT = 30  # seconds without a byte before a mirror is given up
CHUNK = 1 << 16  # bytes between two steps of the progress bar


def cache_folder():
    """Path of the folder for downloads where the user named no other. It need not exist yet."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or (
            "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
        )
    return Path(base).expanduser() / "tinyconv"


def homes(data_dir):
    """The folders where a data set's files may be, in the order of searching: data_dir, $TINYCONV_DATA, the
    cache folder.
    """
    return [
        Path(home).expanduser()
        for home in (data_dir, os.environ.get("TINYCONV_DATA"), cache_folder())
        if home
    ]


def mirrors(variable, default):
    """The addresses to download from: those in the environment variable, with commas between, else the
    default ones.
    """
    return [url.strip() for url in os.environ.get(variable, "").split(",") if url.strip()] or list(default)


def download(urls, path, check, progress=True):
    """Write to the file `path` what the first of `urls` with good content sends.

    check(content: bytes) raises ValueError with the reason when the content is not the file wanted; the next
    url is then tried. Raises DataError when no url is left, with the reason for each, or when `path` cannot
    be written.
    """
    path = Path(path)
    failures = []
    for url in urls:
        try:
            content = _fetch(url, path.name, progress)
            check(content)
        except (
            OSError,
            http.client.HTTPException,
            ValueError,
        ) as why:  # every way that a network and a mirror can fail
            failures.append(f"\n  {url}: {reason(why)}")
        else:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                return write_atomically(path, lambda file: file.write(content))
            except OSError as why:
                raise DataError(
                    f"cannot write {path}: {why.strerror or why}; make room there or choose another folder"
                ) from why
    raise DataError(
        f"could not download {path.name} from any of {len(failures)} mirrors:{''.join(failures)}\n"
        f"Check the network and try again, or get {path.name} by hand and put it into {path.parent}"
    )


def _fetch(url, label, progress):
    with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
        announced = response.headers.get("Content-Length")
        announced = None if announced is None else int(announced)
        content = bytearray()
        with tqdm(total=announced, desc=label, unit="B", unit_scale=True, disable=not progress) as bar:
            while chunk := response.read(CHUNK):
                content += chunk
                bar.update(len(chunk))
    if announced is not None and len(content) != announced:
        raise ValueError(f"truncated, {len(content)} of {announced} bytes came")
    return bytes(content)
