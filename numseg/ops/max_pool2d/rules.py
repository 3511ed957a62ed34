"""Which taps a window has, and what a switch says."""

from numseg.kernels.machine.jit import rule


@rule
def first_tap(start, d):
    """The first tap of a window starting at ``start`` that is not before the image."""
    return 0 if start >= 0 else (-start + d - 1) // d


@rule
def end_tap(start, d, k, size):
    """One past the last tap that is not after the image."""
    return min(k, (size - start + d - 1) // d) if size > start else 0


@rule
def index_of(place, base, row, column, w):
    """The switch for a place ``y * w + x`` of a plane: ``base`` is that of its first pixel, and
    ``row`` and ``column`` are steps to the next."""
    y = place // w
    return base + y * row + (place - y * w) * column


@rule
def place_of(index, base, row, column, h, w):
    """The inverse; -1 where the index is that of no pixel of the plane."""
    rest, unit = index - base, min(row, column)
    if unit > 1:
        whole = rest // unit
        if whole * unit != rest:
            return -1
        rest = whole
    if not 0 <= rest < h * w:
        return -1
    if column < row:
        return rest
    x = rest // h
    return (rest - x * h) * w + x
