"""The errors that a user can cause. Each message says what was expected, what came and what to do.

The command line prints these as one line and exits with status 1; anything else is a fault of ours and keeps
its traceback.
"""


class TinyconvError(Exception):
    """Base of every error that tinyconv raises on purpose."""


class ShapeError(TinyconvError, ValueError):
    """An array has a shape that the layer, loss or model cannot take."""


class DtypeError(TinyconvError, TypeError):
    """An array has a dtype that tinyconv does not compute in."""


class DeviceError(TinyconvError, RuntimeError):
    """The device is not there: no GPU, driver or package, or one that is too old."""


class DataError(TinyconvError):
    """A data set, image or label is missing, damaged or out of range."""


class CheckpointError(TinyconvError):
    """A saved file is damaged, or belongs to another model."""


class RecordingError(TinyconvError):
    """A layer says that its calls may be recorded, and its recorded step computes something else than its
    code.
    """


class DivergedError(TinyconvError):
    """Training went the wrong way: the loss is not finite, or far above that of the untrained network."""


def reason(error):
    """What an error says, without the number that Python puts before the words of the operating system."""
    inner = getattr(error, "reason", None)  # urllib wraps what the network says
    error = inner if isinstance(inner, OSError) else error
    return getattr(error, "strerror", None) or str(error)
