"""A dense CRF on a picture: its options, and the run, step by step."""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from numseg.errors import ArgumentError

if TYPE_CHECKING:
    from numseg.crf.stepwise import MeanField
    from numseg.typing import Array

NORMALIZATIONS = ("none", "before", "after", "symmetric")
METHODS = ("permutohedral", "exact")


class Crf(NamedTuple):
    """What a run needs; the defaults are those of pydensecrf's README and of DeepLab's kind."""

    iterations: int = 10
    sxy: tuple[float, ...] = (80.0,)
    """Widths of columns and rows in the term of colours, one or two."""
    srgb: tuple[float, ...] = (13.0,)
    """Widths of red, green and blue, in steps of 1/255; one or three."""
    compat: Any = 10.0
    """A number, one for each label, or an array (L, L)."""
    smooth_sxy: tuple[float, ...] = (3.0,)
    smooth_compat: Any = 3.0
    normalization: str = "symmetric"
    method: str = "permutohedral"


USUAL = "deeplab-v2-vgg"
"""The settings of :func:`settings` that are taken where none are named."""


def settings(name: str) -> Crf:
    """Published values, which are of one term of places and one of colours."""
    from numseg import crf

    found = crf.settings(name)
    (smooth,) = (term for term in found.terms if term.colour is None)
    ((compat, width, colour),) = (term for term in found.terms if term.colour is not None)
    return Crf(
        iterations=found.iterations,
        sxy=(width,),
        srgb=(float(colour or 0),),
        compat=compat,
        smooth_sxy=(smooth.width,),
        smooth_compat=smooth.compat,
        normalization=found.normalization,
    )


def add_crf(add: Any) -> None:
    """The options of :class:`Crf`, which are None unless they are given."""
    add("--iterations", metavar="N", type=int, help="steps of mean field (10)")
    add("--sxy", metavar="W | X,Y", type=_numbers, help="width of the colour term, pixels (80)")
    add("--srgb", metavar="W | R,G,B", type=_numbers, help="its width in colours of 0 to 255 (13)")
    add("--compat", metavar="W | A,B,... | NPY", help="its weight; of each label; a matrix (10)")
    add("--smooth-sxy", metavar="W | X,Y", type=_numbers, help="width of the place term (3)")
    add("--smooth-compat", metavar="W | A,B,... | NPY", help="its weight, as --compat (3)")
    add("--normalization", choices=NORMALIZATIONS, help="of the kernels (symmetric)")
    add("--method", choices=METHODS, help="exact takes time as the square of the pixels")


def options(args: argparse.Namespace) -> list[str]:
    """The options of :func:`add_crf` that are given."""
    return [name for name in Crf._fields if getattr(args, name) is not None]


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"wants numbers, got {text!r}") from None


def chosen(args: argparse.Namespace, base: Crf) -> Crf:
    """``base`` with what options say, and checked as far as it can be without a picture."""
    from numseg import checks

    said = {name: getattr(args, name) for name in options(args)}
    for name in {"compat", "smooth_compat"} & said.keys():
        said[name] = _compat(f"--{name.replace('_', '-')}", said[name])
    crf = base._replace(**said)
    checks.integer("--iterations", crf.iterations, minimum=0)
    for name, most in (("sxy", 2), ("smooth_sxy", 2), ("srgb", 3)):
        option, found = f"--{name.replace('_', '-')}", getattr(crf, name)
        if len(found) not in (1, most):
            raise ArgumentError(f"{option} has {len(found)} numbers, expected one or {most}")
        for width in found:
            checks.positive(option, width)
    return crf


def _compat(option: str, text: str) -> Any:
    """A number, several, or the matrix in a file."""
    from numseg.interop import npz

    if Path(text).suffix in (".npy", ".npz"):
        return npz.load_one(text)
    with contextlib.suppress(argparse.ArgumentTypeError):
        found = _numbers(text)
        if all(math.isfinite(number) for number in found):
            return found[0] if len(found) == 1 else found
    raise ArgumentError(f"{option} wants a number, one for each label, or a .npy file: {text!r}")


def steps(image: Array, energy: Array, crf: Crf) -> Iterator[Array]:
    """The probabilities (L, H, W) before the first step, and after each.

    ``image`` is what :func:`numseg.data.read_image` gives; grey counts as three equal colours.
    ``energy`` is (L, H, W), float32.
    """
    field = _field(image, len(energy), crf)
    unary = energy.reshape(len(energy), -1)
    q = field.start(unary)
    yield q.reshape(energy.shape)
    for _ in range(crf.iterations):
        q = field.steps(unary, q)
        yield q.reshape(energy.shape)


def last(run: Iterator[Array]) -> Array:
    """The probabilities after the last step."""
    for q in run:  # noqa: B007
        pass
    return q


def _field(image: Array, labels: int, crf: Crf) -> MeanField:
    """The terms whose weight is not 0."""
    import numpy as np

    from numseg.crf.stepwise import MeanField
    from numseg.data import as_input

    rows, columns = np.indices(image.shape[1:], np.float32)
    places = np.stack([columns.ravel(), rows.ravel()])
    colours = (as_input(image, 3) * np.float32(255)).reshape(3, -1)
    field = MeanField(labels, places.shape[1])
    for option, compat, sxy, more in (
        ("--smooth-compat", crf.smooth_compat, crf.smooth_sxy, []),
        (
            "--compat",
            crf.compat,
            crf.sxy,
            [colours / np.array(crf.srgb, np.float32).reshape(-1, 1)],
        ),
    ):
        weight = _weight(option, compat, labels)
        if np.any(weight) and crf.iterations:
            features = [places / np.array(sxy, np.float32).reshape(-1, 1), *more]
            field.add(np.concatenate(features), weight, crf.normalization, crf.method)
    return field


def _weight(option: str, compat: Any, labels: int) -> Array:
    """As ``ns.dense_crf`` takes it."""
    import numpy as np

    given = np.asarray(compat, np.float32)
    if given.shape not in ((), (labels,), (labels, labels)) or not np.isfinite(given).all():
        found = f"has shape {given.shape}" if given.ndim else "is not finite"
        raise ArgumentError(
            f"{option} {found}, expected a number, {labels} numbers or {labels} x {labels}"
        )
    return given
