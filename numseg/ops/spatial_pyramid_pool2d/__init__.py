"""Spatial pyramid pooling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError, shown
from numseg.geometry import check_caffe_bins
from numseg.operator import Plan, Spec, operator
from numseg.ops.adaptive_avg_pool2d import bins_geometry
from numseg.ops.spatial_pyramid_pool2d.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator("x", outputs="y indices", saves="indices", linear="x")
def spatial_pyramid_pool2d(
    x: ArrayLike,
    levels: Sequence[int] = (1, 2, 4),
    mode: str = "max",
    bins: str = "adaptive",
    return_indices: bool = False,
) -> Plan[Array | tuple[Array, Array]]:
    """A vector of fixed length from an image of any size: n x n bins, for each of several n.

    ``y[i] = concatenation over n in levels of pool(x[i], n x n bins).ravel()``

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    levels : sequence of int
        Bins along an axis, for each level of the pyramid.
    mode : {"max", "avg"}
    bins : {"adaptive", "caffe"}
        "adaptive": the rows of bin p are those from ``floor(p * H / n)`` up to, not including,
        ``ceil((p + 1) * H / n)``. "caffe": windows of ``k = ceil(H / n)`` rows, side by side,
        after padding by ``(k * n - H + 1) // 2``; an average counts the padding.
    return_indices : bool
        Also return the indices, of a maximum.

    Returns
    -------
    y : array, (N, C * sum of n**2), dtype of x
    indices : array, (N, C * sum of n**2), int64
        Only if asked for: the flat index ``row * W + column`` of the winner in its (H, W) plane.

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, no levels or one below 1, an image without pixels, Caffe's bins
        where they would need as much padding as they have pixels, or indices of an average.

    Notes
    -----
    A level is :data:`~numseg.adaptive_max_pool2d` or :data:`~numseg.adaptive_avg_pool2d`: ties and
    NaN are theirs.

    Gradient: that of each level, added up in their order.

    Source: He, Zhang, Ren, Sun 2014, "Spatial pyramid pooling in deep convolutional networks"; the
    adaptive bins are in its appendix A. "caffe" is Caffe's ``SPPLayer``, whose levels are 1, 2, 4,
    up to ``2**(pyramid_height - 1)``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> ns.spatial_pyramid_pool2d(x, levels=(1, 2))
    array([[8., 4., 5., 7., 8.]])
    """
    dtype = checks.floats(x=x)
    n, c, h, w, *_ = bins_geometry(x, 1)
    if not isinstance(levels, (tuple, list)) or not levels:
        raise ArgumentError(
            f"levels must be a sequence of at least one integer, got {shown(levels)}"
        )
    counts = tuple(
        checks.integer(f"levels[{i}]", count, 1, checks.LARGEST) for i, count in enumerate(levels)
    )
    maximum = checks.choice("mode", mode, ("max", "avg")) == "max"
    caffe = checks.choice("bins", bins, ("adaptive", "caffe")) == "caffe"
    wanted = checks.flag("return_indices", return_indices)
    if wanted and not maximum:
        raise ArgumentError("return_indices is True, but mode is 'avg': a mean has no indices")
    g = Geometry(n, c, h, w, counts, maximum, caffe)
    for count in counts if caffe else ():
        check_caffe_bins(h, count)
        check_caffe_bins(w, count)
    shape = (n, c * sum(count * count for count in counts))
    return Plan(
        outputs=(
            Spec(shape, dtype),
            Spec(shape if maximum else (0,), np.dtype(np.int64)),
        ),
        geometry=g,
        results=2 if wanted else 1,
        flops=n * c * h * w * len(counts),
        reach=None,
        linear=not maximum,
    )
