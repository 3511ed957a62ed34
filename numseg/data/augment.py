"""Pieces of pictures that training varies: cut out of a scaled picture, and in other colours.

Sizes and places are computed in integers, and a piece is made of what it shows: nothing else of the
scaled picture is. Labels are those of the nearest pixel, never numbers in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg import checks
from numseg.chance import Dice
from numseg.data.images import as_input
from numseg.errors import ArgumentError
from numseg.typing import Array

THOUSAND = 1000
"""Chance comes in thousandths."""


class Colours(NamedTuple):
    """By how much colours may vary, each 0 for not at all; as torchvision's ColorJitter."""

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0


def colour_amounts(given: Any) -> dict[str, float]:
    """The checked amounts of something that has the fields of :class:`Colours`."""
    most = {"hue": 0.5}
    return {
        name: checks.real(name, getattr(given, name), 0, most.get(name, 1))
        for name in Colours._fields
    }


def check_colours(colours: Colours, channels: int) -> None:
    """Raise ArgumentError for what has no meaning for pictures of so many channels."""
    for name in ("saturation", "hue"):
        if (amount := getattr(colours, name)) and channels != 3:
            raise ArgumentError(
                f"{name} is {amount}, but the network takes {channels} "
                f"channel{'s' if channels > 1 else ''}, not red, green and blue"
            )


def scale_between(scale: Any) -> tuple[float, float]:
    """Two checked factors, the smaller first."""
    low, high = checks.positive_pair("scale", scale)
    if low > high:
        raise ArgumentError(f"scale goes from {low} to {high}, expected the smaller one first")
    return low, high


def scaled_size(size: int, thousandths: int) -> int:
    """Rows or columns of a picture that is scaled by so many thousandths; a half is rounded up."""
    return max((2 * size * thousandths + THOUSAND) // (2 * THOUSAND), 1)


class Axis(NamedTuple):
    """Some pixels ``start, ..., stop - 1`` of an axis of ``size`` pixels, scaled to ``scaled``."""

    size: int
    scaled: int
    start: int
    stop: int

    def nearest(self) -> Array:
        """The pixel of the picture in which each of them has its centre."""
        return (2 * np.arange(self.start, self.stop) + 1) * self.size // (2 * self.scaled)

    def between(self) -> tuple[Array, Array, Array]:
        """The two pixels that each lies between, and the share of the second (half-pixel centres,
        the picture continued by its border)."""
        place = (2 * np.arange(self.start, self.stop) + 1) * self.size - self.scaled
        place = place.clip(0, 2 * self.scaled * (self.size - 1))
        first, rest = np.divmod(place, 2 * self.scaled)
        share = (rest / (2 * self.scaled)).astype(np.float32)
        return first, np.minimum(first + 1, self.size - 1), share


def chosen_axes(
    shape: Sequence[int], wanted: Sequence[int] | None, scale: tuple[float, float], dice: Dice
) -> tuple[Axis, Axis]:
    """Which rows and which columns of the scaled picture, at a place of the dice's choice; all of
    them where no size is wanted."""
    low, high = (round(factor * THOUSAND) for factor in scale)
    thousandths = low if low == high else dice.between(low, high)
    axes = []
    for i, size in enumerate(shape):
        scaled = scaled_size(size, thousandths)
        most = scaled if wanted is None else wanted[i]
        start = dice.between(0, max(scaled - most, 0))
        axes.append(Axis(size, scaled, start, min(start + most, scaled)))
    return axes[0], axes[1]


def piece(
    image: Array, labels: Array, rows: Axis, columns: Axis, channels: int
) -> tuple[Array, Array]:
    """Part of a scaled picture, as a network takes it, and its labels.

    Parameters
    ----------
    image, labels : array, (C, H, W) and (H, W)
    rows, columns : Axis
        What is wanted of it.
    channels : int
        That the network takes.

    Returns
    -------
    x : array, (channels, rows, columns), float32
        By bilinear interpolation, without a filter against aliasing (as DeepLab's and PyTorch's
        ``interpolate``); the picture's own numbers, where it is not scaled.
    labels : array, (rows, columns), dtype of labels
        Of the nearest pixels.
    """
    if rows.size == rows.scaled and columns.size == columns.scaled:
        part = slice(rows.start, rows.stop), slice(columns.start, columns.stop)
        return as_input(image[:, part[0], part[1]], channels), labels[part]
    above, below, down = rows.between()
    left, right, across = columns.between()
    top, first = int(above[0]), int(left[0])
    shown = as_input(image[:, top : below[-1] + 1, first : right[-1] + 1], channels)
    shown = _mixed(shown[:, above - top], shown[:, below - top], down[:, None])
    shown = _mixed(shown[:, :, left - first], shown[:, :, right - first], across)
    return shown, labels[rows.nearest()[:, None], columns.nearest()]


def _mixed(one: Any, other: Any, share: Any) -> Array:
    """From one to the other."""
    return one + (other - one) * share


def recoloured(x: Array, colours: Colours, dice: Dice) -> Array:
    """The picture in other colours, (C, H, W) of float32 in [0, 1].

    In this order, each by a factor of ``1 - amount`` to ``1 + amount``, and cut off at 0 and 1:

    - brightness multiplies,
    - contrast draws towards or away from the picture's mean grey,
    - saturation draws each pixel towards or away from its own grey,
    - hue turns colours by up to ``hue`` of the circle (0.5 is to the opposite).
    """
    factor = {
        name: np.float32(1 + dice.between(-THOUSAND, THOUSAND) * amount / THOUSAND)
        for name, amount in colours._asdict().items()
        if amount
    }
    if "brightness" in factor:
        x = (x * factor["brightness"]).clip(0, 1)
    if "contrast" in factor:
        x = _mixed(np.mean(_grey(x), dtype=np.float32), x, factor["contrast"]).clip(0, 1)
    if "saturation" in factor:
        x = _mixed(_grey(x), x, factor["saturation"]).clip(0, 1)
    if "hue" in factor:
        x = _turned(x, factor["hue"] - 1)
    return x


def _grey(x: Array) -> Array:
    """(1, H, W)."""
    if len(x) == 3:
        return as_input(x, 1)
    return np.asarray(np.mean(x, axis=0, dtype=np.float32, keepdims=True))


def _turned(x: Array, turn: np.float32) -> Array:
    """Each pixel's hue turned by this share of the circle; value and saturation stay (HSV)."""
    red, green, blue = x
    value = x.max(axis=0)
    chroma = value - x.min(axis=0)
    safe = np.where(chroma > 0, chroma, np.float32(1))
    sixths = np.where(
        value == red,
        (green - blue) / safe,
        np.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    sixths = sixths + 6 * turn
    found = np.empty_like(x)
    for channel, corner in enumerate((5, 3, 1)):  # where on the circle the channel is least
        k = np.mod(corner + sixths, np.float32(6))
        found[channel] = value - chroma * np.minimum(k, 4 - k).clip(0, 1)
    return found
