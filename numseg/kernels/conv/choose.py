"""Which algorithm a convolution takes: for each direction a list, of which the first that suits.

A choice is made by sizes alone, so the bits of a result depend on nothing else. What it returns has
planned its work, and only runs from then on: who calls often keeps it. To add an algorithm, write a
file with a question ``suits(problem)`` and a plan, and put a row where it belongs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from numseg.kernels.conv import (
    depthwise,
    depthwise_channels,
    direct,
    few_rows,
    large_kernel,
    phase_by_phase,
    pixel_panels,
    transposed,
    transposed_large_stride,
    winograd,
)
from numseg.kernels.conv import weight_gradient as by_pixels
from numseg.kernels.conv import weight_gradient_few_filters as few_filters
from numseg.kernels.conv import weight_gradient_small_images as small_images
from numseg.kernels.conv.problem import Correlation, Problem, WeightGradient

Run = TypeVar("Run")


class Algorithm(NamedTuple, Generic[Run]):
    suits: Callable[[Problem], bool]
    plan: Callable[[Problem], Run]


def anything(p: Problem) -> bool:
    return True


def nothing_to_fill(p: Problem) -> bool:
    return 0 in p.y_shape


def no_image(p: Problem) -> bool:
    return 0 in p.x_shape


def no_weights_or_outputs(p: Problem) -> bool:
    return 0 in (*p.y_shape, p.channels)


def one_to_one(p: Problem) -> bool:
    return p.filters == 1 and depthwise.suits(p)


FORWARD: list[Algorithm[Correlation]] = [
    Algorithm(nothing_to_fill, lambda p: lambda *arrays: None),
    # by name: 3 x 3 taps with half or a quarter of the multiplications, rounded otherwise
    Algorithm(winograd.suits, winograd.forward),
    # kernels a vector wide, strides half of one: FCN's 64 x 64 of stride 32, when it is transposed
    Algorithm(large_kernel.suits, large_kernel.forward),
    # one channel to a filter, 3 x 3: nine products a number, so numbers must not be moved about
    Algorithm(depthwise.suits, depthwise.forward),
    # other taps, strides, and rows shorter than vectors: vectors of channels
    Algorithm(depthwise_channels.suits, depthwise_channels.forward),
    # one pixel and a matrix of weights, which are read once: image pooling, squeeze-and-excitation
    Algorithm(few_rows.suits, few_rows.forward),
    # filters enough to share panels of pixels in the first-level cache: most layers of a network
    Algorithm(pixel_panels.suits, pixel_panels.forward),
    # everything else: vectors of pixels out of a scratch, where a table of offsets says taps are
    Algorithm(anything, direct.forward),
]

PHASE: list[Algorithm[Correlation]] = [
    # these three as above: of the others a phase has no use, as its stride is 1
    Algorithm(one_to_one, depthwise.forward),
    Algorithm(pixel_panels.suits, pixel_panels.forward),
    Algorithm(anything, direct.forward),
]
"""For the pixels a stride apart of an image's gradient."""

INPUT_GRADIENT: list[Algorithm[Correlation]] = [
    Algorithm(no_image, lambda p: lambda *arrays: None),
    Algorithm(winograd.suits, winograd.input_gradient),
    # depthwise, as in FORWARD: of stride 1 the stencil below, the rest with vectors of channels
    Algorithm(depthwise_channels.suits_gradient, depthwise_channels.input_gradient),
    # strides of a vector that divide the kernel: FCN's 64 x 64 of stride 32
    Algorithm(transposed_large_stride.suits, transposed_large_stride.input_gradient),
    # other strides, of small images with many channels: 14 x 14 from 7 x 7
    Algorithm(
        phase_by_phase.suits_apart,
        lambda p: phase_by_phase.input_gradient_apart(
            p, functools.partial(first_that_suits, PHASE)
        ),
    ),
    # other strides, where the phases of all channels fill tiles: a decoder's 2 x 2 of stride 2
    Algorithm(transposed.suits, transposed.input_gradient),
    # stride 1 (one phase), dilation beside a stride, and sums too long to be computed side by side
    Algorithm(
        anything,
        lambda p: phase_by_phase.input_gradient(p, functools.partial(first_that_suits, PHASE)),
    ),
]
"""From gy to gx, which is also what a transposed convolution computes."""

WEIGHT_GRADIENT: list[Algorithm[WeightGradient]] = [
    Algorithm(no_weights_or_outputs, lambda p: lambda x, gy, gw: gw.fill(0)),
    # as in FORWARD
    Algorithm(large_kernel.suits, large_kernel.weight_gradient),
    # one channel to a filter: by vectors of channels on small images, or of pixels
    Algorithm(depthwise_channels.suits_weights, depthwise_channels.weight_gradient),
    Algorithm(depthwise.suits, depthwise.weight_gradient),
    # groups whose few filters would leave vectors of filters empty: vectors of pixels instead
    Algorithm(few_filters.suits, few_filters.weight_gradient),
    # fewer pixels than filters, as 7 x 7: im2col costs little, and a product of matrices is left
    Algorithm(small_images.suits, small_images.weight_gradient),
    # everything else: vectors of filters
    Algorithm(anything, by_pixels.weight_gradient),
]


def chosen(algorithms: Sequence[Algorithm[Run]], p: Problem) -> Algorithm[Run]:
    return next(algorithm for algorithm in algorithms if algorithm.suits(p))


def first_that_suits(algorithms: Sequence[Algorithm[Run]], p: Problem) -> Run:
    """Which has planned its work."""
    return chosen(algorithms, p).plan(p)
