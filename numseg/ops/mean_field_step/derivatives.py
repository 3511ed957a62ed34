"""The derivative of mean_field_step: that of dense_crf of one iteration."""

from __future__ import annotations

from typing import Any

from numseg.ops.dense_crf import derivatives
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    return derivatives.jvp(saved, {**along, "q0": along["q"]})
