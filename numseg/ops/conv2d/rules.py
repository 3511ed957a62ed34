"""Which outputs of a row or column a tap of the kernel meets on the image."""

from numseg.kernels.machine.jit import rule


@rule
def first_output(shift, s):
    """The first output o whose pixel ``o * s + shift`` is not before the image."""
    return 0 if shift >= 0 else (-shift + s - 1) // s


@rule
def end_output(shift, s, size, outputs):
    """One past the last output whose pixel ``o * s + shift`` is not after the image."""
    return min(outputs, (size - shift + s - 1) // s) if size > shift else 0
