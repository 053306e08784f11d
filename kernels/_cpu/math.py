"""tanh, exp, log and sigmoid of vectors (kernels/_cpu/vector.py): no branches, so that all lanes go the same
way.

Largest error measured, against a longer type, over every 13th float32 and six million float64
(tests/test_math.py holds them to it over fewer), in ulp, the distance of neighbouring floats at the result:

               float32   float64
    tanh         6.9       3.0
    exp          1.0       0.9
    log          2.8       2.9
    sigmoid      2.6       2.2       where the result is a normal number

NaN gives NaN everywhere.
"""

from math import factorial, inf, log as _log, nan

from .vector import (
    choose,
    exponent,
    fma,
    inner,
    mantissa,
    maximum,
    minimum,
    nearest,
    polynomial,
    two_to,
    where,
)

# tanh(x) = x P(x^2) / Q(x^2) for |x| <= 8.65, constant beyond: of the fractions of these degrees the one
# whose largest relative error, 2e-8, is smallest (found by Lawson's iteratively reweighted least squares),
# then made 1.5e-7 smaller, so that no rounding error leads beyond 1.
TANH_END = 8.65
TANH_P = (
    0.7901660799980164,
    0.10591111332178116,
    0.00278339721262455,
    1.6638981833239086e-05,
    1.1053668202976041e-08,
)
TANH_Q = (
    0.7901661992073059,
    0.3692997395992279,
    0.020527968183159828,
    0.0002631184470374137,
    6.347587486743578e-07,
)

# Taylor series, long enough that what is left out is below half an ulp at the end of the interval: |r| <=
# log(2)/2 and s^2 <= 0.0295.
EXP = tuple(1 / factorial(k) for k in range(14))  # e^r = sum of r^k / k!
LOG = tuple(2 / (2 * k + 1) for k in range(10))  # log((1 + s) / (1 - s)) = s sum of 2 s^2k / (2k + 1)
EXP_SINGLE, EXPM1, LOG_SINGLE = EXP[:8], EXP[1:], LOG[:5]

# log(2) in two parts: n HIGH is exact for every exponent n, so that x - n log(2) keeps its digits.
PER_LOG2, LOG2_HIGH, LOG2_LOW = 1 / _log(2), 355 / 512, -2.121944400546905828e-4


@inner
def tanh(x):
    """For all x. float32: a fraction of polynomials, clamped; float64: E / (E + 2) with E = e^2x - 1."""
    return choose(x, _tanh_fraction, _tanh_exponential)(x)


@inner
def _tanh_fraction(x):
    x = minimum(TANH_END, maximum(-TANH_END, x))
    z = x * x
    return x * polynomial(z, TANH_P) / polynomial(z, TANH_Q)


@inner
def _tanh_exponential(x):
    n, r = _reduced(minimum(40.0, maximum(-40.0, x + x)))
    power = two_to(n)
    E = fma(
        power, r * polynomial(r, EXPM1), power - 1
    )  # e^2x - 1 = 2^n (e^r - 1) + (2^n - 1): exact for small x too
    return where(x == 0, x, E / (E + 2))  # keeps the sign of -0


@inner
def exp(x):
    """For all x; e^x = 2^n e^r. Overflows to inf, and underflows through the denormal numbers to 0."""
    n, r = _reduced(minimum(choose(x, 89.0, 710.0), maximum(choose(x, -104.0, -746.0), x)))
    half = nearest(0.5 * n)  # 2^n in two factors: it may be no normal number itself
    return polynomial(r, choose(x, EXP_SINGLE, EXP)) * two_to(half) * two_to(n - half)


@inner
def _reduced(x):
    """n, r with x = n log(2) + r, n whole, |r| <= log(2)/2."""
    n = nearest(x * PER_LOG2)
    return n, fma(n, -LOG2_LOW, fma(n, -LOG2_HIGH, x))


@inner
def log(x):
    """For x >= 0, else NaN; log(2^n m) = n log(2) + log(m) with m = (1 + s) / (1 - s) in [sqrt(1/2),
    sqrt(2)).
    """
    denormal = x < choose(x, 2.0**-126, 2.0**-1022)
    normal = where(denormal, x * 2.0**54, x)
    n, m = exponent(normal) - where(denormal, 54 + 0 * x, 0), mantissa(normal)
    s = (m - 1) / (m + 1)
    y = fma(n, LOG2_HIGH, fma(n, LOG2_LOW, s * polynomial(s * s, choose(x, LOG_SINGLE, LOG))))
    return where(x > 0, where(x == inf, x, y), where(x == 0, -inf + 0 * x, nan))


@inner
def sigmoid(x):
    """1 / (1 + e^-x), for all x."""
    return 1 / (1 + exp(-x))
