"""NumPy on native arrays: lets a layer of a user's own compute with `x + 1` or `numpy.tanh(x)` where x is in
native form.

It is right on every device, and slow: each operation unpacks its inputs and packs its result. No kernel of
ours uses it.
"""

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

OF_THE_SHAPE = {np.shape: lambda x: x.shape, np.ndim: lambda x: len(x.shape)}


class NumPyForm(NDArrayOperatorsMixin):
    """Base of native forms. A subclass has shape, dtype, unpack(), the class method pack(x), and the name of
    its device.
    """

    device = ""

    def __array__(self, dtype=None, copy=None):
        return self.unpack() if dtype is None else self.unpack().astype(dtype)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        """Return the result of x + 1, numpy.tanh(x) and the like: native where it is a batch, else a NumPy
        array.
        """
        targets = options.pop("out", ())
        y = getattr(ufunc, method)(*_unpacked(inputs), **_unpacked(options))
        if not targets:
            return self._packed(y)
        # x += 1: the native array takes the result
        targets[0].data[...] = type(self).pack(np.asarray(y, self.dtype)).data
        return targets[0]

    def __array_function__(self, function, types, arguments, options):
        """Return the result of numpy.where(mask, x, 0) and the like, as __array_ufunc__ does."""
        if function in OF_THE_SHAPE and not options:  # nothing is unpacked for these
            return OF_THE_SHAPE[function](*arguments)
        return self._packed(function(*_unpacked(arguments), **_unpacked(options)))

    def _packed(self, y):
        """The array y in native form where it has as many images and the dtype of this one."""
        batch = isinstance(y, np.ndarray) and y.ndim > 0 and len(y) == len(self) and y.dtype == self.dtype
        return type(self).pack(y) if batch else y

    def __getitem__(self, place):
        return self.unpack()[place]

    def __len__(self):
        return self.shape[0]

    @property
    def ndim(self):
        """Number of axes of the logical array."""
        return len(self.shape)


def _unpacked(value):
    """The value, or what a tuple, list or dict holds, with NumPy arrays in the place of native ones."""
    if isinstance(value, NumPyForm):
        return value.unpack()
    if isinstance(value, (tuple, list)):
        return type(value)(map(_unpacked, value))
    return {name: _unpacked(inner) for name, inner in value.items()} if isinstance(value, dict) else value
