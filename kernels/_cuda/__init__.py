"""What the cuda files of all operations share.

launch            the decorator of every kernel, and its launches          package    the CUDA package, or its simulator
memory, arena     memory on the GPU                                        streams    copies beside the kernels
native            the form of activations: images innermost                graph      launches captured once and made again
reduce, ptx       sums of many threads; instructions of the GPU            gpu        which GPU there is
tiles, tile_shapes, convolution, windows                                   matrix products and windows in
                                                                           tiles
"""  # noqa: E501
