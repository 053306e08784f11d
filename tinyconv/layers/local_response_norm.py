"""Local response normalisation."""

from ..kernels import local_response_norm as contract
from ..layer import Layer


class LocalResponseNorm(Layer):
    """y[n,c,i,j] = x[n,c,i,j] / (k + alpha sum of x[n,c',i,j]^2 over the maps c' from c - size//2 to c +
    size//2)^beta

    x, y  (N, C, H, W); size is odd. With alpha_over_size, alpha/size stands in the place of alpha: the
          convention of the authors' own code,
    Caffe, PyTorch and ONNX. Source: Krizhevsky et al. 2012, section 3.3.
    """

    operation = "local_response_norm"
    settings = ("size", "k", "alpha", "beta", "alpha_over_size")
    recordable = per_image = True

    def __init__(
        self,
        size: int = 5,
        k: float = 2.0,
        alpha: float = 1e-4,
        beta: float = 0.75,
        alpha_over_size: bool = False,
    ) -> None:
        super().__init__()
        if size < 1 or size % 2 == 0:
            raise ValueError(
                f"size: expected an odd number (a map and as many neighbours on either side), got {size}"
            )
        if not k > 0 or alpha < 0:
            raise ValueError(
                "expected k above 0 and alpha not below 0 (the denominator must stay positive), got "
                f"k={k}, alpha={alpha}"
            )
        self.size, self.k, self.alpha, self.beta, self.alpha_over_size = (
            int(size),
            float(k),
            float(alpha),
            float(beta),
            bool(alpha_over_size),
        )

    def _forward(self, x, training):
        self.cache = x
        return self.kernel.forward(x, *self._options())

    def _backward_input(self, dy):
        return self.kernel.backward_input(dy, self.cache, *self._options())

    def _options(self):
        return self.size, self.k, self.alpha / self.size if self.alpha_over_size else self.alpha, self.beta

    def _output_shape(self, x_shape):
        return contract.output_shape(x_shape, self.size)
