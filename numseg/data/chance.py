"""Chance that is the same everywhere (:mod:`numseg.chance`)."""

from numseg.chance import Dice, below, hashed, permutation

__all__ = ["Dice", "below", "hashed", "permutation"]
