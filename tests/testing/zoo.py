"""Implementations that are wrong, each in one way that people write, and the name it must get.

A name is a part of what is said of the deviation. None: nothing known, and nothing may be said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import numseg as ns


class Animal(NamedTuple):
    """A wrong implementation."""

    function: Callable[..., Any]
    operator: Any
    name: str | None
    options: dict[str, Any]


ZOO: list[Animal] = []
FINITE = {"values": ("integers", "reals")}


def animal(operator: Any, name: str | None, **options: Any) -> Callable[[Any], Any]:
    """Put a function into the zoo."""

    def add(function: Any) -> Any:
        ZOO.append(Animal(function, operator, name, FINITE | options))
        return function

    return add


def _align(x, boxes, size, scale, ratio, aligned=False):
    return ns.roi_align(x, boxes.astype(x.dtype), size, scale, ratio, aligned)


def _moved(boxes, change):
    boxes = boxes.astype(np.float64)
    boxes[:, 1:] = change(boxes[:, 1:])
    return boxes


# -- RoI Align and RoI Pool -----------------------------------------------------------------------


@animal(ns.roi_align, "x and y exchanged")
def align_xy(x, boxes, output_size, spatial_scale, sampling_ratio):
    return _align(x, boxes[:, [0, 2, 1, 4, 3]], output_size, spatial_scale, sampling_ratio)


@animal(ns.roi_align, "x and y exchanged")
def align_xy_detectron(x, boxes, output_size, spatial_scale, sampling_ratio, aligned):
    return _align(x, boxes[:, [0, 2, 1, 4, 3]], output_size, spatial_scale, sampling_ratio, aligned)


@animal(ns.roi_align, "off by half a pixel")
def align_half_pixel(x, boxes, output_size, spatial_scale, sampling_ratio):
    boxes = _moved(boxes, lambda b: b + 0.5 / spatial_scale)
    return _align(x, boxes, output_size, spatial_scale, sampling_ratio)


@animal(ns.roi_align, "boxes rounded down")
def align_floor(x, boxes, output_size, spatial_scale, sampling_ratio):
    boxes = _moved(boxes, lambda b: np.floor(b * spatial_scale) / spatial_scale)
    return _align(x, boxes, output_size, spatial_scale, sampling_ratio)


@animal(ns.roi_align, "the end of a box taken as inside")
def align_inclusive(x, boxes, output_size, spatial_scale, sampling_ratio):
    boxes = _moved(boxes, lambda b: b + np.array([0, 0, 1, 1]) / spatial_scale)
    return _align(x, boxes, output_size, spatial_scale, sampling_ratio)


@animal(ns.roi_align, "it ignores spatial_scale")
def align_no_scale(x, boxes, output_size, spatial_scale, sampling_ratio):
    return _align(x, boxes, output_size, 1.0, sampling_ratio)


@animal(ns.roi_align, "divided by spatial_scale")
def align_inverse_scale(x, boxes, output_size, spatial_scale, sampling_ratio):
    return _align(x, boxes, output_size, 1 / spatial_scale, sampling_ratio)


@animal(ns.roi_align, "(x, y, width, height)")
def align_width(x, boxes, output_size, spatial_scale, sampling_ratio):
    boxes = _moved(boxes, lambda b: np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], 1))
    return _align(x, boxes, output_size, spatial_scale, sampling_ratio)


@animal(ns.roi_align, None)
def align_third_of_a_pixel(x, boxes, output_size, spatial_scale, sampling_ratio):
    boxes = _moved(boxes, lambda b: b + 0.3)
    return _align(x, boxes, output_size, spatial_scale, sampling_ratio)


@animal(ns.roi_pool, "boxes rounded down")
def pool_floor(x, boxes, output_size, spatial_scale):
    boxes = _moved(boxes, lambda b: np.floor(b * spatial_scale) / spatial_scale)
    return ns.roi_pool(x, boxes.astype(x.dtype), output_size, spatial_scale)


@animal(ns.crop_and_resize, "x and y exchanged")
def crop_exchanged(x, boxes, box_indices, crop_size, method):
    return ns.crop_and_resize(x, boxes[:, [1, 0, 3, 2]], box_indices, crop_size, method)


# -- convolution ----------------------------------------------------------------------------------


@animal(ns.conv2d, "the kernel turned by 180 degrees")
def conv_turned(x, weight, bias, stride, padding, dilation, groups):
    return ns.conv2d(x, weight[..., ::-1, ::-1], bias, stride, padding, dilation, groups)


@animal(ns.conv2d, "rows and columns of the kernel exchanged", fixed={"padding": 3})
def conv_transposed_kernel(x, weight, bias, stride, padding):
    y = ns.conv2d(x, weight.swapaxes(2, 3), bias, stride, padding)
    return y


@animal(ns.conv2d, "it ignores dilation")
def conv_no_dilation(x, weight, bias, stride, padding, dilation, groups):
    return ns.conv2d(x, weight, bias, stride, padding, 1, groups)


@animal(ns.conv2d, "it ignores bias")
def conv_no_bias(x, weight, bias, stride, padding, dilation, groups):
    return ns.conv2d(x, weight, None, stride, padding, dilation, groups)


@animal(ns.conv2d, "all of the padding at the bottom and the right", fixed={"padding": (1, 2)})
def conv_padding_at_the_end(x, weight, bias, stride, padding, dilation, groups):
    return ns.conv2d(x, weight, bias, stride, (0, 2, 0, 4), dilation, groups)


@animal(ns.conv2d, "rows and columns of stride exchanged")
def conv_stride(x, weight, bias, stride, padding, dilation, groups):
    stride = stride if isinstance(stride, int) else tuple(stride)[::-1]
    return ns.conv2d(x, weight, bias, stride, padding, dilation, groups)


@animal(ns.conv2d, "NCHW read as NHWC")
def conv_nhwc(x, weight, bias, stride, padding, dilation, groups):
    n, c, h, w = x.shape
    x = x.reshape(n, h, w, c).transpose(0, 3, 1, 2)
    return ns.conv2d(x, weight, bias, stride, padding, dilation, groups)


@animal(ns.conv2d, None)
def conv_squared(x, weight, bias, stride, padding, dilation, groups):
    return ns.conv2d(x, weight * weight + 1, bias, stride, padding, dilation, groups)


# -- pooling --------------------------------------------------------------------------------------


@animal(ns.max_pool2d, "one row and one column too few")
def pool_too_small(x, kernel_size, stride, padding, dilation, ceil_mode):
    return ns.max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode)[..., :-1, :-1]


@animal(ns.max_pool2d, "padding of zeros")
def pool_zeros(x, kernel_size, stride, padding):
    t, b, l, r = ns.geometry.sides("padding", padding)
    return ns.max_pool2d(np.pad(x, ((0, 0), (0, 0), (t, b), (l, r))), kernel_size, stride)


@animal(ns.max_pool2d, "ceil_mode=True")
def pool_ceil(x, kernel_size, stride, padding, dilation, ceil_mode):
    return ns.max_pool2d(x, kernel_size, stride, padding, dilation, True)


@animal(ns.max_pool2d, None)
def pool_not_the_largest(x, kernel_size, stride, padding, dilation, ceil_mode):
    y = ns.max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode)
    return np.where(y > 2, y * y - 1, y)


@animal(ns.avg_pool2d, "divisor_override=1")
def pool_sum(x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
    return ns.avg_pool2d(x, kernel_size, stride, padding, ceil_mode, count_include_pad, 1)


@animal(ns.adaptive_avg_pool2d, "rows and columns of output_size exchanged")
def adaptive_exchanged(x, output_size):
    size = output_size if isinstance(output_size, int) else tuple(output_size)[::-1]
    return ns.adaptive_avg_pool2d(x, size)


@animal(ns.global_avg_pool2d, "not divided by the number of pixels")
def global_sum(x):
    return x.sum((2, 3), keepdims=True)


# -- sampling, normalisation, losses, functions of one number -------------------------------------


@animal(ns.upsample_bilinear2d, "align_corners=False")
def bilinear_never_aligned(x, size, scale_factor, align_corners):
    return ns.upsample_bilinear2d(x, size, scale_factor, False)


@animal(ns.upsample_nearest2d, "the result moved by one column")
def nearest_moved(x, size, scale_factor):
    return np.roll(ns.upsample_nearest2d(x, size, scale_factor), 1, -1)


@animal(ns.softmax, "dim=-1")
def softmax_last(x, dim):
    return ns.softmax(x, -1)


@animal(ns.batch_norm, "it ignores weight", fixed={"training": False})
def norm_no_weight(x, running_mean, running_var, weight, bias, training, momentum, eps):
    return ns.batch_norm(x, running_mean, running_var, None, bias, False, momentum, eps)


@animal(ns.softmax, "a missing normalisation: not divided by the sum")
def softmax_not_divided(x, dim):
    return np.exp(x)


def _by_channel(a, x):
    return np.reshape(a, (-1, *[1] * (x.ndim - 2)))


def _scaled(y, weight, bias):
    y = y if weight is None else y * _by_channel(weight, y)
    return y if bias is None else y + _by_channel(bias, y)


@animal(ns.batch_norm, "not divided by the standard deviation", fixed={"training": False})
def norm_not_divided(x, running_mean, running_var, weight, bias, training, momentum, eps):
    return _scaled(x - _by_channel(running_mean, x), weight, bias)


@animal(ns.group_norm, "the mean is not subtracted")
def group_norm_not_centered(x, num_groups, weight, bias, eps):
    parts = x.reshape(len(x), num_groups, -1).astype(np.float64)
    with np.errstate(all="ignore"):
        y = (parts / np.sqrt(parts.var(-1, keepdims=True) + eps)).reshape(x.shape)
    return _scaled(y, weight, bias).astype(x.dtype)


@animal(ns.conv2d, 'the odd pixel of padding "same"', fixed={"padding": "same", "stride": 1})
def conv_same_lower(x, weight, bias, stride, padding, dilation):
    return ns.conv2d(x, weight, bias, 1, "same_lower", dilation)


@animal(ns.deform_conv2d, "x and y of the offsets exchanged")
def deform_exchanged(x, offset, weight, bias, stride, padding, dilation, mask):
    n, c, h, w = offset.shape
    offset = offset.reshape(n, c // 2, 2, h, w)[:, :, ::-1].reshape(offset.shape)
    return ns.deform_conv2d(x, offset, weight, bias, stride, padding, dilation, mask)


@animal(ns.upsample_bilinear2d, "sizes off by one")
def bilinear_rounded_up(x, size, scale_factor):
    if size is None:
        factors = scale_factor if isinstance(scale_factor, (list, tuple)) else [scale_factor] * 2
        size = [int(np.ceil(n * f)) for n, f in zip(x.shape[2:], factors, strict=True)]
    return ns.upsample_bilinear2d(x, size)


@animal(ns.cross_entropy, "reduction='sum'")
def entropy_sum(x, target, weight, ignore_index, reduction):
    return ns.cross_entropy(x, target, weight, ignore_index, "sum")


@animal(ns.relu, "wherever they differ, the definition gives 0")
def relu_absolute(x):
    return ns.relu(x) + ns.relu(-x)  # which is abs(x), and relu's where x is positive


@animal(ns.sigmoid, None)
def sigmoid_tanh(x):
    return np.tanh(x)


@animal(ns.pixel_shuffle2d, "NHWC")
def shuffle_channels_last(x, upscale_factor):
    return np.moveaxis(ns.pixel_shuffle2d(x, upscale_factor), 1, -1)


# -- buffers and gradients ------------------------------------------------------------------------

_sums: dict[Any, Any] = {}


@animal(ns.relu, "a stale buffer: each call adds")
def relu_adds_up(x):
    key = x.shape, x.dtype
    _sums[key] = _sums.get(key, 0) + np.maximum(x, 0)
    return np.array(_sums[key])


_first: dict[Any, Any] = {}


@animal(ns.relu, "a stale buffer", isolate=True)
def relu_remembers(x):
    return _first.setdefault((x.shape, x.dtype), np.maximum(x, 0)).copy()


def _conv_backward(change):
    def backward(grad_y, x, weight, bias, stride, padding, dilation, groups):
        arguments = x, weight, bias, stride, padding, dilation, groups
        _, saved = ns.conv2d.forward(*arguments)
        return change(list(ns.conv2d.backward(saved, grad_y)), saved, grad_y)

    return backward


def _last_image(grads, saved, grad_y):
    last = np.zeros_like(grad_y)
    last[-1:] = grad_y[-1:]
    grads[2] = ns.conv2d.backward(saved, last)[2]
    return grads


def _mean_over_images(grads, saved, grad_y):
    grads[1] = grads[1] / max(len(grad_y), 1)
    return grads


_last = _conv_backward(_last_image)
_mean = _conv_backward(_mean_over_images)


@animal(ns.conv2d, "the gradient of bias: that of the last image alone", backward=_last)
def conv_bias_of_one_image(x, weight, bias, stride, padding, dilation, groups):
    return ns.conv2d(x, weight, bias, stride, padding, dilation, groups)


@animal(ns.conv2d, "the gradient of weight: divided by the number of images", backward=_mean)
def conv_mean_gradient(x, weight, bias, stride, padding, dilation, groups):
    return ns.conv2d(x, weight, bias, stride, padding, dilation, groups)


def _turned_gradient(grad_y, x, weight, bias, stride, padding, dilation, groups):
    turned = weight[..., ::-1, ::-1]
    _, saved = ns.conv2d.forward(x, turned, bias, stride, padding, dilation, groups)
    return {"x": ns.conv2d.backward(saved, grad_y)[0]}


@animal(ns.conv2d, "the gradient of x: the kernel turned", backward=_turned_gradient)
def conv_turned_gradient(x, weight, bias, stride, padding, dilation, groups):
    return ns.conv2d(x, weight, bias, stride, padding, dilation, groups)


def _nearest_overwrites(grad_y, x, size, scale_factor):
    rows, columns = np.arange(x.shape[2]), np.arange(x.shape[3])
    if not x.size:
        return np.zeros_like(x)
    ramp = np.broadcast_to(rows[:, None] * x.shape[3] + columns, (1, 1, *x.shape[2:]))
    source = ns.upsample_nearest2d(np.ascontiguousarray(ramp, np.float64), size, scale_factor)
    gradient = np.zeros((*x.shape[:2], x[0, 0].size), x.dtype)
    for place, value in zip(source.astype(int).ravel(), range(source.size), strict=True):
        gradient[..., place] = grad_y.reshape(*x.shape[:2], -1)[..., value]
    return gradient.reshape(x.shape)


@animal(ns.upsample_nearest2d, "gradients that are not summed", backward=_nearest_overwrites)
def nearest_not_summed(x, size, scale_factor):
    return ns.upsample_nearest2d(x, size, scale_factor)
