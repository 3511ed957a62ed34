"""Layer normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.ops.group_norm import group_norm
from numseg.ops.group_norm.geometry import Geometry
from numseg.typing import Array, ArrayLike, Shape


@operator("x weight bias", outputs="y mean var", saves="x weight mean var", like=group_norm)
def layer_norm(
    x: ArrayLike,
    normalized_shape: int | Sequence[int],
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> Plan[Array]:
    """Normalise over the last axes, then scale and shift each of their places.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``, where ``mean`` and the biased ``var`` are
    those of the numbers along the last axes, one of each for every place along the others.

    Parameters
    ----------
    x : array, (..., *normalized_shape), float32 or float64
    normalized_shape : int or sequence of int
        The sizes of the last axes of x: at least one.
    weight, bias : array, normalized_shape, dtype of x, optional
        1 and 0 if not given.
    eps : float, at least 0

    Returns
    -------
    array
        Shape and dtype of x.

    Raises
    ------
    ArgumentError
        For a wrong shape or dtype, or a negative eps.

    Notes
    -----
    Nothing depends on the other rows or on training, and nothing runs. A row of a single number has
    variance 0: y is the bias.

    The variance is computed in a second pass over the row, about the mean of the first, and all
    arithmetic is in float64: float32 results are rounded once.

    Gradient: for x (through mean and var as well), weight and bias.

    Source: PyTorch 2.13, ``torch.nn.functional.layer_norm``; ONNX 17 ``LayerNormalization``. Ba,
    Kiros and Hinton 2016, "Layer normalization".

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.layer_norm(np.array([[1.0, 3.0], [10.0, 30.0]]), 2, eps=0.0)
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    dtype = checks.floats(x=x, weight=weight, bias=bias)
    shape, last = tuple(x.shape), _sizes(normalized_shape)
    if not last or shape[-len(last) :] != last:
        raise ArgumentError(
            f"normalized_shape is {last}, expected the sizes of the last axes of x: {shape}"
        )
    for name, array in {"weight": weight, "bias": bias}.items():
        if array is not None:
            checks.shape(name, array, last, "normalized_shape")
    rows, m = math.prod(shape[: -len(last)]), math.prod(last)
    spec, statistic = Spec(shape, dtype), Spec((rows, 1), np.dtype(np.float64))
    return Plan(
        outputs=(spec, statistic, statistic),
        geometry=Geometry(rows, 1, m, 1, checks.real("eps", eps, 0.0)),
        flops=7 * spec.size,
        reach=None,
    )


def _sizes(given: Any) -> Shape:
    """One size or several."""
    name = "normalized_shape"
    if not checks.is_sequence(given):
        return (checks.integer(name, given, 0),)
    return tuple(checks.integer(f"{name}[{j}]", size, 0) for j, size in enumerate(given))
