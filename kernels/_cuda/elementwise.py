"""Operations on single elements: kernels made of one line of arithmetic.

Such a kernel waits for memory alone. So each thread loads 16 bytes of every operand in one instruction, four
float32, and stores as many; where the elements do not come in fours, one at a time.

    _relu = elementwise("relu forward", lambda x: max(x, 0))
    _relu(y, x)            y[e] = max(x[e], 0) for all e; y and the operands are flat
    _scale(y, x, 2.0)      what follows the operands are numbers, the same for all e
"""

from .launch import cuda, device, kernel
from .ptx import near, put_near

WIDTH = 4  # float32 in 16 bytes


def elementwise(name, number, operands=1):
    """Return a function f(y, *operands, *numbers) that fills y with number(*operands, numbers) of each
    element.

    name      tells its kernels from those of other operations
    number    a function of `operands` elements and a tuple of numbers: one element of the result
    """
    number = device(number)
    if hasattr(number, "_set_uuid"):
        # numba's own would be new in every process, and kernels made of it not found on disk again
        number._set_uuid(f"elementwise {name}")
    kernels = {width: _kernel(name, number, operands, width) for width in (1, WIDTH)}

    def apply(y, *given):
        arrays, numbers = given[:operands], given[operands:]
        wide = y.dtype.itemsize == 4 and y.size % WIDTH == 0
        width = WIDTH if wide else 1
        kernels[width][y.size // width](*arrays, tuple(map(y.dtype.type, numbers)), y)

    return apply


def _kernel(name, number, operands, width):
    read, write, title = near(width), put_near(width), f"{name} by {width}"
    if operands == 1 and width == 1:

        @kernel(made_with=title)
        def one(a, numbers, y):
            for e in range(cuda.grid(1), y.size, cuda.gridsize(1)):
                y[e] = number(a[e], numbers)

        return one
    if operands == 2 and width == 1:

        @kernel(made_with=title)
        def two(a, b, numbers, y):
            for e in range(cuda.grid(1), y.size, cuda.gridsize(1)):
                y[e] = number(a[e], b[e], numbers)

        return two
    if operands == 1:

        @kernel(made_with=title)
        def one_by_four(a, numbers, y):
            for place in range(cuda.grid(1), y.size // width, cuda.gridsize(1)):
                e = width * place
                p, q, r, s = read(a, e, 0)
                write(y, e, (number(p, numbers), number(q, numbers), number(r, numbers), number(s, numbers)))

        return one_by_four

    @kernel(made_with=title)
    def two_by_four(a, b, numbers, y):
        for place in range(cuda.grid(1), y.size // width, cuda.gridsize(1)):
            e = width * place
            p, q, r, s = read(a, e, 0)
            t, u, v, w = read(b, e, 0)
            write(
                y,
                e,
                (number(p, t, numbers), number(q, u, numbers), number(r, v, numbers), number(s, w, numbers)),
            )

    return two_by_four
