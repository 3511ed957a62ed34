"""Whose features are whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {"Krähenbühl and Koltun, pydensecrf": {}}

PEERS: dict[str, dict[str, Any]] = {}
