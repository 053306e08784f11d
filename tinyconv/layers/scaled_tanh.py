"""The squashing function of LeNet-5."""

from ..layer import Layer


class ScaledTanh(Layer):
    """y = amplitude tanh(slope x), for x of any shape (N, ...). With the defaults f(1) = 1 and f(-1) = -1.

    Source: LeCun et al. 1998, equation 6 and appendix A.
    """

    operation = "scaled_tanh"
    settings = ("amplitude", "slope")
    recordable = per_image = True

    def __init__(self, amplitude: float = 1.7159, slope: float = 2 / 3) -> None:
        super().__init__()
        if not amplitude > 0 or not slope > 0:
            raise ValueError(f"amplitude and slope: expected numbers above 0, got {amplitude} and {slope}")
        self.amplitude, self.slope = float(amplitude), float(slope)

    def _forward(self, x, training):
        y = self.cache = self.kernel.forward(x, self.amplitude, self.slope)
        return y

    def _backward_input(self, dy):
        return self.kernel.backward_input(dy, self.cache, self.amplitude, self.slope)
