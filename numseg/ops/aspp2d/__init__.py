"""Atrous spatial pyramid pooling."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from numseg import checks
from numseg.errors import ArgumentError, ArgumentTypeError, shown
from numseg.geometry import Reach, window_reach
from numseg.operator import Plan, Spec, operator
from numseg.ops.aspp2d.geometry import Geometry
from numseg.ops.conv2d.geometry import Geometry as Convolution
from numseg.typing import Array, ArrayLike


@operator(
    "x weights pool_weight bias", saves="x weights pool_weight", linear="x weights pool_weight"
)
def aspp2d(
    x: ArrayLike,
    weights: Sequence[ArrayLike],
    pool_weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    rates: Sequence[int] = (1, 6, 12, 18),
    combine: str = "concat",
) -> Plan[Array]:
    """Atrous spatial pyramid pooling: one image, seen by convolutions of several dilations.

    Branch k is ``conv2d(x, weights[k], dilation=rates[k], padding="same")``; the image-level
    branch, if ``pool_weight`` is given, is the 1 x 1 convolution of the image's mean, the same at
    every pixel.
    Their channels are stacked, or the branches are added up; then the bias is added.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    weights : sequence of arrays, (F, C, KH, KW), dtype of x
        One for each branch: 1 x 1 and 3 x 3 in DeepLab. F may differ if branches are stacked.
    pool_weight : array, (F, C, 1, 1), dtype of x, optional
        Of the image-level branch, which comes last.
    bias : array, (channels of the result,), dtype of x, optional
    rates : sequence of int
        The dilation of each branch.
    combine : {"concat", "sum"}
        How branches become one result.

    Returns
    -------
    array, (N, sum of F or F, H, W), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, no branch, rates that are not one for each branch, channels that
        do not match, or branches of unequal F to add up.

    Notes
    -----
    DeepLab v2: ``combine="sum"``, 3 x 3 with rates 6, 12, 18, 24 (ASPP-L) or 2, 4, 8, 12 (ASPP-S).
    DeepLab v3: "concat" of 1 x 1 and 3 x 3 with rates 6, 12, 18 at output stride 16, and 12, 24, 36
    at output stride 8, and the image-level branch.

    v3 normalises each branch and applies relu: after stacking it is the same thing, for both act
    on each channel by itself. A bias of the image-level branch before it is upsampled is one after.

    Gradient: of each branch that of conv2d; of the image-level one, a pixel gets ``1 / (H W)`` of
    what the mean gets. No kinks.

    Source: Chen et al., DeepLab v2 (arXiv 1606.00915) and v3 (arXiv 1706.05587); torchvision 0.28,
    ``models.segmentation.deeplabv3.ASPP``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.array([[[[1.0, 2.0, 3.0, 4.0]]]])
    >>> ns.aspp2d(x, [np.ones((1, 1, 1, 1)), np.ones((1, 1, 1, 3))], rates=(1, 2))
    array([[[[1., 2., 3., 4.]],
    <BLANKLINE>
            [[4., 6., 4., 6.]]]])
    """
    if isinstance(weights, Spec) or not isinstance(weights, (list, tuple)):
        raise ArgumentTypeError(f"weights must be a list or tuple of arrays, got {weights}")
    if not weights:
        raise ArgumentError("weights must hold at least one array, got none")
    named = {f"weights[{k}]": w for k, w in enumerate(weights)}
    dtype = checks.floats(x=x, **named, pool_weight=pool_weight, bias=bias)
    n, c, h, width = checks.axes("x", x, "n c h w")
    filters, kernels = [], []
    for name, w in [
        *named.items(),
        *([] if pool_weight is None else [("pool_weight", pool_weight)]),
    ]:
        f, channels, kh, kw = checks.axes(name, w, "f c kh kw")
        if channels != c:
            raise ArgumentError(f"{name} takes {channels} channels, but x has {c}")
        if min(kh, kw) < 1 or (name == "pool_weight" and (kh, kw) != (1, 1)):
            wanted = "1 x 1" if name == "pool_weight" else "at least 1 x 1"
            raise ArgumentError(f"{name}'s kernel is {kh} x {kw}, expected {wanted}")
        filters.append(f)
        kernels.append((kh, kw))
    dilations = _rates(rates, len(weights))
    add = checks.choice("combine", combine, ("concat", "sum")) == "sum"
    if add and len(set(filters)) > 1:
        raise ArgumentError(f"branches have {filters} filters: to add them up they must be alike")
    total = filters[0] if add else sum(filters)
    if bias is not None:
        checks.shape("bias", bias, (total,), f"one for each of the {total} channels of the result")
    rows, columns = zip(*kernels[: len(weights)], strict=True)
    g = Geometry(n, c, h, width, tuple(filters), rows, columns, dilations, add)
    products = sum(f * k * m for f, (k, m) in zip(filters, kernels[: len(weights)], strict=False))
    return Plan(
        outputs=(Spec((n, total, h, width), dtype),),
        geometry=g,
        flops=2 * n * h * width * c * products,
        reach=_reach(g.branches) if pool_weight is None else None,
    )


def _rates(rates: Any, branches: int) -> tuple[int, ...]:
    if not checks.is_sequence(rates):
        raise ArgumentTypeError(f"rates must be a sequence of integers, got {shown(rates)}")
    if len(rates) != branches:
        raise ArgumentError(f"weights holds {branches} arrays, but there are {len(rates)} rates")
    return tuple(
        checks.integer(f"rates[{k}]", rate, 1, checks.LARGEST) for k, rate in enumerate(rates)
    )


def _reach(branches: list[Convolution]) -> tuple[Reach, Reach]:
    """From the first pixel that any branch reads to the last."""
    rows = [window_reach(g.kh, 1, g.pt, g.dy) for g in branches]
    columns = [window_reach(g.kw, 1, g.pl, g.dx) for g in branches]
    first, last = (
        Reach(Fraction(1), min(r.first for r in axis), max(r.last for r in axis))
        for axis in (rows, columns)
    )
    return first, last
