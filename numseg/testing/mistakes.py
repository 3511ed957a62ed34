"""Mistakes that people make in kernels, each as what a kernel with it would give.

A mistake predicts the results of a call, right ones included: where it makes no difference, the
prediction is the definition's result. So an implementation has a mistake if the predictions fit
*all* of its calls, and two mistakes are told apart by the calls on which they differ.
"""

from __future__ import annotations

from collections.abc import Iterator

from numseg.testing import wrong_arguments, wrong_gradients, wrong_results
from numseg.testing.prediction import Mistake
from numseg.testing.trial import Trial


def mistakes(trial: Trial) -> Iterator[Mistake]:
    """All that may be made in the operator, the likelier first."""
    yield from wrong_arguments.mistakes(trial)
    yield from wrong_results.mistakes(trial)


def gradient_mistakes(trial: Trial) -> Iterator[Mistake]:
    """Those that leave the results right."""
    return wrong_gradients.mistakes(trial)
