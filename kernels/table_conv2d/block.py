"""table_conv2d by one block for one image: conv2d's (kernels/conv2d/block.py), with the list of the table."""

from ..conv2d.block import backward, forward, scratch_words

__all__ = ["backward", "forward", "scratch_words"]
