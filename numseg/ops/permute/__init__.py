"""Axes in another order."""

from __future__ import annotations

from collections.abc import Sequence

from numseg import checks
from numseg.errors import ArgumentError, ArgumentTypeError, shown
from numseg.geometry import POINTWISE
from numseg.operator import Plan, Spec, operator
from numseg.ops.permute.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator("x", linear="x")
def permute(x: ArrayLike, dims: Sequence[int]) -> Plan[Array]:
    """The axes in another order: axis ``k`` of the result is axis ``dims[k]`` of x.

    Parameters
    ----------
    x : array, any shape, float32 or float64
    dims : sequence of int
        Each axis of x once; negative counts from the last one.

    Returns
    -------
    array
        Of the sizes in the new order, dtype of x. A C-contiguous copy, not a view: kernels read
        nothing else.

    Raises
    ------
    ArgumentError
        For a wrong dtype, or dims that are not each axis once.

    Notes
    -----
    Gradient: ``grad_y`` with its axes in the old order.

    Source: ``torch.permute`` of PyTorch 2.13, which gives a view; ``numpy.transpose``; ONNX 13
    ``Transpose``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.permute(np.zeros((2, 3, 4, 5)), (0, 2, 3, 1)).shape
    (2, 4, 5, 3)
    """
    if not checks.is_sequence(dims):
        raise ArgumentTypeError(f"dims must be a sequence of integers, got {shown(dims)}")
    order = tuple(checks.dim(d, "x", x, f"dims[{k}]") for k, d in enumerate(dims))
    axes = len(x.shape)
    if sorted(order) != list(range(axes)):
        raise ArgumentError(f"dims is {order}, expected each of x's {axes} axes once")
    return ordered(x, order)


def ordered(x: ArrayLike, order: tuple[int, ...]) -> Plan[Array]:
    """The plan of a call with each axis once."""
    shape = tuple(x.shape)
    images = len(order) > 2 and order[-2:] == (len(order) - 2, len(order) - 1)
    return Plan(
        outputs=(Spec(tuple(shape[d] for d in order), checks.floats(x=x)),),
        geometry=Geometry(shape, order),
        reach=POINTWISE if images else None,
    )
