"""Whose Gaussian filter is whose."""

from __future__ import annotations

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {
    "pydensecrf NORMALIZE_SYMMETRIC": {"normalization": "symmetric"},
    "pydensecrf NORMALIZE_AFTER, CRF-as-RNN": {"normalization": "after"},
    "pydensecrf NORMALIZE_BEFORE": {"normalization": "before"},
    "pydensecrf NO_NORMALIZATION": {"normalization": "none"},
    "the exact sum": {"method": "exact"},
}
