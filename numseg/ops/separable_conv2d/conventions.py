"""Whose separable convolution is whose."""

from __future__ import annotations

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {"Keras": {}}
