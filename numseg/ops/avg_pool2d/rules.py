"""How many taps of a window the divisor counts."""

from numseg.kernels.machine.jit import rule


@rule
def count(start, k, size, after, include_pad):
    """Along one axis, for a window starting at ``start``; ``after``: padding after the image."""
    if include_pad:
        return min(start + k, size + after) - start
    return max(min(start + k, size) - max(start, 0), 0)
