"""The few machine instructions of the GPU that Python has no word for, as intrinsics: what the tiles of
kernels/_cuda/tiles.py are made of.

    copier(width)              copy(shared, place, array, index, inside): shared[place + i] = array[index +
                               i], or 0, for i < width, without waiting
    end_of_copies()            the copies since the last end are a group
    copies_but(newest)         wait(): until all groups of copies of this thread but the newest have arrived
    at(array, index)           array[index] of an array in memory; at_shared: in shared memory
    near(width)                read(array, index, offset): array[index + offset + i] for i < width, a tuple,
                               in one load: width is 1, 2 or 4, index int64, offset int32, and their sum a
                               multiple of width; cheap where a loop does not change the offset; near_shared:
                               in shared memory, index int32
    reader(count, apart)       read(array, index): array[index + i * apart] for i < count, a tuple, in memory
    put(array, index, number)  array[index] = number, in memory; put_shared: in shared memory
    put_near(width)            put(array, index, numbers): array[index + i] = numbers[i] for i < width, in one
                               store; index a multiple of width
    product(a, b)              a * b in float32, rounded before anything is added to it
    thread(), block()          threadIdx.x and blockIdx.x, read anew: what follows from them need not stay in
                               registers meanwhile
    accumulators(count)        zeros(): as many numbers 0, each in a register
    multiply_add(a, b, ks)     step(sums, shared, a0, b0): sums[i, j] += sum over k in ks of A[i, k] B[j, k],
                               read from shared memory
    multiply_add_tf32(...)     the same on tensor cores, 16 x 8 x 8 at a time by a whole warp, of A and B
                               rounded to 10 bits behind the point
    putter(a, b, part)         put(sums, shared, place): the sums into shared memory

What a lane holds of the 16 x 8 x 8 (mma.m16n8k8 of the PTX manual), where g = lane // 4 and t = lane % 4:

    first factor   (row g, k t)  (row g + 8, k t)  (row g, k t + 4)  (row g + 8, k t + 4)
    second factor  (k t, column g)  (k t + 4, column g)
    sum            (row g, column 2 t)  (g, 2 t + 1)  (g + 8, 2 t)  (g + 8, 2 t + 1)

Here the first factor is B, and its rows are columns of the product, so that neighbours can be loaded
together: "row g" is column 2 g of B, "row g + 8" is 2 g + 1; "k t" is 2 t and "k t + 4" is 2 t + 1, in both
factors: a sum over k may be taken in any order.

All indices are int32, or for at and put also int64, count elements, and are not checked. Numba would keep an
array of sums in memory; here they are a tuple, of which LLVM makes one register each, because every place in
it is a constant. The sum over k is one chain of fused multiply-adds in the order of k.

In numba-cuda's simulator they are NumPy functions of the same contract (kernels/_cuda/ptx_in_numpy.py).
"""

from dataclasses import dataclass
from functools import cache

from . import package

SHARED, GLOBAL = 3, 1  # address spaces of LLVM's NVPTX backend
ALIGNMENT = None if package.SIMULATOR else 16  # bytes, of shared memory: the longest copy


@dataclass(frozen=True)
class Fragment:
    """Which elements of an operand in shared memory one thread multiplies, and where: `count` of them for
    every k, at constant distances from its first.

    They come in runs of `run`, `near` to each other, one run `far` from the next.
    """

    count: int
    across: bool  # whether k is the fastest axis in shared memory, [i][k], or the slowest, [k][i]
    stride: int  # words from one row of shared memory to the next
    run: int
    near: int
    far: int

    def element(self, i):
        """Which row or column of the tile element i is, counted from the thread's first."""
        return i // self.run * self.far + i % self.run * self.near

    def place(self, i, k):
        """Words from the thread's first element to element i at k."""
        return self.element(i) * self.stride + k if self.across else self.element(i) + k * self.stride


if package.INSTALLED and not package.SIMULATOR:
    from llvmlite import ir

    from .package import intrinsic, types

    def _named(instruction, *parameters):
        """The intrinsic under a name that says what it is. Numba's own name for it would be new in every
        process, and kernels made of it not found on disk again.
        """
        instruction._set_uuid(repr((instruction.__name__, *parameters)))
        return instruction

    FLOAT, INT, LONG, VOID = ir.FloatType(), ir.IntType(32), ir.IntType(64), ir.VoidType()
    # llvmlite keeps the text of a type in it once it was asked for. Asked now, since kernels on disk are
    # found by all that they refer to, bit for bit
    [str(kind) for kind in (FLOAT, INT, LONG, VOID)]

    def _pointer(context, builder, array_type, array, index, space):
        """Where array[index] lies, for a flat array, as a pointer into its address space."""
        data = context.make_array(array_type)(context, builder, array).data
        return builder.gep(
            builder.addrspacecast(data, data.type.pointee.as_pointer(space), "addrspacecast"), [index]
        )

    def _beyond(builder, pointer, words):
        return builder.gep(pointer, [ir.Constant(INT, words)])

    def _load(builder, pointer, count):
        """`count` numbers side by side, in one load: 1, 2 or 4."""
        if count == 1:
            return [builder.load(pointer)]
        vector = builder.load(builder.bitcast(pointer, ir.VectorType(FLOAT, count).as_pointer(SHARED)))
        vector.align = 4 * count
        return [builder.extract_element(vector, ir.Constant(INT, i)) for i in range(count)]

    def _store(builder, pointer, numbers):
        """Numbers side by side, in one store: 2 or 4. Where lanes write 16 bytes each, it is without bank
        conflicts if 8 neighbours write 8 x 16 bytes in a row.
        """
        kind = ir.VectorType(FLOAT, len(numbers))
        vector = ir.Constant(kind, ir.Undefined)
        for n, number in enumerate(numbers):
            vector = builder.insert_element(vector, number, ir.Constant(INT, n))
        builder.store(vector, builder.bitcast(pointer, kind.as_pointer(SHARED)), align=4 * len(numbers))

    def _ptx(builder, text, result, operands, constraints):
        """One instruction of PTX. It is not moved across others, and memory counts as changed."""
        kind = ir.FunctionType(result, [operand.type for operand in operands])
        return builder.asm(kind, text, ",".join([*constraints, "~{memory}"]), operands, True)

    @cache
    def copier(width):
        kind, size = ("cg", 16) if width == 4 else ("ca", 4)

        @intrinsic
        def copy(typing, shared, place, array, index, inside):
            def codegen(context, builder, signature, arguments):
                to = builder.ptrtoint(
                    _pointer(context, builder, signature.args[0], arguments[0], ir.Constant(INT, 0), SHARED),
                    INT,
                )
                to = builder.add(
                    to, builder.mul(arguments[1], ir.Constant(INT, 4))
                )  # addresses of shared memory have 32 bits
                origin = _pointer(context, builder, signature.args[2], *arguments[2:4], GLOBAL)
                # of so many bytes of the source: what is missing of the copy is filled with zeros
                present = builder.select(arguments[4], ir.Constant(INT, size), ir.Constant(INT, 0))
                _ptx(
                    builder,
                    f"cp.async.{kind}.shared.global [$0], [$1], {size}, $2;",
                    VOID,
                    [to, builder.ptrtoint(origin, LONG), present],
                    ["r", "l", "r"],
                )
                return context.get_dummy_value()

            return types.void(shared, types.int32, array, types.int32, types.boolean), codegen

        return _named(copy, width)

    @cache
    def _order(text):
        @intrinsic
        def order(typing):
            def codegen(context, builder, signature, arguments):
                _ptx(builder, text, VOID, [], [])
                return context.get_dummy_value()

            return types.void(), codegen

        return _named(order, text)

    end_of_copies = _order("cp.async.commit_group;")

    def copies_but(newest):
        return _order(f"cp.async.wait_group {newest};")

    def _special(name):
        @intrinsic
        def number(typing):
            def codegen(context, builder, signature, arguments):
                return _ptx(builder, f"mov.u32 $0, %{name};", INT, [], ["=r"])

            return types.int32(), codegen

        return _named(number, name)

    thread, block = _special("tid.x"), _special("ctaid.x")

    def _at(space):
        @intrinsic
        def at(typing, array, index):
            def codegen(context, builder, signature, arguments):
                return builder.load(_pointer(context, builder, signature.args[0], *arguments, space))

            return array.dtype(array, index), codegen

        return _named(at, space)

    at, at_shared = _at(GLOBAL), _at(SHARED)

    def _near(space, index_type):
        @cache
        def near(width):
            @intrinsic
            def near(typing, array, index, offset):
                def codegen(context, builder, signature, arguments):
                    base = _pointer(context, builder, signature.args[0], *arguments[:2], space)
                    pointer = builder.gep(base, [arguments[2]])
                    if width == 1:
                        return _tuple(builder, [builder.load(pointer)])
                    kind = ir.VectorType(pointer.type.pointee, width)
                    vector = builder.load(builder.bitcast(pointer, kind.as_pointer(space)))
                    vector.align = width * array.dtype.bitwidth // 8
                    return _tuple(
                        builder, [builder.extract_element(vector, ir.Constant(INT, i)) for i in range(width)]
                    )

                return types.UniTuple(array.dtype, width)(array, index_type, types.int32), codegen

            return _named(near, width, space)

        return near

    near, near_shared = _near(GLOBAL, types.int64), _near(SHARED, types.int32)

    @cache
    def reader(count, apart):
        @intrinsic
        def read(typing, array, index):
            def codegen(context, builder, signature, arguments):
                base = _pointer(context, builder, signature.args[0], *arguments, GLOBAL)
                return _tuple(
                    builder, [builder.load(_beyond(builder, base, i * apart)) for i in range(count)]
                )

            return types.UniTuple(array.dtype, count)(array, types.int32), codegen

        return _named(read, count, apart)

    def _put(space):
        @intrinsic
        def put(typing, array, index, number):
            def codegen(context, builder, signature, arguments):
                builder.store(
                    arguments[2], _pointer(context, builder, signature.args[0], *arguments[:2], space)
                )
                return context.get_dummy_value()

            return types.void(array, index, array.dtype), codegen

        return _named(put, space)

    put, put_shared = _put(GLOBAL), _put(SHARED)

    @cache
    def put_near(width):
        @intrinsic
        def put(typing, array, index, numbers):
            def codegen(context, builder, signature, arguments):
                pointer = _pointer(context, builder, signature.args[0], *arguments[:2], GLOBAL)
                kind = ir.VectorType(pointer.type.pointee, width)
                vector = ir.Constant(kind, ir.Undefined)
                for n in range(width):
                    number = builder.extract_value(arguments[2], n)
                    vector = builder.insert_element(vector, number, ir.Constant(INT, n))
                to = builder.bitcast(pointer, kind.as_pointer(GLOBAL))
                builder.store(vector, to, align=width * array.dtype.bitwidth // 8)
                return context.get_dummy_value()

            return types.void(array, index, types.UniTuple(array.dtype, width)), codegen

        return _named(put, width, "near")

    @intrinsic
    def product(typing, a, b):
        def codegen(context, builder, signature, arguments):
            kind = ir.FunctionType(FLOAT, [FLOAT, FLOAT])
            return builder.asm(kind, "mul.rn.f32 $0, $1, $2;", "=f,f,f", arguments, False)

        return types.float32(types.float32, types.float32), codegen

    _named(product)

    @cache
    def accumulators(count):
        @intrinsic
        def zeros(typing):
            return types.UniTuple(
                types.float32, count
            )(), lambda context, builder, signature, arguments: ir.Constant(
                ir.ArrayType(FLOAT, count), [0.0] * count
            )

        return _named(zeros, count)

    def _numbers(builder, sums):
        return [builder.extract_value(sums, n) for n in range(sums.type.count)]

    def _tuple(builder, numbers):
        made = ir.Constant(ir.ArrayType(numbers[0].type, len(numbers)), ir.Undefined)
        for n, number in enumerate(numbers):
            made = builder.insert_value(made, number, n)
        return made

    def _loaded(builder, base, fragment, i, k, width):
        """The elements that one load brings, {(i, k): number}: `width` k of one i, or one k of `width` i."""
        numbers = _load(builder, _beyond(builder, base, fragment.place(i, k)), width)
        return {(i, k + n) if fragment.across else (i + n, k): number for n, number in enumerate(numbers)}

    @cache
    def multiply_add(a, b, ks):  # b is not across
        @intrinsic
        def step(typing, sums, shared, a0, b0):
            def codegen(context, builder, signature, arguments):
                numbers = _numbers(builder, arguments[0])
                bases = [
                    _pointer(context, builder, signature.args[1], arguments[1], arguments[n], SHARED)
                    for n in (2, 3)
                ]

                for first in ks[::4]:
                    A = {}
                    for i in range(a.count) if a.across else ():
                        A |= _loaded(builder, bases[0], a, i, first, 4)
                    for k in range(first, first + 4):
                        B = {}
                        for i in () if a.across else range(0, a.count, 4):
                            A |= _loaded(builder, bases[0], a, i, k, 4)
                        for j in range(0, b.count, 4):
                            B |= _loaded(builder, bases[1], b, j, k, 4)
                        for n in range(a.count * b.count):
                            numbers[n] = builder.fma(A[n // b.count, k], B[n % b.count, k], numbers[n])
                return _tuple(builder, numbers)

            return sums(sums, shared, types.int32, types.int32), codegen

        return _named(step, a, b, ks)

    MMA = (
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {$0, $1, $2, $3}, {$4, $5, $6, $7}, {$8, $9}, "
        "{$10, $11, $12, $13};",
        "=f,=f,=f,=f,r,r,r,r,r,r,0,1,2,3",
    )

    @cache
    def multiply_add_tf32(a, b, ks):  # b is not across
        @intrinsic
        def step(typing, sums, shared, a0, b0):
            def codegen(context, builder, signature, arguments):
                numbers = _numbers(builder, arguments[0])
                bases = [
                    _pointer(context, builder, signature.args[1], arguments[1], arguments[n], SHARED)
                    for n in (2, 3)
                ]
                four = ir.LiteralStructType([FLOAT] * 4)

                def rounded(base, fragment, i, k, width):
                    return {
                        place: builder.asm(
                            ir.FunctionType(INT, [FLOAT]), "cvt.rna.tf32.f32 $0, $1;", "=r,f", [number], False
                        )
                        for place, number in _loaded(builder, base, fragment, i, k, width).items()
                    }

                for k in ks[::8]:  # of these eight, a thread has two neighbours
                    A, B = {}, {}
                    for i in range(0, a.count, 2):
                        for n in (0,) if a.across else (0, 1):
                            A |= rounded(bases[0], a, i, k + n, 2 if a.across else 1)
                    for j in range(0, b.count, 2):
                        for n in (0, 1):
                            B |= rounded(bases[1], b, j, k + n, 2)
                    for i in range(0, a.count, 2):
                        for j in range(0, b.count, 2):
                            places = [(i + m) * b.count + j + n for n in (0, 1) for m in (0, 1)]
                            operands = [
                                B[j, k],
                                B[j + 1, k],
                                B[j, k + 1],
                                B[j + 1, k + 1],
                                A[i, k],
                                A[i, k + 1],
                                *(numbers[n] for n in places),
                            ]
                            kind = ir.FunctionType(four, [operand.type for operand in operands])
                            result = builder.asm(kind, MMA[0], MMA[1], operands, False)
                            for place, n in enumerate(places):
                                numbers[n] = builder.extract_value(result, place)
                return _tuple(builder, numbers)

            return sums(sums, shared, types.int32, types.int32), codegen

        return _named(step, a, b, ks, "tf32")

    @cache
    def putter(a, b, stride, part, parts):
        """put(sums, shared, place): part `part` of `parts` of a thread's rows, to shared[place + row * stride
        + column].
        """
        rows = range(part * a.count // parts, (part + 1) * a.count // parts)

        @intrinsic
        def put(typing, sums, shared, place):
            def codegen(context, builder, signature, arguments):
                base = _pointer(context, builder, signature.args[1], *arguments[1:], SHARED)
                for i in rows:
                    for j in range(0, b.count, b.run):
                        words = (a.element(i) - a.element(rows[0])) * stride + b.element(j)
                        numbers = [
                            builder.extract_value(arguments[0], i * b.count + j + n) for n in range(b.run)
                        ]
                        _store(builder, _beyond(builder, base, words), numbers)
                return context.get_dummy_value()

            return types.void(sums, shared, types.int32), codegen

        return _named(put, a, b, stride, part, parts)
else:
    from .ptx_in_numpy import (  # noqa: F401
        accumulators,
        at,
        at_shared,
        block,
        copier,
        copies_but,
        end_of_copies,
        multiply_add,
        multiply_add_tf32,
        near,
        near_shared,
        product,
        put,
        put_near,
        put_shared,
        putter,
        reader,
        thread,
    )
