"""Which pixel is copied."""

from numseg.kernels.jit import rule


@rule
def source(o, size, out, factor):
    """Along one axis, for output pixel ``o`` of ``out``."""
    if factor == 0:
        return o * size // out
    return min(int(o / factor), size - 1)
