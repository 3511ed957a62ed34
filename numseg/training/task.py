"""What is trained: a network with its loss, its pictures and its scores. The loop, the steps and
the checkpoints know nothing else of it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, NamedTuple, Protocol

from numseg.graph import Param
from numseg.typing import Array, ArrayLike


class Gradients(NamedTuple):
    """What one batch gives."""

    loss: float
    grads: dict[str, Array]
    """None of them where the loss is not finite."""
    updates: Mapping[str, Array]
    """New values of parameters that are state, such as running means."""
    terms: Mapping[str, float] = {}
    """The parts of a loss that is a sum, as ``loss_NAME``; none of one that is not told apart."""


class Task(Protocol):
    """Segmentation and detection are tasks."""

    @property
    def channels(self) -> int:
        """Of a picture."""
        ...

    @property
    def params(self) -> tuple[Param, ...]:
        """Names and shapes of all parameters."""
        ...

    @property
    def trainable(self) -> tuple[str, ...]:
        """Those that a step changes."""
        ...

    @property
    def batches(self) -> int:
        """In an epoch."""
        ...

    def describe(self, net: Any) -> dict[str, Any]:
        """The network as a checkpoint holds it, and what else says which task it is."""
        ...

    def init(self, seed: int) -> dict[str, Array]:
        """Start values of the parameters."""
        ...

    def check(self, params: Mapping[str, ArrayLike]) -> None:
        """Raise one error that lists all names and shapes that are not the network's."""
        ...

    def check_pieces(self) -> None:
        """The network takes the pieces that are cut out of pictures."""
        ...

    def check_pictures(self, progress: str | None) -> None:
        """Every picture fits its truth and the network: what does not is found before the work."""
        ...

    def epoch(self, number: int, workers: int) -> Generator[Any, None, None]:
        """The batches of an epoch; ``workers`` threads make them ahead."""
        ...

    def gradients(
        self, params: Mapping[str, Array], batch: Any, step: int, share: float
    ) -> Gradients:
        """The loss of one batch, and the gradient of ``share`` times that; what is random depends
        on ``step``."""
        ...

    def scores(self, params: Mapping[str, Array]) -> Any:
        """On the held-out pictures: a named tuple of numbers, of arrays of a number for each class
        where the name begins with ``class_``, and of None for what there is not."""
        ...

    def headline(self, scores: Any) -> dict[str, float]:
        """Of the scores, what a progress bar has room for."""
        ...
