"""What tiles of a network need, whatever the size of the image."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from numseg.graph import Graph, image_channels
from numseg.tiling import proof
from numseg.tiling.cut import Axis, Cut
from numseg.tiling.proof import Inexact

_FAR, _FARTHEST = 512, 2**15
"""Pixels of an image on which networks do what they do on any larger one; and those of one that
must have tiles, if any has."""


class Halo(NamedTuple):
    """What tiles need along one axis."""

    before: int
    after: int
    """Pixels of the image that an output pixel reads before the first of its own, and after it."""
    step: int
    """Tiles begin at multiples of it."""


@functools.lru_cache(maxsize=64)
def halo(graph: Graph) -> tuple[Halo, Halo]:
    """What tiles of a network need so that they give the numbers of the whole image: of rows, and
    of columns.

    Parameters
    ----------
    graph : Graph
        One image in.

    Raises
    ------
    Inexact
        If there are no such tiles: a line that names the first node that does not allow them, such
        as a global pooling, and says why.

    Notes
    -----
    The halo is the part of the receptive field beyond the pixel itself, the step the least common
    multiple of all nodes' strides.

    Examples
    --------
    >>> import numseg as ns
    >>> graph = ns.nets.unet(3, 8, width=8, depth=2, padding="same")
    >>> ns.tiling.halo(graph)
    (Halo(before=23, after=23, step=4), Halo(before=23, after=23, step=4))
    """
    channels, sizes, far = image_channels(graph), graph.legal_inputs(), _FAR
    if sizes.rows.largest is not None or sizes.columns.largest is not None:
        raise Inexact(f"the network takes no images but of {sizes}")
    small, large = (
        graph.plans((1, channels, sizes.rows.from_on(far), sizes.columns.from_on(far)))
        for far in (_FAR, 2 * _FAR)
    )
    proof.check_reach(graph, small, large)
    while far < _FARTHEST:
        cut = Cut(graph, (1, channels, sizes.rows.from_on(far), sizes.columns.from_on(far)))
        if len(cut.tiles(far // 8)) > 1:
            rows, columns = map(_around, cut.axes)
            return rows, columns
        far *= 2
    raise Inexact(f"the network takes no tile of an image of {far} pixels")


def _around(axis: Axis) -> Halo:
    step = axis.stride
    place = np.arange(axis.outputs) * step.numerator // step.denominator
    before, after = (place - axis.read[:, 0]).max(), (axis.read[:, 1] - place).max()
    return Halo(max(int(before), 0), max(int(after), 0), axis.step)
