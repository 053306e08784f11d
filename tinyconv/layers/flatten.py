"""Maps to features."""

from ..layer import Layer


class Flatten(Layer):
    """y[n, (c H + i) W + j] = x[n,c,i,j]: maps (N, C, H, W) become features (N, C H W).

    With scan=True only maps of one pixel are flattened and larger ones pass as they are: then the Dense and
    RBF layers behind it act at every pixel, and a network that is trained on one image size scans a larger
    one (LeCun et al. 1998, section VII: space displacement network).
    """

    settings = ("scan",)
    recordable = per_image = True

    def __init__(self, scan: bool = False) -> None:
        super().__init__()
        self.scan = scan

    def _forward(self, x, training):
        self.cache = x.shape
        return x.reshape(self.output_shape(x.shape))

    def _backward_input(self, dy):
        return dy.reshape(self.cache)

    def _output_shape(self, x_shape):
        if self.scan and x_shape[2:] != (1,) * len(x_shape[2:]):
            return x_shape
        features = 1
        for size in x_shape[1:]:
            features *= size
        return (x_shape[0], features)
