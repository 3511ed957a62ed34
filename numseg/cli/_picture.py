"""The demo's picture: photograph, truth and prediction side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg.data import SCENE_CLASSES, Sample, as_input
from numseg.files import optional
from numseg.typing import Array

WIDTH = 6.24
WORDS = ("photograph", "truth", "prediction (wrong pixels in red)")
NIGHT, INK, FAINT = "#12161c", "#eef0f2", "#8d97a5"
COIN, PAPER, WRONG = (246, 186, 70), (52, 66, 88), (255, 70, 96)
SCENE_COLOURS = np.array(
    [
        (128, 190, 236),  # sky
        (134, 122, 158),  # mountain
        (136, 186, 84),  # meadow
        (44, 100, 178),  # water
        (30, 98, 66),  # tree
        (230, 206, 166),  # house
        (206, 78, 58),  # roof
        (255, 222, 110),  # sun
    ],
    np.uint8,
)


class Shown(NamedTuple):
    """A held-out picture and what a network makes of it."""

    sample: Sample
    prediction: Array


def drawing() -> Any:
    """Matplotlib's figures."""
    return optional("matplotlib.figure", "matplotlib", "demo", "drawing the picture")


def draw(coins: Shown, coins_miou: float, scenes: Sequence[Shown], scenes_miou: float) -> bytes:
    """A PNG: the coins on top, below them an even number of scenes, two in a row."""
    matplotlib = drawing()
    rows, columns = coins.sample.labels.shape
    strip = 2.04 * rows / columns  # heights and widths are in widths of a scene
    below = 0.34 + strip + 0.56
    height = below + len(scenes) // 2 * 1.04 + 0.30
    figure = matplotlib.Figure(figsize=(12, 12 * height / WIDTH), facecolor=NIGHT)
    page = _Page(figure, height)

    page.heading(0.18, "coins", "the half of a real photograph that it never saw", coins_miou)
    panels = (_grey(coins.sample), _coins(coins), _coins(coins, predicted=True))
    for i, (panel, word) in enumerate(zip(panels, WORDS, strict=True)):
        page.panel(panel, 0.06 + i * 2.06, 0.34, 2.0, strip)
        page.caption(1.06 + i * 2.06, 0.34 + strip + 0.09, word)

    page.heading(below - 0.16, "scenes", "generated landscapes that it never saw", scenes_miou)
    for i, shown in enumerate(scenes):
        left, top = 0.06 + (i % 2) * 3.1, below + (i // 2) * 1.04
        image = np.moveaxis(shown.sample.image, 0, 2)
        maps = SCENE_COLOURS[shown.sample.labels], SCENE_COLOURS[shown.prediction]
        for j, panel in enumerate((image, *maps)):
            page.panel(panel, left + j * 1.01, top, 1.0, 1.0)
    page.legend(height - 0.17)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, facecolor=NIGHT, pil_kwargs={"optimize": True})
    return buffer.getvalue()


class _Page:
    """A figure on which things are placed from the top left, in widths of a scene."""

    def __init__(self, figure: Any, height: float) -> None:
        self.figure, self.width, self.height = figure, WIDTH, height

    def panel(self, pixels: Array, left: float, top: float, width: float, height: float) -> None:
        box = (
            left / self.width,
            1 - (top + height) / self.height,
            width / self.width,
            height / self.height,
        )
        axes = self.figure.add_axes(box)
        axes.imshow(pixels, interpolation="nearest", aspect="auto")
        axes.set_axis_off()

    def heading(self, top: float, title: str, words: str, miou: float) -> None:
        y = 1 - top / self.height
        place = {"va": "center", "transform": self.figure.transFigure}
        self.figure.text(0.06 / self.width, y, title, color=INK, size=17, weight="bold", **place)
        self.figure.text(0.72 / self.width, y, words, color=FAINT, size=12, **place)
        self.figure.text(
            1 - 0.06 / self.width, y, f"mIoU {miou:.3f}", color=INK, size=15, ha="right", **place
        )

    def caption(self, middle: float, top: float, words: str) -> None:
        self.figure.text(
            middle / self.width, 1 - top / self.height, words,
            color=FAINT, size=11, ha="center", va="center",
        )  # fmt: skip

    def legend(self, top: float) -> None:
        """The scenes' classes, each after a square of its colour."""
        for i, (name, colour) in enumerate(zip(SCENE_CLASSES, SCENE_COLOURS, strict=True)):
            left = 0.36 + i * 0.74
            self.panel(colour[None, None], left, top - 0.05, 0.1, 0.1)
            self.figure.text(
                (left + 0.15) / self.width, 1 - top / self.height, name,
                color=INK, size=11, va="center",
            )  # fmt: skip


def _grey(sample: Sample) -> Array:
    return np.repeat(np.moveaxis(sample.image, 0, 2), 3, axis=2)


def _coins(shown: Shown, predicted: bool = False) -> Array:
    """Coin and paper in two colours, shaded as in the photograph; wrong pixels stand out."""
    truth = shown.sample.labels
    labels = shown.prediction if predicted else truth
    light = 0.55 + 0.75 * as_input(shown.sample.image, 1)[0][..., None]
    colours = np.where(labels[..., None] == 1, COIN, PAPER) * light
    colours = np.where((labels != truth)[..., None], WRONG, colours)
    return np.clip(colours, 0, 255).astype(np.uint8)
