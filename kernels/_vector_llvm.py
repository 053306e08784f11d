"""What the operations of kernels/_vector.py are in LLVM: a Numba type whose values are LLVM vectors, and one instruction or few for each function.

For each function two things are registered: of which type its result is (type_callable), and which instructions make it (lower_builtin). LLVM
lowers a vector to what the machine has: one register, or two halves.
"""
import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, models, register_model, type_callable

from . import _vector
from ._native import vector_bytes


class Vector(types.Type):
    """`width` numbers of `dtype` (a Numba scalar type; boolean for a mask)."""

    def __init__(self, dtype, width):
        self.dtype, self.width = dtype, width
        super().__init__(f"Vector({dtype}, {width})")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, ir.VectorType(manager.lookup(vector.dtype).get_value_type(), vector.width))


def _full_width(dtype):
    return vector_bytes() * 8 // dtype.bitwidth


def _splat(builder, value, count):
    one = ir.VectorType(value.type, count)
    first = builder.insert_element(ir.Constant(one, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count))


def _to_vector(context, builder, value, type_, target):
    """A number as a vector of type `target`, with its dtype; a vector as it is."""
    return value if isinstance(type_, Vector) else _splat(builder, context.cast(builder, value, type_, target.dtype), target.width)


def _first_vector(*operands):
    """The Vector among types that are Vectors (all alike) and numbers, else None."""
    vectors = {operand for operand in operands if isinstance(operand, Vector)}
    fit = all(isinstance(operand, (Vector, types.Number)) for operand in operands)
    return vectors.pop() if fit and len(vectors) == 1 else None


def _operation(function, build, count=2, mask=False):
    """Teach Numba `function` of `count` vectors or numbers, not all of them numbers: build(builder, *vectors) gives a vector, or a mask."""
    def result(operands):
        vector = _first_vector(*operands)
        return vector and (Vector(types.boolean, vector.width) if mask else vector)

    typers = {1: lambda a: result((a,)), 2: lambda a, b: result((a, b)), 3: lambda a, b, c: result((a, b, c))}

    @type_callable(function)
    def typer(context):
        return typers[count]

    def lower(context, builder, signature, values):
        target = _first_vector(*signature.args)
        return build(builder, *(_to_vector(context, builder, value, type_, target) for value, type_ in zip(values, signature.args)))

    kinds = [()]
    for _ in range(count):
        kinds = [(*kind, more) for kind in kinds for more in (Vector, types.Number)]
    for kind in kinds:
        if Vector in kind:
            lower_builtin(function, *kind)(lower)


def _llvm(name):
    """build for the LLVM intrinsic `name`, whose operands and result are all of one type."""
    def build(builder, *values):
        type_ = values[0].type
        bits = 32 if isinstance(type_.element, ir.FloatType) else 64
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(type_, [type_] * len(values)), f"llvm.{name}.v{type_.count}f{bits}")
        return builder.call(function, values)
    return build


def _smaller_or_larger(comparison):
    return lambda builder, a, b: builder.select(builder.fcmp_ordered(comparison, a, b), a, b)


for _symbol in ("add", "iadd"):
    _operation(getattr(operator, _symbol), lambda builder, a, b: builder.fadd(a, b))
_operation(operator.sub, lambda builder, a, b: builder.fsub(a, b))
_operation(operator.mul, lambda builder, a, b: builder.fmul(a, b))
_operation(operator.truediv, lambda builder, a, b: builder.fdiv(a, b))
_operation(operator.neg, lambda builder, a: builder.fneg(a), count=1)
_operation(abs, _llvm("fabs"), count=1)
_operation(_vector.sqrt, _llvm("sqrt"), count=1)
_operation(_vector.nearest, _llvm("rint"), count=1)
_operation(_vector.fma, _llvm("fmuladd"), count=3)
_operation(_vector.minimum, _smaller_or_larger("<"))
_operation(_vector.maximum, _smaller_or_larger(">"))
_operation(_vector.fill_like, lambda builder, v, value: value)
for _symbol, _comparison in {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq}.items():
    _operation(_comparison, lambda builder, a, b, symbol=_symbol: builder.fcmp_ordered(symbol, a, b), mask=True)
_operation(operator.ne, lambda builder, a, b: builder.fcmp_unordered("!=", a, b), mask=True)


@type_callable(_vector.where)
def _type_where(context):
    return lambda mask, a, b: _first_vector(a, b)


@lower_builtin(_vector.where, Vector, types.Any, types.Any)
def _lower_where(context, builder, signature, values):
    a, b = (_to_vector(context, builder, value, type_, signature.return_type) for value, type_ in zip(values[1:], signature.args[1:]))
    return builder.select(values[0], a, b)


@type_callable(_vector.double)
def _type_double(context):
    return lambda v: Vector(types.float64, v.width)


@lower_builtin(_vector.double, Vector)
def _lower_double(context, builder, signature, values):
    target = ir.VectorType(ir.DoubleType(), signature.return_type.width)
    return values[0] if values[0].type == target else builder.fpext(values[0], target)


@type_callable(_vector.lane_sum)
def _type_lane_sum(context):
    return lambda v: v.dtype


@lower_builtin(_vector.lane_sum, Vector)
def _lower_lane_sum(context, builder, signature, values):
    v, count = values[0], values[0].type.count
    while count > 1:
        count //= 2
        lower, upper = (ir.Constant(ir.VectorType(ir.IntType(32), count), list(range(first, first + count))) for first in (0, count))
        v = builder.fadd(builder.shuffle_vector(v, v, lower), builder.shuffle_vector(v, v, upper))
    return builder.extract_element(v, ir.Constant(ir.IntType(32), 0))


@type_callable(_vector.choose)
def _type_choose(context):
    return lambda v, single, double: single if v.dtype == types.float32 else double


@lower_builtin(_vector.choose, Vector, types.Any, types.Any)
def _lower_choose(context, builder, signature, values):
    return values[1] if signature.args[0].dtype == types.float32 else values[2]


@type_callable(_vector.polynomial)
def _type_polynomial(context):
    return lambda v, coefficients: v


@lower_builtin(_vector.polynomial, Vector, types.UniTuple)
def _lower_polynomial(context, builder, signature, values):
    v, coefficients = values
    terms = [_to_vector(context, builder, builder.extract_value(coefficients, k), signature.args[1].dtype, signature.args[0])
             for k in range(signature.args[1].count)]
    value = terms.pop()
    while terms:
        value = _llvm("fmuladd")(builder, value, v, terms.pop())
    return value


def _bits_of(builder, v):
    """The float vector v as integers; the function that makes constants of them; how floats of its dtype lie in memory."""
    single = isinstance(v.type.element, ir.FloatType)
    integers = ir.VectorType(ir.IntType(32 if single else 64), v.type.count)
    bits = _vector.bits_of_float("float32" if single else "float64")
    return builder.bitcast(v, integers), lambda value: ir.Constant(integers, [int(value)] * v.type.count), bits


def _build_two_to(builder, n):
    _, constant, bits = _bits_of(builder, n)
    biased = builder.fadd(n, ir.Constant(n.type, [1.5 * 2.0 ** bits.mantissa + bits.bias] * n.type.count))
    return builder.bitcast(builder.shl(_bits_of(builder, biased)[0], constant(bits.mantissa)), n.type)


def _whole_exponent(builder, v):
    integers, constant, bits = _bits_of(builder, v)
    return builder.ashr(builder.sub(integers, constant(bits.root_half)), constant(bits.mantissa))


def _build_exponent(builder, v):
    return builder.sitofp(_whole_exponent(builder, v), v.type)


def _build_mantissa(builder, v):
    integers, constant, bits = _bits_of(builder, v)
    return builder.bitcast(builder.sub(integers, builder.shl(_whole_exponent(builder, v), constant(bits.mantissa))), v.type)


_operation(_vector.two_to, _build_two_to, count=1)
_operation(_vector.exponent, _build_exponent, count=1)
_operation(_vector.mantissa, _build_mantissa, count=1)


def _indices(index):
    return index.count if isinstance(index, types.BaseTuple) else 1


def _pointer(context, builder, array, index, values, vector):
    """The address of array[index], as a pointer to vectors of the type `vector`, and how many elements its last axis has from there on."""
    data, place = values
    places = [place] if isinstance(index, types.Integer) else cgutils.unpack_tuple(builder, place, len(index))
    kinds = [index] if isinstance(index, types.Integer) else list(index)
    places = [context.cast(builder, value, kind, types.intp) for value, kind in zip(places, kinds)]
    record = context.make_array(array)(context, builder, data)
    shape = cgutils.unpack_tuple(builder, record.shape, array.ndim)
    left = builder.sub(shape[-1], places[-1])
    if len(places) < array.ndim:                             # the lanes: their number is that of the vector
        places.append(context.get_constant(types.intp, 0))
        shape[-1] = context.get_constant(types.intp, vector.width)
    offset = places[0]
    for size, value in zip(shape[1:], places[1:]):
        offset = builder.add(builder.mul(offset, size), value)
    return builder.bitcast(builder.gep(record.data, [offset]), context.get_value_type(vector).as_pointer()), left


def _check_rows(x, index):
    return isinstance(x, types.Array) and x.layout == "C" and 0 <= x.ndim - _indices(index) <= 1


@type_callable(_vector.width)
def _type_width(context):
    return lambda x: types.intp


@lower_builtin(_vector.width, types.Array)
def _lower_width(context, builder, signature, values):
    return context.get_constant(types.intp, _full_width(signature.args[0].dtype))


@type_callable(_vector.load)
def _type_load(context):
    return lambda x, index: Vector(x.dtype, _full_width(x.dtype) if x.ndim > _indices(index) else 1) if _check_rows(x, index) else None


@lower_builtin(_vector.load, types.Array, types.Any)
def _lower_load(context, builder, signature, values):
    pointer, _ = _pointer(context, builder, *signature.args, values, signature.return_type)
    return builder.load(pointer, align=signature.args[0].dtype.bitwidth // 8)


@type_callable(_vector.store)
def _type_store(context):
    return lambda y, index, v: types.none if _check_rows(y, index) and isinstance(v, Vector) and v.dtype == y.dtype else None


@lower_builtin(_vector.store, types.Array, types.Any, Vector)
def _lower_store(context, builder, signature, values):
    y, index, vector = signature.args
    pointer, _ = _pointer(context, builder, y, index, values[:2], vector)
    builder.store(values[2], pointer, align=y.dtype.bitwidth // 8)
    return context.get_dummy_value()


@type_callable(_vector.load_run)
def _type_load_run(context):
    return lambda x, index: Vector(x.dtype, _full_width(x.dtype)) if x.layout == "C" and x.ndim == _indices(index) else None


@lower_builtin(_vector.load_run, types.Array, types.Any)
def _lower_load_run(context, builder, signature, values):
    vector, size = signature.return_type, signature.args[0].dtype.bitwidth // 8
    pointer, left = _pointer(context, builder, *signature.args, values, vector)
    with builder.if_else(_all(context, builder, left, vector)) as (full, part):
        with full:
            whole, from_full = builder.load(pointer, align=size), builder.block
        with part:
            kind = whole.type
            masked = _masked(builder, "load", kind, kind, [pointer.type, ir.IntType(32), _mask_type(kind), kind])
            rest = builder.call(masked, [pointer, ir.IntType(32)(size), _first_lanes(builder, left, kind.count), ir.Constant(kind, None)])
            from_part = builder.block
    value = builder.phi(kind)
    value.add_incoming(whole, from_full)
    value.add_incoming(rest, from_part)
    return value


@type_callable(_vector.store_run)
def _type_store_run(context):
    return lambda y, index, v: types.none if y.layout == "C" and y.ndim == _indices(index) and v == Vector(y.dtype, _full_width(y.dtype)) else None


@lower_builtin(_vector.store_run, types.Array, types.Any, Vector)
def _lower_store_run(context, builder, signature, values):
    y, index, vector = signature.args
    size = y.dtype.bitwidth // 8
    pointer, left = _pointer(context, builder, y, index, values[:2], vector)
    with builder.if_else(_all(context, builder, left, vector)) as (full, part):
        with full:
            builder.store(values[2], pointer, align=size)
        with part:
            kind = values[2].type
            masked = _masked(builder, "store", kind, ir.VoidType(), [kind, pointer.type, ir.IntType(32), _mask_type(kind)])
            builder.call(masked, [values[2], pointer, ir.IntType(32)(size), _first_lanes(builder, left, kind.count)])
    return context.get_dummy_value()


def _all(context, builder, left, vector):
    return builder.icmp_signed(">=", left, context.get_constant(types.intp, vector.width))


def _mask_type(kind):
    return ir.VectorType(ir.IntType(1), kind.count)


def _first_lanes(builder, left, count):
    """A mask of the lanes 0 ... left - 1."""
    numbers = ir.Constant(ir.VectorType(left.type, count), list(range(count)))
    return builder.icmp_signed("<", numbers, _splat(builder, left, count))


def _masked(builder, name, kind, result, operands):
    full_name = f"llvm.masked.{name}.v{kind.count}f{32 if isinstance(kind.element, ir.FloatType) else 64}.p0"
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, operands), full_name)
