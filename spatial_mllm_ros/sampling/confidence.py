"""Which points of a point map are trusted: the paper's threshold, found without sorting or copying the maps.

A point counts if its confidence is at least the percentile over all points, and above 0.1 (arXiv 2505.23747, v1.1
code). At 128 maps of 392x518 that percentile ranks 26 million values; a sorted sample of them brackets it, counting
says how many lie below the bracket, and only what lies inside is ranked.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MIN_CONFIDENCE", "confidence_percentile", "trusted_from"]

MIN_CONFIDENCE = 0.1
_BLOCK = 1 << 17  # values looked at in one go: half a megabyte, which stays in a core's cache
_SAMPLE = 1 << 14
_SIGMAS = 4  # half width of the bracket, in standard deviations of a random sample's rank


def trusted_from(percentile_value: np.float32, min_confidence: float = MIN_CONFIDENCE) -> np.float32:
    """Return the smallest float32 confidence that is both `>= percentile_value` and `> min_confidence`."""
    return max(percentile_value, np.nextafter(np.float32(min_confidence), np.float32(np.inf)))


def confidence_percentile(confidence: NDArray[np.float32], percentile: float = 50.0) -> np.float32:
    """Return a percentile of all values, bit for bit what `numpy.percentile` of numpy 2 returns.

    Args:
        confidence: float32, any shape, at least one value, all finite.
        percentile: in [0, 100].

    Convention: linear interpolation with the rank in float32, as numpy 2 has it for float32 values. Above 2**24 values
    that rank is rounded, so the result may be a neighbour of the true percentile. The paper's code has that too.
    """
    values = np.ascontiguousarray(confidence).reshape(-1)
    rank = np.float32(len(values) - 1) * (np.float32(percentile) / np.float32(100))
    lower_rank = np.floor(rank)
    last = len(values) - 1
    below, above = _order_statistics(values, min(int(lower_rank), last), min(int(lower_rank + np.float32(1)), last))
    fraction, step = np.float32(rank - lower_rank), np.float32(above - below)
    if fraction < 0.5:
        return np.float32(below + step * fraction)
    return np.float32(above - step * (np.float32(1) - fraction))


def _order_statistics(values: NDArray[np.float32], first: int, second: int) -> tuple[np.float32, np.float32]:
    """Return the values at two adjacent (or equal) ranks."""
    if len(values) <= _BLOCK:
        return _ranked(values, first, second)
    low, high = _bracket(values, first, second)
    num_below, num_upto_high, inside = 0, 0, []
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        is_upto_high = block <= high
        num_below += np.count_nonzero(block < low)
        num_upto_high += np.count_nonzero(is_upto_high)
        if low < high:
            inside.append(block[is_upto_high & (block >= low)])
    if not num_below <= first <= second < num_upto_high:  # the sample was not like the rest
        return _ranked(values, first, second)
    if low == high:
        return low, low
    return _ranked(np.concatenate(inside), first - num_below, second - num_below)


def _bracket(values: NDArray[np.float32], first: int, second: int) -> tuple[np.float32, np.float32]:
    sample = np.sort(values[:: len(values) // _SAMPLE])
    scale = len(sample) / len(values)
    margin = _SIGMAS * 0.5 * len(sample) ** 0.5
    last = len(sample) - 1
    return sample[max(0, int(first * scale - margin))], sample[min(last, int(second * scale + margin) + 1)]


def _ranked(values: NDArray[np.float32], first: int, second: int) -> tuple[np.float32, np.float32]:
    partitioned = np.partition(values, first)
    return partitioned[first], partitioned[first] if second == first else partitioned[second:].min()
