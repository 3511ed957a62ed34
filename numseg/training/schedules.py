"""Schedules: what the learning rate of a step is multiplied by, a pure function of its number."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from numseg import checks, names
from numseg.errors import ArgumentError

Schedule = Callable[..., float]
"""``f(step, steps, **arguments)``, for step 0, 1, ... of so many in all."""


def cosine(step: int, steps: int) -> float:
    """From 1 to 0 along half a cosine."""
    return 0.5 * (1 + math.cos(math.pi * step / steps))


def constant(step: int, steps: int) -> float:
    """1."""
    return 1.0


def poly(step: int, steps: int, power: float = 0.9) -> float:
    """``(1 - step / steps) ** power``: DeepLab's (Chen et al., 2017), Caffe's policy "poly"."""
    return float((1 - step / steps) ** checks.real("power", power, 0))


def stepped(step: int, steps: int, step_size: int, gamma: float = 0.1) -> float:
    """``gamma ** (step // step_size)``: PyTorch's StepLR, Caffe's policy "step"."""
    size = checks.integer("step_size", step_size, minimum=1)
    return float(checks.real("gamma", gamma, 0) ** (step // size))


SCHEDULES: dict[str, Schedule] = {
    "cosine": cosine,
    "constant": constant,
    "poly": poly,
    "step": stepped,
}
"""By name."""


def factor(schedule: str | Schedule, arguments: Mapping[str, Any], step: int, steps: int) -> float:
    """What the schedule, or the one of this name, gives.

    Raises
    ------
    ArgumentError
        If it does not take these arguments, or gives no number.
    """
    found = names.find("schedule", schedule, SCHEDULES)
    try:
        inspect.signature(found).bind(step, steps, **arguments)
    except TypeError as error:
        raise ArgumentError(f"schedule {schedule}: {error}") from None
    return checks.real("schedule", found(step, steps, **arguments), minimum=0)


def warming(step: int, warm_up: int, start: float) -> float:
    """From ``start`` in step 0 along a line that comes to 1 in step ``warm_up``."""
    return start + (1 - start) * step / warm_up
