"""Group normalisation."""

from __future__ import annotations

import math

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.ops.group_norm.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator("x weight bias", outputs="y mean var", saves="x weight mean var")
def group_norm(
    x: ArrayLike,
    num_groups: int,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> Plan[Array]:
    """Normalise each group of channels of each image, then scale and shift each channel.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``, where ``mean`` and the biased ``var`` are
    those of the ``C / num_groups`` neighbouring channels of one image, all pixels. With
    ``num_groups=C`` this is instance norm, with ``num_groups=1`` layer norm over (C, H, W) (but for
    PyTorch's ``layer_norm`` having a weight for every pixel).

    Parameters
    ----------
    x : array, (N, C, ...), float32 or float64
        At least two axes.
    num_groups : int
        Divides C.
    weight, bias : array, (C,), dtype of x, optional
        1 and 0 if not given.
    eps : float, at least 0

    Returns
    -------
    array
        Shape and dtype of x.

    Raises
    ------
    ArgumentError
        For a wrong rank, shape or dtype, a number of groups that does not divide C, or a negative
        eps.

    Notes
    -----
    Nothing depends on the other images or on training, and nothing runs. A group of a single value
    has variance 0: y is the bias.

    The variance is computed in a second pass over the group, about the mean of the first, and all
    arithmetic is in float64: float32 results are rounded once.

    Gradient: for x (through mean and var as well), weight and bias.

    Source: PyTorch 2.13, ``torch.nn.functional.group_norm``, which refuses a single value per group
    if there is one image. Wu and He 2018.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.array([[1.0, 3.0, 10.0, 30.0]])
    >>> ns.group_norm(x, 2, eps=0.0)
    array([[-1.,  1., -1.,  1.]])
    """
    dtype = checks.floats(x=x, weight=weight, bias=bias)
    (n, c), rest = checks.leading_axes("x", x, "n c")
    groups = checks.integer("num_groups", num_groups, 1)
    if c % groups:
        raise ArgumentError(f"num_groups is {groups}, but x has {c} channels: no multiple of it")
    for name, vector in {"weight": weight, "bias": bias}.items():
        if vector is not None:
            checks.shape(name, vector, (c,), "one value for each channel of x")
    spec, statistic = Spec(tuple(x.shape), dtype), Spec((n, groups), np.dtype(np.float64))
    return Plan(
        outputs=(spec, statistic, statistic),
        geometry=Geometry(n, groups, c // groups, math.prod(rest), checks.real("eps", eps, 0.0)),
        flops=7 * spec.size,
        reach=None,
    )
