"""Whose spatial pyramid pooling is whose."""

from __future__ import annotations

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {
    "He et al. 2014": {"mode": "max", "bins": "adaptive"},
    "Caffe SPP": {"bins": "caffe"},
}
