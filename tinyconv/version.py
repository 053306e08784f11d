"""The version, apart from the package, so that building it needs no NumPy."""

__version__ = "0.1.0"
