"""The epilogue of a convolution: what is done to an output once its sum is known."""

from __future__ import annotations

from typing import NamedTuple

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.threads import launch
from numseg.kernels.pointwise.activations import rectify
from numseg.typing import Array


class Epilogue(NamedTuple):
    """Add a number, then rectify."""

    terms: Array  # as many as y has numbers, or none
    rectified: bool


@rule
def apply_epilogue(line, first, epilogue):
    """To numbers of y, from the given one on, while they are in the cache."""
    if len(epilogue.terms) > 0:
        terms = epilogue.terms[first : first + len(line)]
        for i in range(len(line)):
            line[i] += terms[i]
    if epilogue.rectified:
        for i in range(len(line)):
            line[i] = rectify(line[i])


@kernel()
def _apply(start, stop, y, epilogue):
    """A unit is a number."""
    apply_epilogue(y[start:stop], start, epilogue)


def epilogue_pass(y: Array, epilogue: Epilogue | None) -> None:
    """In a pass of its own, after a kernel that has none built in."""
    if epilogue is not None:
        launch(_apply, y.size, y.size, y.reshape(-1), epilogue)
