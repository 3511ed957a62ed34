"""Which of two values is the maximum: ties and NaN included."""

from numseg.kernels.machine.jit import rule


@rule
def wins(value, best, drop=False):
    """A later value takes over only if it is larger, or NaN: first maximum, last NaN. With
    ``drop`` any value takes over from NaN, and NaN from nothing else."""
    return value > best or (best != best if drop else value != value)


@rule
def wins_at(value, here, best, place):
    """The same for pixels that do not come in order: ``here`` and ``place`` say where they are."""
    if value != value:
        return best == best or here > place
    return value > best or (value == best and here < place)


@rule
def ties(value, best):
    return value == best or (value != value and best != best)
