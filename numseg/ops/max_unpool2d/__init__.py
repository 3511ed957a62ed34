"""Max unpooling by switches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numseg import checks, geometry
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.typing import Array, ArrayLike, Pair, Sides


class Geometry(NamedTuple):
    n: int
    c: int
    h: int
    w: int
    oh: int
    ow: int


@operator(
    "y switches",
    outputs="x",
    saves="switches",
    differentiable="y",
    linear="y",
    integers="switches",
)
def max_unpool2d(
    y: ArrayLike,
    switches: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Sides = 0,
    output_size: Pair | None = None,
) -> Plan[Array]:
    """Puts each value back where max pooling found it; zero elsewhere.

    ``x[n, c].ravel()[switches[n, c, p, q]] = y[n, c, p, q]``, in row-major order of (p, q).

    Parameters
    ----------
    y : array, (N, C, H, W), float32 or float64
    switches : array, (N, C, H, W), any integer dtype
        From ``max_pool2d(..., return_switches=True)``: flat index ``row * OW + column`` in the
        output plane.
    kernel_size : int or (rows, columns)
        Of the pooling, as are the stride and the padding: they give the default output size.
    stride : int or (rows, columns), optional
        Defaults to ``kernel_size``.
    padding : int, (rows, columns), (top, bottom, left, right) or ((top, bottom), (left, right))
    output_size : int or (rows, columns), optional
        By default ``(H - 1) * stride + kernel_size - padding``. Pooling maps several sizes to one,
        so another one may be asked for, strictly less than a stride away from the default.

    Returns
    -------
    array, (N, C, OH, OW), dtype of y

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, switches that are not of y's shape or not on the output plane,
        or an output size that pooling would not map to (H, W).

    Notes
    -----
    Overlapping windows may share a winner, so that switches repeat: the last value in row-major
    order stays.

    Gradient: ``grad_y`` at the switch, for the value that stayed; 0 for the values that were
    overwritten. PyTorch 2.13 gives the gradient to those too, which is not the derivative of what
    it computes forward (pytorch#80204).

    Unpooling assigns; it is the gradient of max pooling only where windows do not overlap.

    Source: PyTorch 2.13, ``torch.nn.functional.max_unpool2d``, bit for bit in the value on one CPU
    thread (on several it is a race which of the repeated values stays).

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.array([[[[1.0, 5.0], [3.0, 2.0]]]])
    >>> y, switches = ns.max_pool2d(x, 2, return_switches=True)
    >>> ns.max_unpool2d(y, switches, 2)[0, 0]
    array([[0., 5.],
           [0., 0.]])
    """
    dtype = checks.floats(y=y)
    n, c, h, w = checks.axes("y", y, "n c h w")
    checks.integers(switches=switches)
    checks.shape("switches", switches, y.shape, "the shape of y")
    kernel = checks.pair("kernel_size", kernel_size, minimum=1)
    steps = kernel if stride is None else checks.pair("stride", stride, minimum=1)
    sides = geometry.sides("padding", padding)
    oh, ow = _output_size(output_size, (h, w), kernel, steps, sides)
    return Plan(
        outputs=(Spec((n, c, oh, ow), dtype),),
        geometry=Geometry(n, c, h, w, oh, ow),
        reach=(  # by switches of a pooling: others may point anywhere
            geometry.transposed_reach(kernel[0], steps[0], sides[0], 1),
            geometry.transposed_reach(kernel[1], steps[1], sides[2], 1),
        ),
    )


def _output_size(
    asked: Pair | None,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    sides: tuple[int, int, int, int],
) -> tuple[int, int]:
    usual = [
        geometry.transposed_size(i, k, s, p0, p1, 1, 0)
        for i, k, s, p0, p1 in zip(size, kernel, stride, sides[::2], sides[1::2], strict=True)
    ]
    if asked is None:
        if min(usual) < 0:
            raise ArgumentError(
                f"the output would have {usual[0]} rows and {usual[1]} columns: y has "
                f"{size[0]} x {size[1]}, padding (top, bottom, left, right) is {sides}"
            )
        return usual[0], usual[1]
    rows, columns = checks.pair("output_size", asked, minimum=0)
    for axis, o, default, s in zip(
        ("rows", "columns"), (rows, columns), usual, stride, strict=True
    ):
        if not default - s < o < default + s:
            raise ArgumentError(
                f"output_size has {o} {axis}, expected more than {default - s} and less than "
                f"{default + s} (the default {default}, give or take the stride {s})"
            )
    return rows, columns


def check(y: ArrayLike, switches: Array, g: Geometry) -> None:
    """Every switch is on the plane."""
    places = g.oh * g.ow
    if switches.size and (switches.min() < 0 or switches.max() >= places):
        first = tuple(np.argwhere((switches < 0) | (switches >= places))[0].tolist())
        raise off_plane(first, switches[first], g)


def off_plane(where: tuple[int, ...], switch: int, g: Geometry) -> ArgumentError:
    return ArgumentError(
        f"switches{list(where)} is {switch}, expected an index into the "
        f"{g.oh} x {g.ow} plane: 0 to {g.oh * g.ow - 1}"
    )
