"""Logs that TensorBoard reads."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numseg.files import check_writable, optional
from numseg.training.loop import Epoch


class TensorBoard:
    """Writes each epoch to a folder of TensorBoard's logs: ``train(..., report=TensorBoard(folder,
    classes))``.

    By step ``train/loss``, ``train/lr`` and, where it is clipped to a length,
    ``train/gradient_norm``; by epoch ``held_out/mean_iou`` and the other scores, and
    ``class_iou/NAME``; of detectors ``train/loss_PART`` and ``class_ap50/NAME``. A run that goes on
    adds to what is there.

    Parameters
    ----------
    folder : path
    classes : sequence of str
        Names of the classes.

    Raises
    ------
    FileError
        If the folder cannot be written to.
    MissingExtra
        Without tensorboardX.
    """

    def __init__(self, folder: str | os.PathLike[str], classes: Sequence[str]) -> None:
        self._package = optional(
            "tensorboardX", "tensorboardX", "logs", "writing logs for TensorBoard"
        )
        check_writable(Path(folder) / "events")
        self._folder, self._classes = os.fspath(folder), tuple(classes)
        self._writer: Any = None

    def __call__(self, epoch: Epoch) -> None:
        """Write what an epoch gave."""
        if self._writer is None:  # not before there is something: a run may end before it begins
            self._writer = self._package.SummaryWriter(self._folder)
        first = (epoch.epoch - 1) * len(epoch.steps)
        for number, step in enumerate(epoch.steps, first + 1):
            self._add("train/loss", step.loss, number)
            self._add("train/lr", step.lr, number)
            self._add("train/gradient_norm", step.norm, number)
            for name, value in step.terms.items():
                self._add(f"train/{name}", value, number)
        for name, value in epoch.scores._asdict().items():
            if value is not None and not name.startswith("class_"):
                self._add(f"held_out/{name}", value, epoch.epoch)
            elif value is not None and name != "class_accuracy":
                for of, one in zip(self._classes, value, strict=True):
                    self._add(f"{name}/{of}", float(one), epoch.epoch)
        self._writer.flush()

    def _add(self, name: str, value: float | None, number: int) -> None:
        if value is not None and not math.isnan(value):
            self._writer.add_scalar(name, value, number)

    def close(self) -> None:
        """Nothing more is written."""
        if self._writer is not None:
            self._writer.close()
