"""Max unpooling by the indices (switches) of a pooling."""

from __future__ import annotations

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError
from numseg.geometry import index_strides, sides, transposed_reach, transposed_size
from numseg.operator import Plan, Spec, operator
from numseg.ops.max_pool2d import places_of
from numseg.ops.max_unpool2d.geometry import Geometry
from numseg.typing import Array, ArrayLike, Pair, Sides


@operator(
    "x indices",
    saves="indices",
    differentiable="x",
    linear="x",
    integers="indices",
)
def max_unpool2d(
    x: ArrayLike,
    indices: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Sides = 0,
    output_size: Pair | None = None,
    *,
    index_layout: str = "hw",
    duplicates: str = "last",
    output_rule: str = "torch",
) -> Plan[Array]:
    """Puts each value back where max pooling found it; zero elsewhere.

    ``y[n, c].ravel()[indices[n, c, p, q]] = x[n, c, p, q]``, in row-major order of (p, q).

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    indices : array, (N, C, H, W), any integer dtype
        The switches, from ``max_pool2d(..., return_indices=True)``: each a flat index
        ``row * OW + column`` in the output plane, or what ``index_layout`` says.
    kernel_size : int or (rows, columns)
        Of the pooling, as are the stride and the padding: they give the default output size.
    stride : int or (rows, columns), optional
        Defaults to ``kernel_size``.
    padding : int, (rows, columns), (top, bottom, left, right) or ((top, bottom), (left, right))
    output_size : int or (rows, columns), optional
        By default ``(H - 1) * stride + kernel_size - padding``. Pooling maps several sizes to one,
        so another one may be asked for.
    index_layout : {"hw", "nchw", "ncwh", "hwc", "nhwc"}
        As in ``max_pool2d``: the array that an index counts through, last axis fastest.
    duplicates : {"last", "sum", "torch"}
        What becomes of values with the same index. "last": the last one in row-major order stays,
        and alone gets the gradient. "torch": the same, but all get the gradient. "sum": they add
        up, and all get the gradient.
    output_rule : {"torch", "any", "corner"}
        "torch": output_size lies strictly less than a stride from the default. "any": whatever
        holds all indices. "corner": at least the default; indices speak of a plane of the
        default size, which becomes the top left corner.

    Returns
    -------
    array, (N, C, OH, OW), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, indices that are not of x's shape or not on the output plane,
        or an output size against the rule.

    Notes
    -----
    Overlapping windows may share a winner, so that indices repeat: the last value in row-major
    order stays.

    Gradient: ``grad_y`` at the index, for the value that stayed; 0 for the values that were
    overwritten. PyTorch 2.13 gives the gradient to those too (``duplicates="torch"``), which is not
    the derivative of what it computes forward (pytorch#80204); ``jvp`` is, in both.

    Unpooling assigns: it is the gradient of max pooling only where windows do not overlap. With
    ``duplicates="sum"`` it always is.

    Source: PyTorch 2.13, ``torch.nn.functional.max_unpool2d``, bit for bit in the value on one CPU
    thread (on several it is a race which of the repeated values stays).

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.array([[[[1.0, 5.0], [3.0, 2.0]]]])
    >>> y, indices = ns.max_pool2d(x, 2, return_indices=True)
    >>> ns.max_unpool2d(y, indices, 2)[0, 0]
    array([[0., 5.],
           [0., 0.]])
    """
    dtype = checks.floats(x=x)
    n, c, h, w = checks.axes("x", x, "n c h w")
    checks.integers(indices=indices)
    checks.shape("indices", indices, x.shape, "the shape of x")
    kernel = checks.pair("kernel_size", kernel_size, minimum=1)
    steps = kernel if stride is None else checks.pair("stride", stride, minimum=1)
    padded = sides("padding", padding)
    rule = checks.choice("output_rule", output_rule, ("torch", "any", "corner"))
    oh, ow, ih, iw = _output_size(output_size, (h, w), kernel, steps, padded, rule)
    after = checks.choice("duplicates", duplicates, ("last", "sum", "torch"))
    strides = index_strides(index_layout, c, ih, iw)
    return Plan(
        outputs=(Spec((n, c, oh, ow), dtype),),
        geometry=Geometry(n, c, h, w, oh, ow, ih, iw, *strides, after == "sum", after != "last"),
        flops=n * c * h * w if after == "sum" else 0,
        reach=(  # by indices of a pooling: others may point anywhere
            transposed_reach(kernel[0], steps[0], padded[0], 1),
            transposed_reach(kernel[1], steps[1], padded[2], 1),
        ),
    )


def _output_size(
    asked: Pair | None,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    rule: str,
) -> tuple[int, int, int, int]:
    """The output's rows and columns, and those of the plane that indices speak of."""
    usual = [
        transposed_size(i, k, s, p0, p1, 1, 0)
        for i, k, s, p0, p1 in zip(size, kernel, stride, padding[::2], padding[1::2], strict=True)
    ]
    if (asked is None or rule == "corner") and min(usual) < 0:
        raise ArgumentError(
            f"the output would have {usual[0]} rows and {usual[1]} columns: x has "
            f"{size[0]} x {size[1]}, padding (top, bottom, left, right) is {padding}"
        )
    if asked is None:
        return usual[0], usual[1], usual[0], usual[1]
    rows, columns = checks.pair("output_size", asked, minimum=0)
    for axis, o, default, s in zip(
        ("rows", "columns"), (rows, columns), usual, stride, strict=True
    ):
        if rule == "torch" and not default - s < o < default + s:
            raise ArgumentError(
                f"output_size has {o} {axis}, expected more than {default - s} and less than "
                f"{default + s} (the default {default}, give or take the stride {s})"
            )
        if rule == "corner" and o < default:
            raise ArgumentError(
                f"output_size has {o} {axis}, but the plane that it has in its corner {default}"
            )
    if rule == "corner":
        return rows, columns, usual[0], usual[1]
    return rows, columns, rows, columns


def check(x: ArrayLike, indices: Array, g: Geometry) -> None:
    """Every index is on the plane."""
    unsigned = indices.view(f"u{indices.itemsize}")  # negative ones are beyond all others
    limit = min(g.ih * g.iw, int(np.iinfo(indices.dtype).max) + 1)
    if not indices.size or (g.plain and unsigned.max() < limit):
        return
    strides = g.image, g.channel, g.row, g.column
    off = places_of(indices.astype(np.int64), strides, g.ih, g.iw) < 0
    if off.any():
        first = tuple(np.argwhere(off)[0].tolist())
        raise off_plane(first, indices[first], g)


def off_plane(where: tuple[int, ...], index: int, g: Geometry) -> ArgumentError:
    if not g.plain:
        return ArgumentError(
            f"indices{list(where)} is {index}, which is no pixel of plane "
            f"[{where[0]}, {where[1]}], {g.ih} x {g.iw}, in this index_layout"
        )
    return ArgumentError(
        f"indices{list(where)} is {index}, expected an index into the "
        f"{g.oh} x {g.ow} plane: 0 to {g.oh * g.ow - 1}"
    )
