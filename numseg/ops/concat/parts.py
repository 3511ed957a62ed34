"""Where each array lies in the result."""

from __future__ import annotations

import itertools

from numseg.ops.concat.geometry import Geometry


def parts(g: Geometry) -> list[tuple[slice, ...]]:
    """An index of the result for each array, in their order."""
    ends = itertools.accumulate(g.sizes, initial=0)
    whole = (slice(None),) * g.axis
    return [(*whole, slice(first, last)) for first, last in itertools.pairwise(ends)]
