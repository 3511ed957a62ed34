"""Mistakes in backward, where the results are right."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from numseg.conventions import Arguments, Probe
from numseg.testing.foreign import Given
from numseg.testing.prediction import Mistake, Prediction
from numseg.testing.trial import Trial
from numseg.testing.wrong_arguments import WEIGHT
from numseg.typing import Array


def mistakes(trial: Trial) -> Iterator[Mistake]:
    """Of gradients, of which each has its own."""
    yield Mistake("gradients for a grad_y of ones, whatever grad_y it gets", _grad_y_ignored)
    if "weight" in trial.peer.takes and "weight" in trial.op.linear:
        of = f"the gradient of {trial.op.inputs[0]}"
        for words, another in WEIGHT.items():
            named = f"{of}: {words.partition(':')[0]}"
            yield Mistake(named, functools.partial(_gradient_by_another, another))
    for name in trial.op.differentiable:
        of = f"the gradient of {name}"
        for words, change in GRADIENTS.items():
            yield Mistake(f"{of}: {words}", functools.partial(_gradient, name, change))
        for words, image in (("first", 0), ("last", -1)):
            words = f"{of}: that of the {words} image alone, not the sum over the batch"
            yield Mistake(words, functools.partial(_of_one_image, name, image))


# -- gradients ------------------------------------------------------------------------------------

GRADIENTS: dict[str, Callable[[Array, Arguments], Array | None]] = {
    "0 everywhere": lambda g, a: np.zeros_like(g),
    "of the opposite sign": lambda g, a: -g,
    "divided by the number of images": lambda g, a: _divided(g, _images(a)),
    "multiplied by the number of images": lambda g, a: _divided(g, 1 / (_images(a) or np.inf)),
    "rows and columns exchanged": lambda g, a: g.swapaxes(-1, -2) if g.ndim > 1 else None,
    "turned by 180 degrees": lambda g, a: g[..., ::-1, ::-1] if g.ndim > 2 else None,
    "twice what it should be": lambda g, a: 2 * g,
    "half of what it should be": lambda g, a: g / 2,
}


def _images(arguments: Arguments) -> float | None:
    x = arguments.get("x")
    return float(len(x)) if isinstance(x, np.ndarray) and x.ndim == 4 else None


def _divided(gradient: Array, by: float | None) -> Array | None:
    return gradient / by if by else None


def _gradient(
    name: str, change: Callable[[Array, Arguments], Array | None],
    trial: Trial, arguments: Arguments, convention: Arguments,
) -> Prediction | None:  # fmt: skip
    ours = trial.ours(arguments, convention)
    if ours is None or name not in ours.gradients:
        return None
    made = change(ours.gradients[name], arguments)
    return None if made is None else Prediction(ours.results, ours.gradients | {name: made})


def _gradient_by_another(
    change: Probe, trial: Trial, arguments: Arguments, convention: Arguments
) -> Prediction | None:
    """The gradient of the first array as it is for another kernel."""
    first = trial.op.inputs[0]
    right, changed = trial.ours(arguments, convention), change(arguments)
    if right is None or not trial.defined(changed | convention):
        return None
    made = trial.ours(changed, convention)
    if made is None or first not in made.gradients:
        return None
    return Prediction(right.results, right.gradients | {first: made.gradients[first]})


def _backward(
    trial: Trial, arguments: Arguments, convention: Arguments,
    change: Callable[[Array], Array],
) -> Prediction | None:  # fmt: skip
    """The gradients for another grad_y."""
    ours = trial.ours(arguments, convention, change)
    return None if ours is None else Prediction(ours.results, ours.gradients)


def _grad_y_ignored(trial: Trial, arguments: Arguments, convention: Arguments) -> Any:
    return _backward(trial, arguments, convention, np.ones_like)


def _of_one_image(
    name: str, image: int, trial: Trial, arguments: Arguments, convention: Arguments
) -> Prediction | None:
    def one(grad_y: Array) -> Array:
        kept = np.zeros_like(grad_y)
        if grad_y.ndim == 4 and len(grad_y):
            kept[image] = grad_y[image]
        return kept

    right = trial.ours(arguments, convention)
    alone = _backward(trial, arguments, convention, one)
    if right is None or alone is None or name not in right.gradients:
        return None
    return Prediction(right.results, right.gradients | {name: alone.gradients[name]})


def overwrites(trial: Trial, arguments: Arguments, convention: Arguments, given: Given) -> bool:
    """Is each number of the gradient of x one of the terms that it should be the sum of?"""
    op = trial.op
    first = op.inputs[0]
    theirs, x = given.gradients.get(first), arguments.get(first)
    plan = op.plan(**{**arguments, **convention})
    if theirs is None or not isinstance(x, np.ndarray) or not plan.linear:
        return False
    try:
        rest = {n: v for n, v in (arguments | convention).items() if n != first}
        matrix = op.matrix(x.shape, **rest).tocsc()
    except (TypeError, ValueError):
        return False
    grad_y = trial.peer.grad_y(given.results[0].shape, given.results[0].dtype).reshape(-1)
    for j, number in enumerate(theirs.reshape(-1)):
        column = matrix[:, [j]].tocoo()
        terms = column.data * grad_y[column.row]
        if not np.isclose(np.append(terms, 0.0), number, rtol=1e-4, atol=1e-6).any():
            return False
    return True
