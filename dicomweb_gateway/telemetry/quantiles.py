"""Quantiles out of a histogram's buckets."""

from collections.abc import Sequence


def quantile(ends: Sequence[float], counts: Sequence[float], share: float) -> float | None:
    """The value below which `share` (0 to 1) of all lie, None without any; even inside a bucket.

    `ends` are the upper ends of the buckets, `counts` the numbers in them and, last, in the open one, of
    which only the lower end is known.
    """
    wanted = share * sum(counts)
    if not wanted:
        return None
    below, low = 0.0, 0.0
    for end, count in zip(ends, counts, strict=False):
        if count and below + count >= wanted:
            return low + (end - low) * (wanted - below) / count
        below, low = below + count, end
    return low
