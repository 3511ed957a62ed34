"""Entries of an axis, by number."""

from __future__ import annotations

from typing import Any

from numseg import checks
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.ops.index_select.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator("x index", saves="index", differentiable="x", linear="x", integers="index")
def index_select(x: ArrayLike, index: ArrayLike, dim: int) -> Plan[Array]:
    """Entries of an axis, in any order and as often as wanted: slices, gathers, flips, repeats.

    ``y[..., k, ...] = x[..., index[k], ...]``; a negative number counts from the last entry.

    Parameters
    ----------
    x : array, any shape, float32 or float64
    index : array, (K,), an integer dtype
    dim : int
        The axis; negative counts from the last one.

    Returns
    -------
    array
        The shape of x with K entries along the axis. Dtype of x.

    Raises
    ------
    ArgumentError
        For a wrong dtype, an axis that x does not have, an index of another rank, or an entry that
        the axis does not have.

    Notes
    -----
    Gradient: an entry gets the sum of the ``grad_y`` of its copies, in order; 0 if it has none. The
    same bits every time.

    Source: PyTorch 2.13, ``torch.index_select``, whose index comes last and is not negative;
    ``numpy.take``; ONNX 13 ``Gather`` with one axis of indices.

    Examples
    --------
    Every other column, from the last one on:

    >>> import numpy as np, numseg as ns
    >>> ns.index_select(np.arange(6.0).reshape(1, 6), np.arange(5, -1, -2), 1)
    array([[5., 3., 1.]])
    """
    dtype = checks.floats(x=x)
    checks.integers(index=index)
    axis = checks.dim(dim, "x", x)
    (count,) = checks.axes("index", index, "k")
    shape = tuple(x.shape)
    before, after = shape[:axis], shape[axis + 1 :]
    if count and not shape[axis]:
        raise ArgumentError(f"index has {count} entries, but axis {axis} of x has none: {shape}")
    return Plan(
        outputs=(Spec((*before, count, *after), dtype),),
        geometry=Geometry(Spec(before).size, shape[axis], Spec(after).size, count),
        reach=None,
    )


def check(x: Any, index: Array, g: Geometry) -> None:
    """Refuse entries that the axis does not have."""
    wrong = (index < -g.size) | (index >= g.size)
    if wrong.any():
        at = int(wrong.argmax())
        raise ArgumentError(f"index[{at}] is {index[at]}, but the axis has {g.size} entries")
