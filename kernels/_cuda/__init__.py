"""What the cuda files of all operations share.

package               the CUDA package, or its simulator
launch                the decorator of every kernel, and its launches
memory, arena         memory on the GPU
streams, graph        copies beside the kernels; launches captured once and made again
transit               a batch on its way there and its result on its way back
driver_calls          what the CUDA driver answers; simulated_driver: the same for the simulator
views                 batches of a data set whose bytes lie on the GPU
elementwise           kernels made of one line of arithmetic
few_maps, ..._weight  convolutions of few maps, such as C1 and C3; few_maps_shapes: how they are cut
small_products        dense layers too small for tiles
native                the form of activations: images innermost
reduce, ptx           sums of many threads; instructions of the GPU
tiles, tile_shapes    matrix products in tiles
convolution, windows  a convolution as a matrix product; windows that slide over a map
gpu                   which GPU there is
"""
