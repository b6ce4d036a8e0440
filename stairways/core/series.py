"""Statistics over the rows of an array that look back and never ahead.

Every function takes ``(T, …)`` floats and gives the same shape; row t is made of rows up
to t, by additions in a fixed order, so that rows appended later change no bit of it.
Where fewer rows exist than a window wants, it takes those that exist.
"""

import numpy as np
import numpy.typing as npt

from stairways.core.reward import LN_2, ROOT_2

Float64 = npt.NDArray[np.float64]
NEGLIGIBLE = 1e-20


def log_change(prices: Float64, bars: int) -> Float64:
    """Return ln(price / price ``bars`` rows ago); 0 in the first rows."""
    change = np.zeros_like(prices)
    change[bars:] = ln(prices[bars:] / prices[:-bars])
    return change


def ln(values: Float64) -> Float64:
    """Return the natural logarithm of positive numbers, the same bits on every processor.

    Libraries differ in the last bit, and what is made of it enters the log. This is the series
    of ``core.reward.ln``, element by element.
    """
    part, powers = np.frexp(values)  # part in [1/2, 1), then in (1/√2, √2]
    small = part * ROOT_2 < 1.0
    part, powers = np.where(small, part * 2.0, part), powers - small
    s = (part - 1.0) / (part + 1.0)
    q = s * s
    r = q * q
    odd = 1.0 / 3.0 + r * (1.0 / 7.0 + r * (1.0 / 11.0 + r * (1.0 / 15.0 + r * (1.0 / 19.0))))
    even = 1.0 / 5.0 + r * (1.0 / 9.0 + r * (1.0 / 13.0 + r * (1.0 / 17.0 + r * (1.0 / 21.0))))
    result: Float64 = powers * LN_2 + 2.0 * (s + s * (q * (odd + q * even)))
    return result


def moving_sum(values: Float64, window: int) -> Float64:
    """Return the sum of the last ``window`` rows."""
    total = values.copy()
    for back in range(1, min(window, len(values))):
        total[back:] += values[:-back]
    return total


def moving_mean(values: Float64, window: int) -> Float64:
    """Return the mean of the last ``window`` rows."""
    return moving_sum(values, window) / _counted(values, window)


def moving_product(first: Float64, second: Float64, window: int) -> Float64:
    """Return the mean product of both series' deviations over the last ``window`` rows.

    Of a series with itself that is its variance, of two series their covariance.
    Deviations are taken from the window's own mean before they are multiplied, so that
    nothing cancels: the result is exact for constant series, and a variance never negative.
    """
    mean, other = moving_mean(first, window), moving_mean(second, window)
    total = (first - mean) * (second - other)
    for back in range(1, min(window, len(first))):
        total[back:] += (first[:-back] - mean[back:]) * (second[:-back] - other[back:])
    return total / _counted(first, window)


def moving_deviation(values: Float64, window: int) -> Float64:
    """Return the standard deviation of the last ``window`` rows."""
    return np.sqrt(moving_product(values, values, window))


def exponential(values: Float64, gain: float) -> Float64:
    """Return the exponential moving average that starts at the first row.

    y(t) = gain x(t) + (1 - gain) y(t-1), by doubling: each pass adds the average that
    ended where the present one began, until what is left is negligible.
    """
    average = gain * values
    average[:1] = values[:1]
    decay, back = 1.0 - gain, 1
    while back < len(values) and decay > NEGLIGIBLE:
        average[back:] += decay * average[:-back]
        decay *= decay
        back *= 2
    return average


def expanding_mean(values: Float64) -> Float64:
    """Return the mean of all rows so far."""
    return np.cumsum(values, axis=0) / _counted(values, len(values))


def ratio(upper: Float64, lower: Float64, otherwise: float) -> Float64:
    """Return the quotient, and ``otherwise`` where the divisor is not positive."""
    return np.divide(upper, lower, out=np.full_like(upper, otherwise), where=lower > 0.0)


def _counted(values: Float64, window: int) -> Float64:
    """Return how many rows a window holds at each row, in a shape that divides ``values``."""
    rows = np.minimum(np.arange(1, len(values) + 1), max(window, 1)).astype(np.float64)
    return rows.reshape(-1, *([1] * (values.ndim - 1)))
