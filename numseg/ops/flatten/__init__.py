"""Several axes as one."""

from __future__ import annotations

import math

from numseg import checks
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.ops.reshape import reshape, view
from numseg.typing import Array, ArrayLike


@operator("x", linear="x", like=reshape, view=True)
def flatten(x: ArrayLike, start_dim: int = 1, end_dim: int = -1) -> Plan[Array]:
    """Neighbouring axes become one; by default all but the first, the images.

    Parameters
    ----------
    x : array, any shape, float32 or float64
        Without axes it counts as an array of one number.
    start_dim, end_dim : int
        The first and the last of the axes; negative counts from the last one.

    Returns
    -------
    array
        Dtype of x: a read-only view of x where x is C-contiguous, of a copy otherwise, as
        :func:`reshape`'s.

    Raises
    ------
    ArgumentError
        For a wrong dtype, axes that x does not have, or a ``start_dim`` after ``end_dim``.

    Notes
    -----
    Nothing is computed and nothing copied. It is what a classifier has between its last image and
    its first :func:`linear`: features count channels first, then rows, then columns.

    Gradient: ``grad_y`` in the shape of x, a read-only view too.

    Source: PyTorch 2.13, ``torch.nn.Flatten``, whose defaults these are (``torch.flatten``'s
    ``start_dim`` is 0); ONNX 13 ``Flatten``, which has two axes in the end and here means axis 1.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.flatten(np.zeros((2, 3, 4, 4))).shape
    (2, 48)
    """
    x = x if x.shape else Spec((1,), x.dtype)
    shape = tuple(x.shape)
    first = checks.dim(start_dim, "x", x, "start_dim")
    last = checks.dim(end_dim, "x", x, "end_dim")
    if first > last:
        raise ArgumentError(f"start_dim is axis {first} of x, after end_dim, axis {last}")
    return view(x, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))
