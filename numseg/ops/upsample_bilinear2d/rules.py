"""Where an output pixel lies among the input pixels."""

from numseg.kernels.jit import rule


@rule
def position(o, size, out, factor, align_corners):
    """Along one axis: the pixel before output pixel ``o``, and the part of the way to the next.

    Integers as far as they go, so that no rounding moves a pixel.
    """
    if factor != 0 and not align_corners:
        at = min(max((o + 0.5) / factor - 0.5, 0.0), size - 1.0)
        before = int(at)
        return before, at - before
    if align_corners:
        numerator, denominator = o * (size - 1), max(out - 1, 1)
    else:
        numerator, denominator = (2 * o + 1) * size - out, 2 * out
    numerator = min(max(numerator, 0), (size - 1) * denominator)
    before = numerator // denominator
    return before, (numerator - before * denominator) / denominator
