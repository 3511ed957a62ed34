"""Cases of broadcasting operators: shapes that broadcast in every way, and what all refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Operator, Plan
from numseg.testing.cases import Case, Invalid, Maker, refused
from numseg.typing import Array, Shape


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Shape, Shape]:
    """Two shapes of up to five axes that broadcast; each lacks some axes, or has 1 there."""
    size = st.sampled_from([0, 1, 2, 2, 3, 3])
    both = draw(
        st.lists(st.tuples(size, st.sampled_from(["both", "both", "x", "other"])), max_size=5)
    )
    x, other = (
        tuple(1 if has not in ("both", name) else n for n, has in both) for name in ("x", "other")
    )
    return shortened(draw, x), shortened(draw, other)


def shortened(draw: st.DrawFn, shape: Shape) -> Shape:
    """Without some of the axes of 1 that come first."""
    ones = next((i for i, n in enumerate(shape) if n != 1), len(shape))
    return shape[draw(st.integers(0, ones)) :]


def inputs(
    x: Callable[[Shape], Shape | Maker] = lambda shape: shape,
    other: Callable[[Shape], Shape | Maker] = lambda shape: shape,
) -> tuple[st.SearchStrategy[Case], list[Invalid]]:
    """What a module ``cases`` states as ``valid`` and ``invalid``.

    ``x`` and ``other`` make an array of a shape, for operators that ordinary numbers will not do
    for.
    """
    valid = pairs().map(lambda both: Case({"x": x(both[0]), "other": other(both[1])}))
    made = np.ones((2, 3), np.float32)
    bad = refused(Case({"x": made, "other": made}))
    return valid, [
        bad("x has shape (2, 3) and other (2, 2): they do not broadcast", other=made[:, :2]),
        bad("x has shape (2, 3) and other (2,): they do not broadcast", other=made[:, 0]),
        bad("x has shape (2, 0) and other (2, 3): they do not broadcast", x=made[:, :0]),
        bad("other has dtype float64, but x has float32", other=made.astype(np.float64)),
        bad("x has dtype bool, expected float32 or float64", x=made.astype(bool)),
    ]


def terms(plan: Plan[Any]) -> int:
    """Roundings of a gradient of one product for each place: its own, and those of the sum."""
    g = plan.geometry
    most = (g.size // max(spec.size, 1) for spec in plan.inputs)
    return max(1, *most)


def sizes_of_terms(op: Operator[..., Any]) -> Callable[[Plan[Any], dict[str, Any], Array], Any]:
    """What ``scales`` is where ``op`` takes sums and products of absolute values alone."""

    def scales(plan: Plan[Any], arguments: dict[str, Any], grad_y: Array) -> Any:
        x, other = (np.asarray(abs(arguments[name])) for name in ("x", "other"))
        y, saved = op.reference.forward(x, other)
        return [y], [abs(grad) for grad in op.reference.backward(saved, grad_y)]

    return scales
