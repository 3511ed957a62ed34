"""A progress bar that may be none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numseg.files import optional


class Bar:
    """What is shown of a run, if anybody wants to see it."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._shown: dict[str, str] = {}

    def advance(self, loss: float, terms: Mapping[str, float]) -> None:
        """A step is made; its loss, and the parts of that where there are any."""
        if self._bar is not None:
            figures = {"loss": loss, **{n.removeprefix("loss_"): v for n, v in terms.items()}}
            self._shown |= {name: f"{value:.3f}" for name, value in figures.items()}
            self._bar.set_postfix(self._shown, refresh=False)
            self._bar.update()

    def count(self) -> None:
        if self._bar is not None:
            self._bar.update()

    def show(self, figures: Mapping[str, float]) -> None:
        if self._bar is not None:
            self._shown |= {name: f"{value:.3f}" for name, value in figures.items()}
            self._bar.set_postfix(self._shown)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def bar(title: str | None, done: int, total: int, unit: str = "step") -> Bar:
    """tqdm's bar of this title; none without one."""
    if title is None:
        return Bar(None)
    tqdm = optional("tqdm", "tqdm", "train", "a progress bar").tqdm
    return Bar(tqdm(desc=title, initial=done, total=total, unit=unit, dynamic_ncols=True))
