"""``pydensecrf.utils``: unary energies of labels and probabilities, features of pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from logging import warning
from typing import Any

import numpy as np

from numseg import checks
from numseg.checks import named
from numseg.errors import ArgumentError, ArgumentTypeError
from numseg.interop.pydensecrf.door import each, whole
from numseg.typing import Array

__all__ = [
    "compute_unary",
    "create_pairwise_bilateral",
    "create_pairwise_gaussian",
    "softmax_to_unary",
    "unary_from_labels",
    "unary_from_softmax",
]


@named("unary_from_labels")
def unary_from_labels(
    labels: Any, n_labels: int, gt_prob: float, zero_unsure: bool = True
) -> Array:
    """The energies of labels that are right with a given probability.

    Parameters
    ----------
    labels : array of integers, any shape
        In [0, n_labels); with ``zero_unsure`` in [0, n_labels], where 0 says nothing and label k is
        row k - 1 of the result.
    n_labels : int
        At least 2. With ``zero_unsure`` the 0 does not count.
    gt_prob : float
        In (0, 1): the probability of the given label; the others share the rest.
    zero_unsure : bool
        Whether 0 means "any label".

    Returns
    -------
    array, (n_labels, labels.size), float32
        ``-log`` of the probabilities.

    Raises
    ------
    ArgumentError
        For labels out of range, where pydensecrf raises IndexError or, below 0, counts from the
        end.
    """
    count = whole("n_labels", n_labels, minimum=2)
    certain = checks.real("gt_prob", gt_prob)
    if not 0 < certain < 1:
        raise ArgumentError(f"gt_prob must lie between 0 and 1, got {gt_prob}")
    given = np.asarray(labels)
    checks.integers(labels=given)
    flat = given.reshape(-1).astype(np.int64)
    checks.labels("labels", flat, count + bool(zero_unsure))
    row = flat - 1 if zero_unsure else flat
    energy = np.full((count, flat.size), -math.log((1.0 - certain) / (count - 1)), np.float32)
    energy[row, np.arange(flat.size)] = -math.log(certain)
    if zero_unsure:  # row -1 was the last
        energy[:, flat == 0] = -math.log(1.0 / count)
    return energy


def compute_unary(labels: Any, M: int, GT_PROB: float = 0.5) -> Array:
    """The older name of :func:`unary_from_labels`."""
    warning("compute_unary is deprecated: use unary_from_labels")
    return unary_from_labels(labels, M, GT_PROB)


@named("unary_from_softmax")
def unary_from_softmax(sm: Any, scale: float | None = None, clip: float | None = 1e-5) -> Array:
    """The energies of probabilities.

    Parameters
    ----------
    sm : array, (n_labels, ...)
        Probabilities.
    scale : float in (0, 1], optional
        Mix with the uniform distribution: ``scale * sm + (1 - scale) / n_labels``.
    clip : float, optional
        The least probability, for no energy is infinite then; None leaves them as they are.

    Returns
    -------
    array, (n_labels, points), float32
        ``-log`` of the probabilities.
    """
    probabilities = np.asarray(sm)
    if probabilities.ndim == 0 or probabilities.dtype.kind not in "fiub":
        raise ArgumentTypeError(
            f"sm is an array {probabilities.shape} of {probabilities.dtype}, expected "
            "(n_labels, ...) numbers"
        )
    count = len(probabilities)
    if scale is not None:
        if not 0 < checks.real("scale", scale) <= 1:
            raise ArgumentError(f"scale must lie in (0, 1], got {scale}")
        probabilities = scale * probabilities + (1 - scale) * (np.ones(probabilities.shape) / count)
    if clip is not None:
        probabilities = np.clip(probabilities, checks.real("clip", clip), 1.0)
    with np.errstate(divide="ignore"):  # without clip, as asked
        return -np.log(probabilities).reshape(count, -1).astype(np.float32)


def softmax_to_unary(sm: Any, GT_PROB: float = 1) -> Array:
    """The older name of :func:`unary_from_softmax`, without its clip."""
    warning("softmax_to_unary is deprecated: use unary_from_softmax")
    return unary_from_softmax(sm, None if GT_PROB == 1 else GT_PROB, clip=None)


@named("create_pairwise_gaussian")
def create_pairwise_gaussian(sdims: Any, shape: Any) -> Array:
    """The places of pixels as features, for ``addPairwiseEnergy``.

    Parameters
    ----------
    sdims : sequence of float
        The width for each axis.
    shape : sequence of int
        Of the image, or volume.

    Returns
    -------
    array, (axes, points), float32
        The index along each axis, in the order of ``shape`` (rows first, where
        ``DenseCRF2D.addPairwiseGaussian`` has columns first), divided by its width.
    """
    sizes = [whole(f"shape[{i}]", n, 0) for i, n in enumerate(shape)]
    if len(sdims) < len(sizes):  # pydensecrf mixes up points and axes then
        raise ArgumentError(f"sdims has {len(sdims)} numbers, but shape has {len(sizes)}")
    return _places(sdims, sizes)


def _places(sdims: Any, shape: Sequence[int]) -> Array:
    """The indices of every point, divided by the widths; further axes are left as they are."""
    grid = np.indices(shape, np.float32)
    found = each("sdims", sdims, len(shape), f"axes: {tuple(shape)}")
    for axis, width in zip(grid, found, strict=False):
        axis /= width
    return grid.reshape(len(shape), -1)


@named("create_pairwise_bilateral")
def create_pairwise_bilateral(sdims: Any, schan: Any, img: Any, chdim: int = -1) -> Array:
    """Places and colours of pixels as features, for ``addPairwiseEnergy``.

    Parameters
    ----------
    sdims : sequence of float
        The width for each axis of the image but that of its channels; further axes are left as
        they are.
    schan : float or sequence of float
        The width for all channels, or for each; further channels are left as they are.
    img : array
        The image, or volume, of any number of channels.
    chdim : int
        The axis of its channels; -1, if it has none.

    Returns
    -------
    array, (axes + channels, points), float32
        Places as :func:`create_pairwise_gaussian` has them, then the channels divided by their
        widths.
    """
    image = np.asarray(img)
    if chdim == -1:
        image = image[None]
    else:
        image = np.moveaxis(image, checks.dim(chdim, "img", image, "chdim"), 0)
    colours = image.astype(np.float32)
    if checks.is_sequence(schan):
        found = each("schan", schan, len(colours), f"channels in img {np.shape(img)}")
        for channel, width in zip(colours, found, strict=False):
            channel /= width
    else:
        colours /= checks.positive("schan", schan)
    places = _places(sdims, colours.shape[1:])
    return np.concatenate([places, colours.reshape(len(colours), -1)])
