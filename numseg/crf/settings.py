"""Widths and weights of dense CRFs that were published, by name."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numseg import checks
from numseg.ops.bilateral_features import bilateral_features
from numseg.ops.spatial_features import spatial_features
from numseg.typing import Array, ArrayLike


class Term(NamedTuple):
    """A term of the pairwise energy: a Gaussian kernel, and how much equal labels gain by it."""

    compat: float
    """A number that attracts, as :func:`numseg.dense_crf` has it: ``mu = -compat I``."""
    width: float
    """Of positions, in pixels."""
    colour: float | None = None
    """Of colours, for images of 0 to 255; None: the kernel is of positions alone."""

    def widths(self, channels: int, dtype: Any = np.float32) -> Array:
        """Of all features of an image of so many channels."""
        colours = [] if self.colour is None else [self.colour] * channels
        return np.array([self.width, self.width, *colours], dtype)


class Settings(NamedTuple):
    """Of a dense CRF: give ``settings.arguments(image)`` to :func:`numseg.dense_crf`."""

    terms: tuple[Term, ...]
    iterations: int = 10
    normalization: str = "symmetric"

    def arguments(self, image: ArrayLike) -> dict[str, Any]:
        """What to call :func:`numseg.dense_crf` with, besides unary.

        Parameters
        ----------
        image : array, (N, C, H, W), float32 or float64
            Of 0 to 255, whatever was subtracted from it: colours count by their differences.
        """
        _, channels, _, _ = checks.axes("image", image, "n c h w")
        dtype = checks.floats(image=image)
        features = []
        for term in self.terms:
            make = spatial_features if term.colour is None else bilateral_features
            features.append(make(image, term.widths(channels, dtype)))
        return {
            "features": features,
            "compat": [np.array(term.compat, dtype) for term in self.terms],
            "iterations": self.iterations,
            "normalization": self.normalization,
        }


SETTINGS = {
    "crf-as-rnn": Settings((Term(3, 3), Term(5, 160, 3)), normalization="after"),
    "deeplab-v1-largefov": Settings((Term(3, 3), Term(4, 49, 5))),
    "deeplab-v2-vgg": Settings((Term(2, 2), Term(4, 65, 3))),
    "deeplab-v2-resnet101": Settings((Term(3, 1), Term(4, 67, 3))),
}
"""By name: what the authors of CRF-as-RNN begin to train with (``multi_stage_meanfield_param`` of
their Caffe models, tested with 10 iterations), and what those of DeepLab set by cross-validation
(their scripts for the CRF; Potts, kernels normalised symmetrically as in Krähenbühl's code)."""


def settings(name: str) -> Settings:
    """The published settings of this name: one of ``SETTINGS``.

    Examples
    --------
    >>> from numseg import crf
    >>> crf.settings("deeplab-v2-resnet101").terms
    (Term(compat=3, width=1, colour=None), Term(compat=4, width=67, colour=3))
    """
    return SETTINGS[checks.choice("name", name, tuple(SETTINGS))]
