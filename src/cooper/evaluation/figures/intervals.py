"""Quantiles of the beta and of Student's distribution, for intervals; the libraries that have them are large."""

import math


def beta_quantile(share: float, a: float, b: float) -> float:
    """Where the beta distribution with a > 0 and b > 0 has `share` of its mass below: Newton's steps, bisection where they
    fail.

    >>> round(beta_quantile(0.5, 2.0, 2.0), 6)
    0.5
    """
    low, high, x = 0.0, 1.0, a / (a + b)
    for _ in range(200):
        off = beta_below(x, a, b) - share
        low, high = (low, x) if off > 0 else (x, high)
        density = math.exp(_log_front(x, a, b) - math.log(x) - math.log1p(-x))
        step = off / density if density > 1e-300 else math.inf
        last, x = x, x - step
        if not low < x < high:
            x = (low + high) / 2
        if abs(x - last) < 1e-12:
            break
    return x


def _log_front(x: float, a: float, b: float) -> float:
    return math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)


def beta_below(x: float, a: float, b: float) -> float:
    """The mass of the beta distribution below x: the regularised incomplete beta function, by its continued fraction."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # there the fraction converges slowly
        return 1 - beta_below(1 - x, b, a)
    return math.exp(_log_front(x, a, b)) / a * _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """Lentz's method."""
    tiny = 1e-300
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1), tiny)
    total = d
    for step in range(1, 10_000):
        even = step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step))
        odd = -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1))
        for term in (even, odd):
            d = 1 / _away(1 + term * d, tiny)
            c = _away(1 + term / c, tiny)
            total *= c * d
        if abs(c * d - 1) < 1e-13:
            break
    return total


def _away(value: float, tiny: float) -> float:
    """The value, kept off zero."""
    return value if abs(value) > tiny else tiny


def student_quantile(freedom: int) -> float:
    """The two-sided 95 % point of Student's distribution.

    >>> round(student_quantile(4), 3)
    2.776
    """
    x = beta_quantile(0.05, freedom / 2, 0.5)
    return math.sqrt(freedom * (1 - x) / x)
