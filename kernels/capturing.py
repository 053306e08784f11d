"""Capturing a step on a GPU: all that the framework needs of kernels/_cuda for it, under one public name.

    Transit, Layout                       a batch on its way there and back                 kernels/_cuda/transit.py
    take_batch, take_numbers, keep_batch  a data set whose bytes lie on the GPU             kernels/_cuda/views.py
    Graph, capturing, Event               launches made again by one call; marks            kernels/_cuda/graph.py
    allocate, to_gpu, put                 memory on the GPU                                 kernels/_cuda/memory.py
    CudaNative, transpose, cast           images innermost                                  kernels/_cuda/native.py
    OneImage, Operation, one_image_plan   one block computes one image                      kernels/_cuda/one_image_network.py

It is imported where a GPU is asked for: the CUDA package takes most of a second.
"""  # noqa: E501

from ._cuda.graph import capturing
from ._cuda.memory import address_of, allocate, put, to_gpu
from ._cuda.native import CudaNative, cast, transpose
from ._cuda.one_image_network import OneImage, Operation, plan as one_image_plan
from ._cuda.streams import enter_context
from ._cuda.transit import Event, Layout, Transit
from ._cuda.views import keep_batch, keep_scores, take_batch, take_images, take_numbers

__all__ = [
    "CudaNative",
    "Event",
    "Layout",
    "OneImage",
    "Operation",
    "Transit",
    "address_of",
    "allocate",
    "capturing",
    "cast",
    "enter_context",
    "one_image_plan",
    "keep_batch",
    "keep_scores",
    "put",
    "take_batch",
    "take_images",
    "take_numbers",
    "to_gpu",
    "transpose",
]
