"""Whose mean field is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {"pydensecrf": {}}

PEERS: dict[str, dict[str, Any]] = {}
