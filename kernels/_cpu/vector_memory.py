"""How the vectors of kernels/_cpu/vector.py are loaded from arrays and stored in them, in LLVM; what is
computed with them stands in _vector_llvm.py.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, type_callable

from . import vector_in_numpy as vector
from .vector_llvm import Vector, full_width, splat


def _indices(index):
    return index.count if isinstance(index, types.BaseTuple) else 1


def _pointer(context, builder, array, index, values, vector):
    """The address of array[index], as a pointer to vectors of the type `vector`, and how many elements its
    last axis has from there on.
    """
    data, place = values
    places = [place] if isinstance(index, types.Integer) else cgutils.unpack_tuple(builder, place, len(index))
    kinds = [index] if isinstance(index, types.Integer) else list(index)
    places = [context.cast(builder, value, kind, types.intp) for value, kind in zip(places, kinds)]
    record = context.make_array(array)(context, builder, data)
    shape = cgutils.unpack_tuple(builder, record.shape, array.ndim)
    left = builder.sub(shape[-1], places[-1])
    if len(places) < array.ndim:  # the lanes: their number is that of the vector
        places.append(context.get_constant(types.intp, 0))
        shape[-1] = context.get_constant(types.intp, vector.width)
    offset = places[0]
    for size, value in zip(shape[1:], places[1:]):
        offset = builder.add(builder.mul(offset, size), value)
    return builder.bitcast(
        builder.gep(record.data, [offset]), context.get_value_type(vector).as_pointer()
    ), left


def _check_rows(x, index):
    return isinstance(x, types.Array) and x.layout == "C" and 0 <= x.ndim - _indices(index) <= 1


@type_callable(vector.width)
def _type_width(context):
    return lambda x: types.intp


@lower_builtin(vector.width, types.Array)
def _lower_width(context, builder, signature, values):
    return context.get_constant(types.intp, full_width(signature.args[0].dtype))


@type_callable(vector.load)
def _type_load(context):
    return lambda x, index: (
        Vector(x.dtype, full_width(x.dtype) if x.ndim > _indices(index) else 1)
        if _check_rows(x, index)
        else None
    )


@lower_builtin(vector.load, types.Array, types.Any)
def _lower_load(context, builder, signature, values):
    pointer, _ = _pointer(context, builder, *signature.args, values, signature.return_type)
    return builder.load(pointer, align=signature.args[0].dtype.bitwidth // 8)


@type_callable(vector.store)
def _type_store(context):
    return lambda y, index, v: (
        types.none if _check_rows(y, index) and isinstance(v, Vector) and v.dtype == y.dtype else None
    )


@lower_builtin(vector.store, types.Array, types.Any, Vector)
def _lower_store(context, builder, signature, values):
    y, index, vector = signature.args
    pointer, _ = _pointer(context, builder, y, index, values[:2], vector)
    builder.store(values[2], pointer, align=y.dtype.bitwidth // 8)
    return context.get_dummy_value()


@type_callable(vector.load_run)
def _type_load_run(context):
    return lambda x, index: (
        Vector(x.dtype, full_width(x.dtype)) if x.layout == "C" and x.ndim == _indices(index) else None
    )


@lower_builtin(vector.load_run, types.Array, types.Any)
def _lower_load_run(context, builder, signature, values):
    vector, size = signature.return_type, signature.args[0].dtype.bitwidth // 8
    pointer, left = _pointer(context, builder, *signature.args, values, vector)
    with builder.if_else(_all(context, builder, left, vector)) as (full, part):
        with full:
            whole, from_full = builder.load(pointer, align=size), builder.block
        with part:
            kind = whole.type
            masked = _masked(
                builder, "load", kind, kind, [pointer.type, ir.IntType(32), _mask_type(kind), kind]
            )
            rest = builder.call(
                masked,
                [
                    pointer,
                    ir.IntType(32)(size),
                    _first_lanes(builder, left, kind.count),
                    ir.Constant(kind, None),
                ],
            )
            from_part = builder.block
    value = builder.phi(kind)
    value.add_incoming(whole, from_full)
    value.add_incoming(rest, from_part)
    return value


@type_callable(vector.store_run)
def _type_store_run(context):
    return lambda y, index, v: (
        types.none
        if y.layout == "C" and y.ndim == _indices(index) and v == Vector(y.dtype, full_width(y.dtype))
        else None
    )


@lower_builtin(vector.store_run, types.Array, types.Any, Vector)
def _lower_store_run(context, builder, signature, values):
    y, index, vector = signature.args
    size = y.dtype.bitwidth // 8
    pointer, left = _pointer(context, builder, y, index, values[:2], vector)
    with builder.if_else(_all(context, builder, left, vector)) as (full, part):
        with full:
            builder.store(values[2], pointer, align=size)
        with part:
            kind = values[2].type
            masked = _masked(
                builder, "store", kind, ir.VoidType(), [kind, pointer.type, ir.IntType(32), _mask_type(kind)]
            )
            builder.call(
                masked, [values[2], pointer, ir.IntType(32)(size), _first_lanes(builder, left, kind.count)]
            )
    return context.get_dummy_value()


def _all(context, builder, left, vector):
    return builder.icmp_signed(">=", left, context.get_constant(types.intp, vector.width))


def _mask_type(kind):
    return ir.VectorType(ir.IntType(1), kind.count)


def _first_lanes(builder, left, count):
    """A mask of the lanes 0 ... left - 1."""
    numbers = ir.Constant(ir.VectorType(left.type, count), list(range(count)))
    return builder.icmp_signed("<", numbers, splat(builder, left, count))


def _masked(builder, name, kind, result, operands):
    full_name = f"llvm.masked.{name}.v{kind.count}f{32 if isinstance(kind.element, ir.FloatType) else 64}.p0"
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, operands), full_name)
