"""What kernels know of a call of dense_crf and of mean_field_step."""

from __future__ import annotations

from typing import NamedTuple

OUTPUTS = ("probabilities", "logits")


class Geometry(NamedTuple):
    n: int
    labels: int
    size: int
    """Points of an image."""
    dims: tuple[int, ...]
    """Of each term's features: how many."""
    shared: tuple[bool, ...]
    """Of each term's features: are they the same for all images?"""
    axes: tuple[int, ...]
    """Of each term's compatibilities: 0 for a number, 1 for one by label, 2 for a matrix."""
    starts: bool
    """Is q0 given?"""
    iterations: int
    exact: bool
    normalization: int
    """Its place among gaussian_filter's."""
    include_self: bool
    damping: float
    tolerance: float
    """-1: none."""
    logits: bool
    exact_gradient: bool
    """Of features: that of the kernel, and not that of the lattice."""
