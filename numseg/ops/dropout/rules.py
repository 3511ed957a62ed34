"""Which numbers dropout keeps: SplitMix64, read at any place."""

import numpy as np

from numseg.kernels.machine.jit import rule

GAMMA = np.uint64(0x9E3779B97F4A7C15)
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)


@rule
def mix(z):
    """SplitMix64's output for the state z. All is unsigned: signed operands would make floats."""
    z = (z ^ (z >> np.uint64(30))) * FIRST
    z = (z ^ (z >> np.uint64(27))) * SECOND
    return z ^ (z >> np.uint64(31))


@rule
def stream(seed):
    """The state from which a seed's numbers are counted."""
    return mix(np.uint64(seed) + GAMMA)


@rule
def uniform(key, i):
    """Number i of a stream: an integer in [0, 2**53)."""
    return np.int64(mix(key + (np.uint64(i) + np.uint64(1)) * GAMMA) >> np.uint64(11))
