"""Which label each pixel of an output is scored against, where outputs and labels differ in size.

An output of the labels' size has theirs. One with a pixel for each pixel of the image, but fewer
(a network without padding) or more (one that pads by more than it loses), lies in their middle.
Any other (a coarser auxiliary output, a finer one) has, for each of its pixels, the label at the
pixel's centre: by the geometry of the layers, or, where that is not known because the paths to it
disagree, as if the output covered the image. What lies beyond the image is ignored. Labels are
chosen, never made: every number is one that is there.
"""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import numpy as np

from numseg.errors import ArgumentError
from numseg.geometry import Reach
from numseg.graph import Graph, receptive
from numseg.tiling.frame import Stride, check_stride, pixel_stride
from numseg.typing import Array, Shape

ONE: Stride = Fraction(1), Fraction(1)


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """Rows and columns of the labels; None for all as they are. -1 is beyond the image."""

    rows: Array | None = None
    columns: Array | None = None

    @property
    def beyond(self) -> bool:
        """Whether some pixels lie beyond the image."""
        return any(axis is not None and (axis < 0).any() for axis in (self.rows, self.columns))

    def of(self, labels: Array, ignored: int) -> Array:
        """The labels of an output, (N, OH, OW), given those of the image, (N, H, W)."""
        if self.rows is None or self.columns is None:
            return labels
        found = labels[:, self.rows.clip(0)[:, None], self.columns.clip(0)]
        found[:, self.rows < 0] = ignored
        found[:, :, self.columns < 0] = ignored
        return found


def target(graph: Graph, name: str, image: Shape, first: bool) -> Target:
    """Of the output ``name`` for images of this shape.

    Raises
    ------
    ArgumentError
        If the first output, whose pixels are the prediction, has not one for each of the image,
        or some beyond it.
    """
    have, want = image[2:], graph.shapes(image)[name][2:]
    if have == want:
        return Target()
    stride = pixel_stride(graph, name, image)
    if first:
        check_stride(name, stride)
        if want[0] > have[0] or want[1] > have[1]:
            raise ArgumentError(
                f"{name} has {want[0]} x {want[1]} pixels for an image of {have[0]} x {have[1]}: "
                "crop it to the image"
            )
        stride = stride or ONE
    if stride is not None and all(s == 1 for s in stride):
        return Target(*map(_middle, have, want))
    return Target(*_by_geometry(graph, name, image, have, want))


def _middle(have: int, want: int) -> Array:
    """So many pixels in the middle of an axis."""
    return _inside(np.arange(want) + (have - want) // 2, have)


def _by_geometry(
    graph: Graph, name: str, image: Shape, have: Shape, want: Shape
) -> tuple[Array, Array]:
    try:
        reaches = receptive.centres(graph, graph.plans(image), name)
    except ArgumentError:  # 2 i + 1 of 2 want half pixels
        rows, columns = (
            (2 * np.arange(w) + 1) * h // (2 * w) for h, w in zip(have, want, strict=True)
        )
    else:
        rows, columns = (
            _inside(_nearest(reach, w), h) for reach, h, w in zip(reaches, have, want, strict=True)
        )
    return rows, columns


def _nearest(reach: Reach, count: int) -> Array:
    """The pixel at each centre ``stride * o + first``; of two that are equally near the second."""
    scale = math.lcm(reach.stride.denominator, reach.first.denominator)
    at = np.arange(count) * int(reach.stride * scale) + int(reach.first * scale)
    return (2 * at + scale) // (2 * scale)


def _inside(pixels: Array, size: int) -> Array:
    return np.where((pixels >= 0) & (pixels < size), pixels, -1)
