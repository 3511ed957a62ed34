"""Two axes exchanged."""

from __future__ import annotations

from numseg import checks
from numseg.operator import Plan, operator
from numseg.ops.permute import ordered, permute
from numseg.typing import Array, ArrayLike


@operator("x", linear="x", like=permute)
def transpose(x: ArrayLike, dim0: int, dim1: int) -> Plan[Array]:
    """Two axes change places. (:func:`permute` brings all axes into an order.)

    Parameters
    ----------
    x : array, any shape, float32 or float64
    dim0, dim1 : int
        The axes; negative counts from the last one. If they are the same, y is a copy of x.

    Returns
    -------
    array
        Dtype of x. A C-contiguous copy, not a view: kernels read nothing else.

    Raises
    ------
    ArgumentError
        For a wrong dtype, or an axis that x does not have.

    Notes
    -----
    Gradient: ``grad_y`` with the same axes exchanged.

    Source: ``torch.transpose`` of PyTorch 2.13, which gives a view. ``numpy.transpose`` and ONNX's
    ``Transpose`` take all axes, as :func:`permute` does.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.transpose(np.array([[1.0, 2.0], [3.0, 4.0]]), 0, 1)
    array([[1., 3.],
           [2., 4.]])
    """
    order = list(range(len(x.shape)))
    first, second = checks.dim(dim0, "x", x, "dim0"), checks.dim(dim1, "x", x, "dim1")
    order[first], order[second] = order[second], order[first]
    return ordered(x, tuple(order))
