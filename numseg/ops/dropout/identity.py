"""When dropout gives x."""

from __future__ import annotations


def identity(
    p: float = 0.5,
    *,
    training: bool = True,
    inverted: bool = True,
    **others: object,
) -> bool:
    """In inference, unless that is where it scales."""
    return training is False and inverted is True
