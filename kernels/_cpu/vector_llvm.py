"""What the operations of kernels/_cpu/vector.py are in LLVM: a Numba type whose values are LLVM vectors, and
one instruction or few for each function.

For each function two things are registered: of which type its result is (type_callable), and which
instructions make it (lower_builtin). LLVM lowers a vector to what the machine has: one register, or two
halves.
"""

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, models, register_model, type_callable

from . import vector_in_numpy as vector
from .native import vector_bytes


class Vector(types.Type):
    """`width` numbers of `dtype` (a Numba scalar type; boolean for a mask)."""

    def __init__(self, dtype, width):
        self.dtype, self.width = dtype, width
        super().__init__(f"Vector({dtype}, {width})")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(
            manager, vector, ir.VectorType(manager.lookup(vector.dtype).get_value_type(), vector.width)
        )


def full_width(dtype):
    return vector_bytes() * 8 // dtype.bitwidth


def splat(builder, value, count):
    one = ir.VectorType(value.type, count)
    first = builder.insert_element(ir.Constant(one, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(
        first, first, ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count)
    )


def _to_vector(context, builder, value, type_, target):
    """A number as a vector of type `target`, with its dtype; a vector as it is."""
    return (
        value
        if isinstance(type_, Vector)
        else splat(builder, context.cast(builder, value, type_, target.dtype), target.width)
    )


def _first_vector(*operands):
    """The Vector among types that are Vectors (all alike) and numbers, else None."""
    vectors = {operand for operand in operands if isinstance(operand, Vector)}
    fit = all(isinstance(operand, (Vector, types.Number)) for operand in operands)
    return vectors.pop() if fit and len(vectors) == 1 else None


def _operation(function, build, count=2, mask=False):
    """Teach Numba `function` of `count` vectors or numbers, not all of them numbers: build(builder, *vectors)
    gives a vector, or a mask.
    """

    def result(operands):
        vector = _first_vector(*operands)
        return vector and (Vector(types.boolean, vector.width) if mask else vector)

    typers = {1: lambda a: result((a,)), 2: lambda a, b: result((a, b)), 3: lambda a, b, c: result((a, b, c))}

    @type_callable(function)
    def typer(context):
        return typers[count]

    def lower(context, builder, signature, values):
        target = _first_vector(*signature.args)
        return build(
            builder,
            *(
                _to_vector(context, builder, value, type_, target)
                for value, type_ in zip(values, signature.args)
            ),
        )

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
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(type_, [type_] * len(values)),
            f"llvm.{name}.v{type_.count}f{bits}",
        )
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
_operation(vector.sqrt, _llvm("sqrt"), count=1)
_operation(vector.nearest, _llvm("rint"), count=1)
_operation(vector.fma, _llvm("fmuladd"), count=3)
_operation(vector.minimum, _smaller_or_larger("<"))
_operation(vector.maximum, _smaller_or_larger(">"))
_operation(vector.fill_like, lambda builder, v, value: value)
for _symbol, _comparison in {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}.items():
    _operation(
        _comparison, lambda builder, a, b, symbol=_symbol: builder.fcmp_ordered(symbol, a, b), mask=True
    )
_operation(operator.ne, lambda builder, a, b: builder.fcmp_unordered("!=", a, b), mask=True)


@type_callable(vector.where)
def _type_where(context):
    return lambda mask, a, b: _first_vector(a, b)


@lower_builtin(vector.where, Vector, types.Any, types.Any)
def _lower_where(context, builder, signature, values):
    a, b = (
        _to_vector(context, builder, value, type_, signature.return_type)
        for value, type_ in zip(values[1:], signature.args[1:])
    )
    return builder.select(values[0], a, b)


@type_callable(vector.double)
def _type_double(context):
    return lambda v: Vector(types.float64, v.width)


@lower_builtin(vector.double, Vector)
def _lower_double(context, builder, signature, values):
    target = ir.VectorType(ir.DoubleType(), signature.return_type.width)
    return values[0] if values[0].type == target else builder.fpext(values[0], target)


@type_callable(vector.lane_sum)
def _type_lane_sum(context):
    return lambda v: v.dtype


@lower_builtin(vector.lane_sum, Vector)
def _lower_lane_sum(context, builder, signature, values):
    v, count = values[0], values[0].type.count
    while count > 1:
        count //= 2
        lower, upper = (
            ir.Constant(ir.VectorType(ir.IntType(32), count), list(range(first, first + count)))
            for first in (0, count)
        )
        v = builder.fadd(builder.shuffle_vector(v, v, lower), builder.shuffle_vector(v, v, upper))
    return builder.extract_element(v, ir.Constant(ir.IntType(32), 0))


@type_callable(vector.choose)
def _type_choose(context):
    return lambda v, single, double: single if v.dtype == types.float32 else double


@lower_builtin(vector.choose, Vector, types.Any, types.Any)
def _lower_choose(context, builder, signature, values):
    return values[1] if signature.args[0].dtype == types.float32 else values[2]


@type_callable(vector.polynomial)
def _type_polynomial(context):
    return lambda v, coefficients: v


@lower_builtin(vector.polynomial, Vector, types.UniTuple)
def _lower_polynomial(context, builder, signature, values):
    v, coefficients = values
    terms = [
        _to_vector(
            context,
            builder,
            builder.extract_value(coefficients, k),
            signature.args[1].dtype,
            signature.args[0],
        )
        for k in range(signature.args[1].count)
    ]
    value = terms.pop()
    while terms:
        value = _llvm("fmuladd")(builder, value, v, terms.pop())
    return value


def _bits_of(builder, v):
    """The float vector v as integers; the function that makes constants of them; how floats of its dtype lie
    in memory.
    """
    single = isinstance(v.type.element, ir.FloatType)
    integers = ir.VectorType(ir.IntType(32 if single else 64), v.type.count)
    bits = vector.bits_of_float("float32" if single else "float64")
    return (
        builder.bitcast(v, integers),
        lambda value: ir.Constant(integers, [int(value)] * v.type.count),
        bits,
    )


def _build_two_to(builder, n):
    _, constant, bits = _bits_of(builder, n)
    biased = builder.fadd(n, ir.Constant(n.type, [1.5 * 2.0**bits.mantissa + bits.bias] * n.type.count))
    return builder.bitcast(builder.shl(_bits_of(builder, biased)[0], constant(bits.mantissa)), n.type)


def _whole_exponent(builder, v):
    integers, constant, bits = _bits_of(builder, v)
    return builder.ashr(builder.sub(integers, constant(bits.root_half)), constant(bits.mantissa))


def _build_exponent(builder, v):
    return builder.sitofp(_whole_exponent(builder, v), v.type)


def _build_mantissa(builder, v):
    integers, constant, bits = _bits_of(builder, v)
    return builder.bitcast(
        builder.sub(integers, builder.shl(_whole_exponent(builder, v), constant(bits.mantissa))), v.type
    )


_operation(vector.two_to, _build_two_to, count=1)
_operation(vector.exponent, _build_exponent, count=1)
_operation(vector.mantissa, _build_mantissa, count=1)
