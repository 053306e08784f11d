"""Files that are whole or not there."""

import os
import zipfile
import zlib
from pathlib import Path

# what np.load, zip and the parts of a file that is damaged raise when they are read
DAMAGED = (
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    OSError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def write_atomically(path, write_to):
    """Call write_to(file) on a new binary file, which takes the name `path` only once it is complete and on
    the disk. Raises OSError.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            write_to(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # "No space left on device" alone does not say where
        raise
    finally:
        partial.unlink(missing_ok=True)
