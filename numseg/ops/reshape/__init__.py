"""Another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numseg import checks
from numseg.errors import ArgumentError, ArgumentTypeError, shown
from numseg.geometry import POINTWISE
from numseg.operator import Plan, Spec, operator
from numseg.ops.reshape.geometry import Geometry
from numseg.typing import Array, ArrayLike, Shape


@operator("x", linear="x", view=True)
def reshape(x: ArrayLike, shape: Sequence[int]) -> Plan[Array]:
    """The same numbers, in the same order, in another shape.

    Parameters
    ----------
    x : array, any shape, float32 or float64
    shape : sequence of int
        One of them may be -1: what the others leave. A 0 is an axis without elements.

    Returns
    -------
    array
        Of this shape, dtype of x: a read-only view of x where x is C-contiguous, of a copy
        otherwise.

    Raises
    ------
    ArgumentError
        For a wrong dtype, a shape that has not as many numbers as x, and a -1 that could be
        anything (beside a 0) or that there is more than one of.

    Notes
    -----
    Nothing is computed and nothing copied. Whoever changes x changes y with it; whoever wants to
    write to y copies it (``y.copy()``). By the definition (``reshape.reference``) y is a copy.

    Gradient: ``grad_y`` in the shape of x, a read-only view too.

    Source: ``torch.reshape`` of PyTorch 2.13, whose views can be written to; ONNX 14 ``Reshape``
    with ``allowzero=1`` (with 0, a 0 stands for the size of x's axis in its place).

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.reshape(np.arange(6.0), (2, -1))
    array([[0., 1., 2.],
           [3., 4., 5.]])
    """
    return view(x, _completed(shape, tuple(x.shape)))


def view(x: ArrayLike, shape: Shape) -> Plan[Array]:
    """The plan of a call that gives x in a shape of as many numbers."""
    spec = Spec(shape, checks.floats(x=x))
    images = min(len(x.shape), len(shape)) > 2 and tuple(x.shape[-2:]) == shape[-2:]
    return Plan(
        outputs=(spec,),
        geometry=Geometry(spec.size, shape),
        reach=POINTWISE if images else None,  # then each pixel stays where it is
    )


def _completed(given: Any, ours: Shape) -> Shape:
    """The shape that is asked for, with a number in the place of -1."""
    if not checks.is_sequence(given):
        raise ArgumentTypeError(f"shape must be a sequence of integers, got {shown(given)}")
    shape = [checks.integer(f"shape[{j}]", size, -1) for j, size in enumerate(given)]
    size, known = math.prod(ours), math.prod(n for n in shape if n != -1)
    if -1 in shape:
        if shape.count(-1) > 1:
            raise ArgumentError(f"shape has -1 in {shape.count(-1)} places, expected one: {shape}")
        if known == 0:
            raise ArgumentError(f"shape is {shape}: beside a 0, -1 could be any number")
        if size % known == 0:
            shape[shape.index(-1)], known = size // known, size
    if known != size:
        raise ArgumentError(
            f"shape is {shape}, {known} numbers, but x has {size}: {ours}"
            if -1 not in shape
            else f"shape is {shape}, a multiple of {known} numbers, but x has {size}: {ours}"
        )
    return tuple(shape)
