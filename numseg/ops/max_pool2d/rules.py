"""Which taps a window has, and which of two values wins."""

from numseg.kernels.jit import rule


@rule
def first_tap(start, d):
    """The first tap of a window starting at ``start`` that is not before the image."""
    return 0 if start >= 0 else (-start + d - 1) // d


@rule
def end_tap(start, d, k, size):
    """One past the last tap that is not after the image."""
    return min(k, (size - start + d - 1) // d) if size > start else 0


@rule
def wins(value, best):
    """A later value takes over only if it is larger, or NaN: first maximum, last NaN."""
    return value > best or value != value


@rule
def wins_at(value, here, best, place):
    """The same for pixels that do not come in order: ``here`` and ``place`` say where they are."""
    if value != value:
        return best == best or here > place
    return value > best or (value == best and here < place)
