"""Which of two numbers argmax keeps."""

from numseg.kernels.machine.jit import rule


@rule
def wins(value, best, last):
    """A later number takes the place of the best one so far; ``last``: if it is its equal too."""
    nan = value != value
    return value > best or (nan and best == best) or (last and (value == best or nan))
