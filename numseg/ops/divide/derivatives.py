"""The second derivatives of divide."""

from typing import Any

from numseg.typing import Array


def curvature(x: Array, other: Array) -> tuple[Any, Any, Any]:
    return 0.0, -1 / other / other, 2 * (x / other) / other / other
