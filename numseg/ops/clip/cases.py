"""Inputs for clip: integers from -4 to 4 meet most of these bounds, and float32 holds them all."""

from numseg.testing.cases import Case, Invalid
from numseg.testing.pointwise import inputs

valid, invalid = inputs(
    *(
        {"min": low, "max": high, "boundary": boundary}
        for low, high in [
            (-2.0, 3.0),
            (0.0, 6.0),
            (None, 0.25),
            (-0.125, None),
            (None, None),
            (0.5, -0.5),
            (1, 1),
        ]
        for boundary in ("inside", "outside")
    )
)
invalid.append(
    Invalid(Case({"x": (3,)}, {"boundary": "half"}), "boundary must be one of 'inside', 'outside'")
)
EXACT = True
roundings = 0
