"""What the cuda files of all operations share.

package               the CUDA package, or its simulator
launch                the decorator of every kernel, and its launches
memory, arena         memory on the GPU
streams, graph        copies beside the kernels; launches captured once and made again
native                the form of activations: images innermost
reduce, ptx           sums of many threads; instructions of the GPU
tiles, tile_shapes    matrix products in tiles
convolution, windows  a convolution as a matrix product; windows that slide over a map
gpu                   which GPU there is
"""
