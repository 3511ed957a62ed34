"""Cases of pointwise operators: any shape, and what all refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.testing.cases import Case, Invalid, Maker, shapes
from numseg.typing import Shape


def inputs(
    *parameters: dict[str, Any], x: Callable[[Shape], Shape | Maker] = lambda shape: shape
) -> tuple[st.SearchStrategy[Case], list[Invalid]]:
    """What a module ``cases`` states as ``valid`` and ``invalid``.

    Each of ``parameters`` is a call's; those that are numbers must be so, and finite. ``x`` makes
    an array of a shape, for operators that ordinary numbers will not do for.
    """
    valid = st.builds(
        lambda shape, params: Case({"x": x(shape)}, params),
        shapes(min_axes=0, max_axes=4),
        st.sampled_from(parameters or ({},)),
    )
    made = np.zeros(3, np.float32)
    invalid = [
        Invalid(
            Case({"x": made.astype(np.int32)}), "x has dtype int32, expected float32 or float64"
        ),
        Invalid(Case({"x": [1.0, 2.0]}), "x must be an array"),
    ]
    for name, value in parameters[0].items() if parameters else ():
        if isinstance(value, float):
            for bad in ("steep", np.nan):
                invalid.append(Invalid(Case({"x": made}, {name: bad}), f"{name} must"))
    return valid, invalid
