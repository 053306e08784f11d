"""What the cpu files of all operations share.

kernel            the decorator of every compiled loop        native          the form of activations: images innermost
vector, simd      vectors and the micro-kernels               tiles, layouts  loops that lay micro-kernels over an array; packing
convolution       the tables of a convolution                 math            tanh, exp, log and sigmoid of vectors
tape, replay      calls recorded once and played again        threads         threads that are at hand within a microsecond
"""  # noqa: E501
