"""Recording a step on the CPU: all that the framework needs of kernels/_cpu for it, under one public name.

recording, Tape, SharedTape     write kernel calls down; play them again            kernels/_cpu/tape.py
play, cut, shared               threads that play together, or share each call      kernels/_cpu/threads.py, kernel.py
taking_from                     the memory of a recorded step                       kernels/_arena.py
Native, lanes, images_together  images side by side in a vector                     kernels/_cpu/native.py
enter_images, add_up, ...       the way of a chunk of images into a tape and out    kernels/_cpu/batches.py
"""  # noqa: E501

from numba import config

from ._arena import taking_from
from ._cpu.batches import add, add_up, enter_images, enter_labels, leave_images, leave_losses
from ._cpu.kernel import shared, threads_at_hand
from ._cpu.native import Native, aligned_empty, images_together, lanes, vector_bytes
from ._cpu.tape import SharedTape, Tape, recording
from ._cpu.threads import cut, play


def compiles() -> bool:
    """Return False where NUMBA_DISABLE_JIT is set: kernels are plain Python then, which no tape holds."""
    return not getattr(config, "DISABLE_JIT", False)


__all__ = [
    "Native",
    "SharedTape",
    "Tape",
    "add",
    "add_up",
    "aligned_empty",
    "compiles",
    "cut",
    "enter_images",
    "enter_labels",
    "images_together",
    "lanes",
    "leave_images",
    "leave_losses",
    "play",
    "recording",
    "shared",
    "taking_from",
    "threads_at_hand",
    "vector_bytes",
]
