"""Where an output pixel lies along one axis, from -1 to 1."""

from numseg.kernels.machine.jit import rule


@rule
def unit_place(i, size, align, real):
    """``real`` is a number of the type that the place is to have."""
    real = type(real)
    if align:
        return real(2 * i - (size - 1)) / real(max(size - 1, 1))
    return real(2 * i + 1 - size) / real(size)
