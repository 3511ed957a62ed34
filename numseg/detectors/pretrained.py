"""torchvision's detectors with torchvision's weights, and back; without torchvision."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from numseg import checks
from numseg.detectors.faster_rcnn_fpn import fasterrcnn_resnet50_fpn
from numseg.detectors.generalized import GeneralizedRCNN
from numseg.detectors.mask_rcnn_fpn import maskrcnn_resnet50_fpn
from numseg.interop import torchvision, weights
from numseg.typing import Array, ArrayLike

DETECTORS = {made.__name__: made for made in (fasterrcnn_resnet50_fpn, maskrcnn_resnet50_fpn)}
"""By torchvision's names."""


def load(
    name: str, path: str | os.PathLike[str], *, key: str | None = None, **arguments: Any
) -> tuple[GeneralizedRCNN, dict[str, Array]]:
    """A detector of torchvision's, and the parameters that a file has for it.

    Parameters
    ----------
    name : {"fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn"}
    path
        A state dict of that model, in any format of :func:`numseg.interop.weights.load`.
    key : str, optional
        Where in the file it is, if the file has several.
    **arguments
        Of the function: ``classes=2``. A file does not tell the epsilon of its norms:
        torchvision's published ``COCO_V1`` weights want ``norm_eps=0.0``, others the default.

    Returns
    -------
    detector : GeneralizedRCNN
    params : dict of str to array

    Raises
    ------
    FileError
        If the file cannot be read.
    MismatchError
        If it is of another model; with all names that differ.
    """
    detector = DETECTORS[checks.choice("name", name, tuple(DETECTORS))](**arguments)
    return detector, torchvision.match(detector, weights.load(path, key))


def state_dict(detector: GeneralizedRCNN, params: Mapping[str, ArrayLike]) -> dict[str, Any]:
    """What ``load_state_dict(strict=True)`` of the same model takes, once arrays are tensors:
    :func:`numseg.interop.torchvision.state_dict`."""
    return torchvision.state_dict(detector, params)
