"""The transpose of max_unpool2d's gradient."""

from __future__ import annotations

from typing import Any

from numseg.ops.max_unpool2d import max_unpool2d
from numseg.plan import Saved
from numseg.typing import Array


def transposed(saved: Saved, along: dict[str, Any]) -> Array:
    """With ``duplicates="torch"`` all values of an index get its gradient, though one stays: so
    here all of them are added up."""
    parameters = saved.plan.parameters
    if parameters["duplicates"] == "torch":
        parameters = {**parameters, "duplicates": "sum"}
    return max_unpool2d(along["x"], saved.indices, **parameters)
