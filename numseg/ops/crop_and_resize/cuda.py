"""crop_and_resize on CUDA: averages of one sample, by the kernels of all regions."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.cuda.arrays import Cuda
from numseg.cuda.regions import (
    average,
    average_gradient,
    box_gradient,
    entries,
    readers,
    reads,
)
from numseg.kernels.sampling.roi_average import RoiShape, Weights
from numseg.ops.crop_and_resize import geometry
from numseg.ops.crop_and_resize.cpu import of_boxes, weights_along
from numseg.ops.crop_and_resize.geometry import Geometry
from numseg.typing import Array


def forward(x: Any, boxes: Any, box_indices: Any, y: Any, g: Geometry) -> None:
    host, index = Cuda.to_host(boxes), Cuda.to_host(box_indices)
    weights = _weights(host, g, x.dtype.type)
    table = reads(index, *weights, np.ones(g.k), RoiShape(*g[:7]), x.dtype)
    average(x, y, table, g.outside)


@np.errstate(all="ignore")  # infinities and NaN come and go as in kernels
def backward(
    x: Any, boxes: Any, box_indices: Any, gy: Any, gx: Any, gboxes: Any, g: Geometry
) -> None:
    host, index = Cuda.to_host(boxes), Cuda.to_host(box_indices)
    geometry.check(x, host, index, g)  # again: they may have been written to since forward
    weights, sizes = _weights(host, g, x.dtype.type), RoiShape(*g[:7])
    if gx is not None:
        rows, columns = map(entries, weights)
        average_gradient(gy, gx, readers(index, rows, columns, np.ones(g.k), sizes, x.dtype))
    if gboxes is not None:
        moved = box_gradient(x, gy, reads(index, *weights, np.ones(g.k), sizes, x.dtype))
        found = np.empty(gboxes.shape, gboxes.dtype)
        of_boxes(*moved, host, index, lambda: (Cuda.to_host(x), Cuda.to_host(gy)), found, g)
        gboxes.copy_to_device(found)


def _weights(boxes: Array, g: Geometry, dtype: type) -> tuple[Weights, Weights]:
    y1, x1, y2, x2 = boxes.T
    rows, _ = weights_along(y1, y2, g.oh, g.h, g, dtype)
    columns, _ = weights_along(x1, x2, g.ow, g.w, g, dtype)
    return rows, columns
