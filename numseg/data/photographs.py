"""Real photographs that come with scikit-image, and labels for one of them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from numseg import checks
from numseg.data.dataset import Dataset, Sample
from numseg.files import optional
from numseg.typing import Array

PHOTOGRAPHS = ("coins", "horse", "chelsea", "astronaut", "coffee")
COIN_CLASSES = ("background", "coin")

COIN_CUT = 151
"""The row between the second and the third row of coins: it touches none of them."""


def photograph(name: str) -> Array:
    """A picture that comes with scikit-image, (C, H, W) uint8. Nothing is downloaded.

    Parameters
    ----------
    name : {"coins", "horse", "chelsea", "astronaut", "coffee"}
        "horse" is a silhouette: black (0) on white (255).

    Raises
    ------
    MissingExtra
        Without scikit-image.
    """
    checks.choice("name", name, PHOTOGRAPHS)
    data = optional("skimage.data", "scikit-image", "demo", f"the photograph {name!r}")
    pixels = np.asarray(getattr(data, name)())
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(np.moveaxis(pixels, 2, 0))


def coins(part: str = "all") -> Dataset:
    """The photograph of 24 Greek coins from Pompeii, with every pixel labelled background or coin.

    Parameters
    ----------
    part : {"train", "held-out", "all"}
        "train" is the upper half of the photograph, with 12 coins, and "held-out" the lower half,
        with the 12 others. They have no pixel in common, and no coin is cut: what a network learns
        on the one it has never seen of the other.

    Returns
    -------
    Dataset
        One sample; its image is (1, H, W) of uint8.

    Notes
    -----
    The labels are made by classical means, not by hand: a pixel is coin if, after smoothing, it is
    43 grey levels brighter than the paper under it (a grey opening wider than any coin), once
    holes are filled and specks opened away. The light falls off across the photograph, so that no
    threshold on the grey level alone separates coins from paper.
    """
    checks.choice("part", part, ("train", "held-out", "all"))
    image = photograph("coins")
    labels = _coin_labels(image[0])
    rows = {"train": slice(None, COIN_CUT), "held-out": slice(COIN_CUT, None), "all": slice(None)}
    here = rows[part]
    sample = Sample(
        np.ascontiguousarray(image[:, here]), np.ascontiguousarray(labels[here]), f"coins-{part}"
    )
    return Dataset((sample,), COIN_CLASSES)


def _coin_labels(grey: Array) -> Array:
    """1 where there is coin."""
    grey = grey.astype(np.float64)
    paper = ndimage.grey_opening(ndimage.gaussian_filter(grey, 2), (75, 75))
    paper = ndimage.gaussian_filter(paper, 20)
    bright = ndimage.gaussian_filter(grey, 1) - paper > 43
    return ndimage.binary_opening(ndimage.binary_fill_holes(bright), iterations=3).astype(np.uint8)
