"""Capturing a step on a GPU: all that the framework needs of kernels/_cuda for it, under one public name.

    stream, copy_stream, event, pinned    the order of kernels, and copies beside them      kernels/_cuda/launch.py, streams.py
    allocate, to_gpu, put                 memory on the GPU                                 kernels/_cuda/memory.py
    CudaNative, transpose, cast           images innermost                                  kernels/_cuda/native.py

It is imported where a GPU is asked for: the CUDA package takes most of a second.
"""  # noqa: E501

from ._cuda.launch import stream
from ._cuda.memory import allocate, put, to_gpu
from ._cuda.native import CudaNative, cast, transpose
from ._cuda.streams import copy_stream, enter_context, event, pinned

__all__ = [
    "CudaNative",
    "allocate",
    "cast",
    "copy_stream",
    "enter_context",
    "event",
    "pinned",
    "put",
    "stream",
    "to_gpu",
    "transpose",
]
