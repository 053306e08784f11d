"""NumPy on native arrays: lets a layer of a user's own compute with `x + 1` or `numpy.tanh(x)` where x is in native form.

It is right on every device, and slow: each operation unpacks its inputs and packs its result. No kernel of ours uses it.
"""

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin


class NumPyForm(NDArrayOperatorsMixin):
    """Base of native forms. A subclass has shape, dtype, unpack(), the class method pack(x), and the name of its device."""

    device = ""

    def __array__(self, dtype=None, copy=None):
        return self.unpack() if dtype is None else self.unpack().astype(dtype)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        """Return a native array where the result is a batch of this dtype, else a NumPy array."""
        plain = [value.unpack() if isinstance(value, NumPyForm) else value for value in inputs]
        results = options.pop("out", ())
        y = getattr(ufunc, method)(*plain, **options)
        if results:  # x += 1: the native array takes the result
            results[0].data[...] = type(self).pack(np.asarray(y, self.dtype)).data
            return results[0]
        if (
            method == "__call__"
            and isinstance(y, np.ndarray)
            and y.ndim
            and len(y) == self.shape[0]
            and y.dtype == self.dtype
        ):
            return type(self).pack(y)
        return y

    def __getitem__(self, place):
        return self.unpack()[place]

    def __len__(self):
        return self.shape[0]

    @property
    def ndim(self):
        """Number of axes of the logical array."""
        return len(self.shape)
