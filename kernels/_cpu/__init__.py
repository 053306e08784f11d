"""What the cpu files of all operations share.

kernel        the decorator of every compiled loop
native        the form of activations: images innermost
vector, math  vectors of lanes; tanh, exp, log and sigmoid of them
simd, tiles   the micro-kernels, and the loops that lay them over an array
layouts       packing, padding and transposing for the tiles
convolution   the tables of a convolution: where each tap lies
tape, replay  calls recorded once and played again
threads       threads that are at hand within a microsecond
"""
