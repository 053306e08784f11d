"""tanh, exp, log and sigmoid of vectors (kernels/_vector.py): no branches, so that all lanes go the same way.

Largest error measured against a longer type (tests/test_math.py), in ulp, the distance of neighbouring floats at the result:

               float32   float64
    tanh         ULP       ULP
    exp          ULP       ULP
    log          ULP       ULP
    sigmoid      ULP       ULP

NaN gives NaN everywhere.
"""
from math import factorial, inf, log as _log, nan

from ._vector import choose, exponent, fma, inner, mantissa, maximum, minimum, nearest, polynomial, two_to, where

# tanh(x) = x P(x^2) / Q(x^2) for |x| <= 9.08: of the fractions of these degrees the one whose largest relative error, 2.1e-8, is smallest (found
# by Lawson's iteratively reweighted least squares). Beyond 9.01 the nearest float32 is 1, and so is the fraction at 9.08.
TANH_END = 9.08
TANH_P = (0.8, 0.10700590163469315, 0.002791446167975664, 1.640458867768757e-05, 1.056911891339496e-08)
TANH_Q = (0.8, 0.3736724257469177, 0.020682470872998238, 0.0002620291488710791, 6.174352051857568e-07)

# Taylor series, long enough that what is left out is below half an ulp at the end of the interval: |r| <= log(2)/2 and s^2 <= 0.0295.
EXP = tuple(1 / factorial(k) for k in range(14))             # e^r = sum of r^k / k!
LOG = tuple(2 / (2 * k + 1) for k in range(10))              # log((1 + s) / (1 - s)) = s sum of 2 s^2k / (2k + 1)
EXP_SINGLE, EXPM1, LOG_SINGLE = EXP[:8], EXP[1:], LOG[:5]

# log(2) in two parts: n HIGH is exact for every exponent n, so that x - n log(2) keeps its digits.
PER_LOG2, LOG2_HIGH, LOG2_LOW = 1 / _log(2), 355 / 512, -2.121944400546905828e-4


@inner
def tanh(x):
    """For all x. float32: a fraction of polynomials, clamped; float64: E / (E + 2) with E = e^2x - 1."""
    return choose(x, _tanh_fraction, _tanh_exponential)(x)


@inner
def _tanh_fraction(x):
    z = minimum(TANH_END * TANH_END, x * x)                 # beyond the end the fraction stays, x grows, and the result is cut off at 1
    return minimum(1, maximum(-1, x * polynomial(z, TANH_P) / polynomial(z, TANH_Q)))


@inner
def _tanh_exponential(x):
    n, r = _reduced(minimum(40.0, maximum(-40.0, x + x)))
    power = two_to(n)
    E = fma(power, r * polynomial(r, EXPM1), power - 1)     # e^2x - 1 = 2^n (e^r - 1) + (2^n - 1): exact for small x too
    return where(x == 0, x, E / (E + 2))                    # keeps the sign of -0


@inner
def exp(x):
    """For all x; e^x = 2^n e^r. Overflows to inf, and underflows through the denormal numbers to 0."""
    n, r = _reduced(minimum(choose(x, 89.0, 710.0), maximum(choose(x, -104.0, -746.0), x)))
    half = nearest(0.5 * n)                                 # 2^n in two factors: it may be no normal number itself
    return polynomial(r, choose(x, EXP_SINGLE, EXP)) * two_to(half) * two_to(n - half)


@inner
def _reduced(x):
    """n, r with x = n log(2) + r, n whole, |r| <= log(2)/2."""
    n = nearest(x * PER_LOG2)
    return n, fma(n, -LOG2_LOW, fma(n, -LOG2_HIGH, x))


@inner
def log(x):
    """For x >= 0, else NaN; log(2^n m) = n log(2) + log(m) with m = (1 + s) / (1 - s) in [sqrt(1/2), sqrt(2))."""
    denormal = x < choose(x, 2.0 ** -126, 2.0 ** -1022)
    normal = where(denormal, x * 2.0 ** 54, x)
    n, m = exponent(normal) - where(denormal, 54 + 0 * x, 0), mantissa(normal)
    s = (m - 1) / (m + 1)
    y = fma(n, LOG2_HIGH, fma(n, LOG2_LOW, s * polynomial(s * s, choose(x, LOG_SINGLE, LOG))))
    return where(x > 0, where(x == inf, x, y), where(x == 0, -inf + 0 * x, nan))


@inner
def sigmoid(x):
    """1 / (1 + e^-x), for all x."""
    return 1 / (1 + exp(-x))
