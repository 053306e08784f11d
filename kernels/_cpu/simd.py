"""The micro-kernels of the cpu backend, as explicit vectors.

Plain Numba loops do not reach the machine's limit, because LLVM will not keep a block of accumulators in registers by itself. These
do: Numba `intrinsics` that write the LLVM code of a loop whose accumulators are local vectors. A vector is as wide as the machine's registers
(kernels/_cpu/native.py), whatever they are, so the same text makes AVX-512, AVX2 and NEON code, in float32 and in float64.

multiply_add    y[m, p, :] = bias[m] + sum_k weight[k, m] x[offset[k] + p, :]         a scalar times a vector: forward and backward_input

                        p = 0     1     2                  Each of the M x P accumulators is a register that holds one output pixel of
                     x +-----+-----+-----+                 one map for L images. For every k the tile loads P vectors of x and M scalars of
       weight  m = 0   | acc | acc | acc |                 weight, each used P or M times: M + P loads for M * P multiply-adds, so the
               m = 1   | acc | acc | acc |                 arithmetic, not the memory, is what it waits for. With k over (c, u, v) it is a
               m = 2   | acc | acc | acc |                 convolution, with k over the connected maps only a table convolution, with k
                       +-----+-----+-----+                 over features a dense layer. `offset` says where in x the k-th vector lies.

add_row         y[p, :] += sum_k sum_v weight[k, v] x[offset[k] + p + v, :]           the same for a map alone, and turned round

                     x    0     1     2     3              Where maps cannot share a tile because each is fed by other maps, a piece of
                     v    0    0 1   0 1    1              one row and the V taps of a window's row make the tile: every vector of x is
                     acc  0     1     2                    loaded once and goes to V neighbouring accumulators. Turned round (x and y
                                                           exchanged) it is backward_input, and no product falls outside of the map.

dot             out[a, b] = sum over lanes and pixels q of dy[a, q, :] x[q + b, :]   a vector times a vector: backward_weight

                     x at tap b = 0     1     2            Each accumulator gathers L partial sums of one weight's gradient: tap b of the
                           +-----+-----+-----+             filter from the input map x to output map a. They are added up once, at
              dy of a = 0  | acc | acc | acc |             the end, over all pixels and blocks of images.
                    a = 1  | acc | acc | acc |
                           +-----+-----+-----+

Under NUMBA_DISABLE_JIT=1 they are NumPy functions of the same contract, for stepping through (kernels/_cpu/simd_in_numpy.py).
"""  # noqa: E501

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from .native import lanes, vector_bytes, vector_registers

# (M, P) that exist, for each M the widest first. Accumulators, M weights or P pixels must fit into the
# registers together.
TILES = (
    {8: (3, 2, 1), 6: (4, 2, 1), 4: (4, 2, 1), 2: (8, 4, 1), 1: (10, 4, 1)}
    if vector_registers() >= 32
    else {8: (1,), 6: (2, 1), 4: (2, 1), 2: (4, 1), 1: (10, 4, 1)}
)
# V: P that exist for `add_row`
ROWS = (
    {5: (10, 4, 1), 3: (10, 4, 1), 1: (10, 4, 1)}
    if vector_registers() >= 32
    else {5: (4, 1), 3: (6, 1), 1: (10, 1)}
)
# (A, B) that exist for `dot`
DOTS = (
    {4: (6, 5, 3, 1), 2: (6, 5, 3, 1), 1: (6, 5, 3, 1)}
    if vector_registers() >= 32
    else {2: (5, 3, 1), 1: (5, 3, 1)}
)


def _int(value):
    return ir.Constant(ir.IntType(64), value)


class _Emitter:
    """Writes LLVM code on vectors of `dtype` (a Numba float): what the micro-kernels say it with."""

    def __init__(self, context, builder, dtype):
        self.context, self.builder = context, builder
        self.scalar = ir.FloatType() if dtype == types.float32 else ir.DoubleType()
        self.lanes = lanes(dtype.name)
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)

    def pointer(self, array_type, array, index):
        """Where array[index] lies, for a flat array."""
        return self.builder.gep(
            self.context.make_array(array_type)(self.context, self.builder, array).data, [index]
        )

    def at(self, pointer, index, *scale):
        for factor in scale:
            index = self.builder.mul(index, factor)
        return self.builder.gep(pointer, [index])

    def prefetch(self, pointer):
        """Fetch the cache line at `pointer`, which is read soon, so that nobody waits for it then."""
        number = ir.IntType(32)
        byte = ir.IntType(8).as_pointer()
        signature = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        fetch = cgutils.get_or_insert_function(self.builder.module, signature, "llvm.prefetch.p0")
        self.builder.call(
            fetch, [self.builder.bitcast(pointer, byte), number(0), number(2), number(1)]
        )  # to read, into the second level, data

    def load(self, pointer):
        value = self.builder.load(self.builder.bitcast(pointer, self.vector.as_pointer()))
        value.align = self.scalar_bytes
        return value

    def store(self, value, pointer):
        self.builder.store(
            value, self.builder.bitcast(pointer, self.vector.as_pointer())
        ).align = self.scalar_bytes

    @property
    def scalar_bytes(self):
        return vector_bytes() // self.lanes

    def splat(self, scalar):
        """A vector with `scalar` in every lane."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(
            first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        )

    def accumulators(self, rows, columns):
        """rows x columns local vectors; LLVM keeps them in registers, since nobody takes their address."""
        return [[cgutils.alloca_once(self.builder, self.vector) for _ in range(columns)] for _ in range(rows)]

    def add_product(self, accumulator, a, b):
        """accumulator += a * b, rounded once."""
        fma = self._llvm("fma", self.vector, [self.vector] * 3)
        self.builder.store(self.builder.call(fma, (a, b, self.builder.load(accumulator))), accumulator)

    def lane_sum(self, vector):
        add_up = self._llvm("vector.reduce.fadd", self.scalar, [self.scalar, self.vector])
        return self.builder.call(add_up, (ir.Constant(self.scalar, 0.0), vector), fastmath=("reassoc",))

    def _llvm(self, name, result, arguments):
        return cgutils.get_or_insert_function(
            self.builder.module,
            ir.FunctionType(result, arguments),
            f"llvm.{name}.v{self.lanes}f{8 * self.scalar_bytes}",
        )

    def switch(self, first, second, shapes, body):
        """body(rows, columns) for the one of `shapes` that equals (first, second): each is code of
        its own.
        """
        b = self.builder
        done = b.append_basic_block("done")
        select = b.switch(b.add(b.mul(first, _int(256)), second), done)
        for rows, columns in shapes:
            block = b.append_basic_block(f"tile_{rows}x{columns}")
            select.add_case(_int(256 * rows + columns), block)
            b.position_at_end(block)
            body(rows, columns)
            b.branch(done)
        b.position_at_end(done)


def _shapes(table):
    return [(rows, columns) for rows, widths in table.items() for columns in widths]


@intrinsic
def multiply_add(
    typing, M, P, R, T, weight, w0, w_r, w_t, w_m, x, x0, x_p, offset, o0, o_r, bias, b0, y, y0, y_m, y_p, add
):
    """y[y0 + m y_m + p y_p + l] = bias[b0 + m] + sum over r < R, t < T of
    weight[w0 + r w_r + t w_t + m w_m] x[x0 + offset[o0 + r o_r + t] + p x_p + l]    for m < M, p < P, l < L; all arrays flat.

    With add = True what y holds takes the place of the bias. k runs in two loops, r over the rows of a window
    and t over what lies within a row, so that a window may be cut off at the map's edge.
    """  # noqa: E501
    n = types.int64
    signature = types.void(
        n, n, n, n, weight, n, n, n, n, x, n, n, offset, n, n, bias, n, y, n, n, n, types.boolean
    )

    def generate(context, b, signature, arguments):
        M, P, R, T, weight, w0, w_r, w_t, w_m, x, x0, x_p, offset, o0, o_r, bias, b0, y, y0, y_m, y_p, add = (
            arguments
        )
        _, _, _, _, tw, _, _, _, _, tx, _, _, to, _, _, tb, _, ty, _, _, _, _ = signature.args
        emit = _Emitter(context, b, tx.dtype)
        weights, xs, offsets = (
            emit.pointer(tw, weight, w0),
            emit.pointer(tx, x, x0),
            emit.pointer(to, offset, o0),
        )
        biases, ys = emit.pointer(tb, bias, b0), emit.pointer(ty, y, y0)

        def tile(rows, columns):
            acc = emit.accumulators(rows, columns)
            places = [
                [b.gep(ys, [b.add(b.mul(y_m, _int(m)), b.mul(y_p, _int(p)))]) for p in range(columns)]
                for m in range(rows)
            ]
            with b.if_else(add) as (on, afresh):
                with on:
                    for m in range(rows):
                        for p in range(columns):
                            b.store(emit.load(places[m][p]), acc[m][p])
                with afresh:
                    for m in range(rows):
                        start = emit.splat(b.load(emit.at(biases, _int(m))))
                        for p in range(columns):
                            b.store(start, acc[m][p])
            with cgutils.for_range(b, R) as r:
                weights_r, offsets_r = emit.at(weights, r.index, w_r), emit.at(offsets, r.index, o_r)
                with cgutils.for_range(b, T) as t:
                    here = b.gep(xs, [b.sext(b.load(emit.at(offsets_r, t.index)), ir.IntType(64))])
                    weights_t = emit.at(weights_r, t.index, w_t)
                    emit.prefetch(
                        b.gep(weights_t, [_int(emit.lanes)])
                    )  # what the next tile needs where weights of a tile are neighbours
                    x_here = [emit.load(emit.at(here, _int(p), x_p)) for p in range(columns)]
                    for m in range(rows):
                        w = emit.splat(b.load(emit.at(weights_t, _int(m), w_m)))
                        for p in range(columns):
                            emit.add_product(acc[m][p], w, x_here[p])
            for m in range(rows):
                for p in range(columns):
                    emit.store(b.load(acc[m][p]), places[m][p])

        emit.switch(M, P, _shapes(TILES), tile)
        return context.get_dummy_value()

    return signature, generate


def _row_tile(turned):
    @intrinsic
    def row_tile(typing, V, P, T, weight, w0, w_t, x, x0, offset, o0, y, y0):
        n = types.int64
        signature = types.void(n, n, n, weight, n, n, x, n, offset, n, y, n)

        def generate(context, b, signature, arguments):
            V, P, T, weight, w0, w_t, x, x0, offset, o0, y, y0 = arguments
            emit = _Emitter(context, b, signature.args[6].dtype)
            weights, xs, offsets, ys = (
                emit.pointer(signature.args[place], array, start)
                for place, array, start in ((3, weight, w0), (6, x, x0), (8, offset, o0), (10, y, y0))
            )

            def tile(taps, pixels):
                (acc,) = emit.accumulators(1, pixels + taps - 1 if turned else pixels)
                for q, accumulator in enumerate(acc):
                    b.store(emit.load(b.gep(ys, [_int(q * emit.lanes)])), accumulator)
                with cgutils.for_range(b, T) as t:
                    here = b.gep(xs, [b.sext(b.load(emit.at(offsets, t.index)), ir.IntType(64))])
                    weights_t = emit.at(weights, t.index, w_t)
                    w = [emit.splat(b.load(emit.at(weights_t, _int(v)))) for v in range(taps)]
                    for p in range(pixels if turned else pixels + taps - 1):
                        x_here = emit.load(b.gep(here, [_int(p * emit.lanes)]))
                        for v in range(taps):
                            q = p + v if turned else p - v
                            if 0 <= q < len(acc):
                                emit.add_product(acc[q], w[v], x_here)
                for q, accumulator in enumerate(acc):
                    emit.store(b.load(accumulator), b.gep(ys, [_int(q * emit.lanes)]))

            emit.switch(V, P, _shapes(ROWS), tile)
            return context.get_dummy_value()

        return signature, generate

    return row_tile


# add_row:       y[y0 + p L + l] += sum over t < T, v < V of weight[w0 + t w_t + v] x[x0 + offset[o0 + t] + (p + v) L + l]  # noqa: E501
#                for p < P, l < L; all arrays flat
# add_row_turned the same with p and p + v exchanged: what x[p] was multiplied by on the way to y, comes back
# to it
add_row, add_row_turned = _row_tile(False), _row_tile(True)


@intrinsic
def dot(
    typing, A, B, blocks, R, T, dy, d0, d_block, d_r, d_a, x, x0, x_block, x_r, x_t, x_b, out, o0, o_a, add
):
    """out[o0 + a o_a + b] = sum over n < blocks, r < R, t < T, l < L of
    dy[d0 + n d_block + r d_r + t L + a d_a + l] x[x0 + n x_block + r x_r + t x_t + b x_b + l]    for a < A, b < B; all arrays flat.

    With add = True the sum is added to what out holds.
    """  # noqa: E501
    n = types.int64
    signature = types.void(n, n, n, n, n, dy, n, n, n, n, x, n, n, n, n, n, out, n, n, types.boolean)

    def generate(context, b, signature, arguments):
        A, B, blocks, R, T, dy, d0, d_block, d_r, d_a, x, x0, x_block, x_r, x_t, x_b, out, o0, o_a, add = (
            arguments
        )
        emit = _Emitter(context, b, signature.args[10].dtype)
        dys, xs, outs = (
            emit.pointer(signature.args[place], array, start)
            for place, array, start in ((5, dy, d0), (10, x, x0), (16, out, o0))
        )
        L = _int(emit.lanes)

        def tile(rows, columns):
            acc = emit.accumulators(rows, columns)
            for row in acc:
                for accumulator in row:
                    b.store(emit.zero, accumulator)
            with cgutils.for_range(b, blocks) as block:
                dys_block, xs_block = emit.at(dys, block.index, d_block), emit.at(xs, block.index, x_block)
                with cgutils.for_range(b, R) as r:
                    dys_r, xs_r = emit.at(dys_block, r.index, d_r), emit.at(xs_block, r.index, x_r)
                    with cgutils.for_range(b, T) as t:
                        dys_t, xs_t = emit.at(dys_r, t.index, L), emit.at(xs_r, t.index, x_t)
                        x_here = [emit.load(emit.at(xs_t, _int(j), x_b)) for j in range(columns)]
                        for a in range(rows):
                            d = emit.load(emit.at(dys_t, _int(a), d_a))
                            for j in range(columns):
                                emit.add_product(acc[a][j], d, x_here[j])
            for a in range(rows):
                for j in range(columns):
                    place = b.gep(outs, [b.add(b.mul(o_a, _int(a)), _int(j))])
                    before = b.select(add, b.load(place), ir.Constant(emit.scalar, 0.0))
                    b.store(b.fadd(before, emit.lane_sum(b.load(acc[a][j]))), place)

        emit.switch(A, B, _shapes(DOTS), tile)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def transpose(typing, x, x0, x_row, y, y0, y_row):
    """y[y0 + j y_row + i] = x[x0 + i x_row + j]    for i, j < L, the lanes of a vector; all arrays flat.

    In registers: in the round with distance d, rows i and i + d exchange every other group of d elements.
    After the rounds 1, 2, 4, ... each element has moved by the binary digits in which its row and its column
    differ, and that is the transpose.
    """
    n = types.int64
    signature = types.void(x, n, n, y, n, n)

    def generate(context, b, signature, arguments):
        x, x0, x_row, y, y0, y_row = arguments
        emit = _Emitter(context, b, signature.args[0].dtype)
        xs, ys = emit.pointer(signature.args[0], x, x0), emit.pointer(signature.args[3], y, y0)
        L, d = emit.lanes, 1
        rows = [emit.load(emit.at(xs, _int(i), x_row)) for i in range(L)]
        shuffle = lambda a, c, places: b.shuffle_vector(
            a, c, ir.Constant(ir.VectorType(ir.IntType(32), L), places)
        )
        while d < L:
            for i in range(L):
                if not i & d:
                    upper, lower = (
                        rows[i],
                        rows[i + d],
                    )  # shuffle counts the lanes of the second vector from L on
                    rows[i] = shuffle(upper, lower, [L + j - d if j & d else j for j in range(L)])
                    rows[i + d] = shuffle(upper, lower, [L + j if j & d else j + d for j in range(L)])
            d *= 2
        for j in range(L):
            emit.store(rows[j], emit.at(ys, _int(j), y_row))
        return context.get_dummy_value()

    return signature, generate


if config.DISABLE_JIT:
    from .simd_in_numpy import add_row, add_row_turned, dot, multiply_add, transpose  # noqa: F401, F811
