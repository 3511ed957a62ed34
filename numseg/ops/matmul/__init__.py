"""Products of matrices."""

from __future__ import annotations

from numseg import checks
from numseg.broadcasting import broadcast_shape
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.ops.matmul.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator("x other", saves="x other", linear="x other")
def matmul(x: ArrayLike, other: ArrayLike) -> Plan[Array]:
    """The product of matrices, or of stacks of them: ``y[..., m, n] = sum over k of
    x[..., m, k] * other[..., k, n]``.

    Parameters
    ----------
    x : array, (..., M, K) or (K,), float32 or float64
    other : array, (..., K, N) or (K,), dtype of x
        The axes in front are those of stacks, and broadcast by NumPy's rule.

    Returns
    -------
    array, (..., M, N), dtype of x
        Without the axis of an argument that is a vector: a row on the left, a column on the right.

    Raises
    ------
    ArgumentError
        For an array without axes, different dtypes, another number of rows than columns, or stacks
        that do not broadcast.

    Notes
    -----
    Each number is summed over k in order. The sum of no products is 0.

    Gradient: ``grad_y @ other.T`` and ``x.T @ grad_y``, each summed over the stacks that its
    array was repeated for.

    Source: PyTorch 2.13, ``torch.matmul``; ``numpy.matmul``; ONNX 13 ``MatMul``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.matmul(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    >>> ns.matmul(np.ones((5, 1, 2, 3)), np.ones((4, 3, 7))).shape
    (5, 4, 2, 7)
    """
    dtype = checks.floats(x=x, other=other)
    shapes = tuple(x.shape), tuple(other.shape)
    for name, shape in zip(("x", "other"), shapes, strict=True):
        if not shape:
            raise ArgumentError(f"{name} has shape (), expected at least 1 axis")
    g = Geometry(*shapes)
    if g.left[-1] != g.right[-2]:
        raise ArgumentError(
            f"x has {g.left[-1]} columns (shape {shapes[0]}), but other has {g.right[-2]} rows "
            f"(shape {shapes[1]})"
        )
    stack = broadcast_shape("x", g.left[:-2], "other (in front of its matrices)", g.right[:-2])
    row = () if len(shapes[0]) == 1 else g.left[-2:-1]
    column = () if len(shapes[1]) == 1 else g.right[-1:]
    y = Spec((*stack, *row, *column), dtype)
    return Plan(outputs=(y,), geometry=g, flops=2 * y.size * g.left[-1], reach=None)
