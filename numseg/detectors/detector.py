"""What training, evaluation and the command line know of a detector."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from numseg.data.instances import Detections, Instances
from numseg.graph import Param
from numseg.typing import Array, ArrayLike


class Losses(Protocol):
    """What :meth:`Detector.forward` gives."""

    @property
    def terms(self) -> Mapping[str, float]:
        """Each term of the loss by its name; what is minimised is their sum."""
        ...

    @property
    def updates(self) -> Mapping[str, Array]:
        """New values of parameters that are state, such as running means."""
        ...


@runtime_checkable
class Detector(Protocol):
    """A detector holds graphs and no arrays; its parameters are one flat dict, as a graph's.

    Images are (channels, rows, columns), float32 or float64, and may differ in size. Boxes, labels
    and masks are those of :class:`numseg.data.Instances`, in the pixels of the image as given.
    """

    @property
    def channels(self) -> int:
        """Of an image."""
        ...

    @property
    def classes(self) -> int:
        """The background included, which is class 0."""
        ...

    @property
    def params(self) -> tuple[Param, ...]:
        """All parameters: names, shapes, start values."""
        ...

    @property
    def trainable(self) -> tuple[str, ...]:
        """Those that a training step changes."""
        ...

    def init(self, seed: int = 0, dtype: Any = np.float32) -> dict[str, Array]:
        """Start values; each depends on the seed and its own name only."""
        ...

    def check(self, params: Mapping[str, ArrayLike]) -> None:
        """Raise one error that lists all names and shapes that are not this detector's."""
        ...

    def detect(self, params: Mapping[str, Array], images: Sequence[Array]) -> list[Detections]:
        """What is found in each image, the highest score first."""
        ...

    def forward(
        self,
        params: Mapping[str, Array],
        images: Sequence[Array],
        instances: Sequence[Instances],
        *,
        training: bool = True,
        seed: int = 0,
        step: int = 0,
    ) -> Losses:
        """The terms of the loss, each the mean over the images where the paper says no other.

        What is random (samples, dropout) depends on ``seed``, ``step`` and the place of an image
        in the batch, and on nothing else.
        """
        ...

    def backward(
        self, losses: Any, *, share: float = 1.0, needs: Collection[str] | None = None
    ) -> dict[str, Array]:
        """Gradients of ``share`` times the sum of the terms, by the parameters' names."""
        ...
