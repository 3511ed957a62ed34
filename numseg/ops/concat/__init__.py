"""Concatenation."""

from __future__ import annotations

import math
from collections.abc import Sequence

from numseg import checks
from numseg.errors import ArgumentError
from numseg.geometry import POINTWISE
from numseg.operator import Plan, Spec, operator
from numseg.ops.concat.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator("xs", linear="xs")
def concat(xs: Sequence[ArrayLike], dim: int = 1) -> Plan[Array]:
    """Arrays side by side along one axis; by default their channels.

    Parameters
    ----------
    xs : sequence of arrays, float32 or float64
        At least one; all of one dtype, and of one shape but for ``dim``.
    dim : int
        The axis; negative counts from the last one.

    Returns
    -------
    array
        Size along ``dim``: the sum of the inputs' sizes. Dtype of the inputs.

    Raises
    ------
    ArgumentError
        For no array, an axis that the arrays do not have, shapes that differ in another axis, or
        dtypes that differ.

    Notes
    -----
    Gradient: each input gets its part of ``grad_y``, so ``backward`` returns as many gradients as
    there were inputs. ``concat.matrix(shapes)`` is the identity along the inputs laid end to end:
    ``y.ravel() == M @ numpy.concatenate([x.ravel() for x in xs])``.

    Source: ``torch.cat`` (PyTorch 2.13), whose dim is 0 unless told otherwise.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.concat([np.zeros((1, 2, 4, 4)), np.ones((1, 3, 4, 4))]).shape
    (1, 5, 4, 4)
    """
    xs = checks.sequence("xs", xs)
    dtype = checks.floats(**{f"xs[{i}]": x for i, x in enumerate(xs)})
    first = tuple(xs[0].shape)
    place = checks.dim(dim, "xs[0]", xs[0])
    for i, x in enumerate(xs):
        if len(x.shape) != len(first) or _without(place, x.shape) != _without(place, first):
            raise ArgumentError(
                f"xs[{i}] has shape {tuple(x.shape)}, but xs[0] has {first}: "
                f"they may differ in axis {place} only"
            )
    sizes = tuple(x.shape[place] for x in xs)
    before, after = first[:place], first[place + 1 :]
    return Plan(
        outputs=(Spec((*before, sum(sizes), *after), dtype),),
        geometry=Geometry(place, sizes, math.prod(before), math.prod(after)),
        reach=POINTWISE if place in (0, 1) else None,
    )


def _without(axis: int, shape: Sequence[int]) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])
