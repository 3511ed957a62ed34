"""All operators, by name: everybody who wants to know which there are asks here.

Written by ``python -m numseg.ops`` from the folders beside this file.
"""

from __future__ import annotations

from typing import Any

from numseg.operator import Operator
from numseg.ops.abs import abs
from numseg.ops.adaptive_avg_pool2d import adaptive_avg_pool2d
from numseg.ops.adaptive_max_pool2d import adaptive_max_pool2d
from numseg.ops.add import add
from numseg.ops.affine_grid import affine_grid
from numseg.ops.amax import amax
from numseg.ops.amin import amin
from numseg.ops.argmax import argmax
from numseg.ops.argmin import argmin
from numseg.ops.aspp2d import aspp2d
from numseg.ops.avg_pool2d import avg_pool2d
from numseg.ops.batch_norm import batch_norm
from numseg.ops.bed_of_nails2d import bed_of_nails2d
from numseg.ops.bilateral_features import bilateral_features
from numseg.ops.binary_cross_entropy_with_logits import binary_cross_entropy_with_logits
from numseg.ops.ceil import ceil
from numseg.ops.celu import celu
from numseg.ops.center_crop import center_crop
from numseg.ops.clip import clip
from numseg.ops.col2im import col2im
from numseg.ops.complete_box_iou_loss import complete_box_iou_loss
from numseg.ops.concat import concat
from numseg.ops.conv2d import conv2d
from numseg.ops.conv_transpose2d import conv_transpose2d
from numseg.ops.crop import crop
from numseg.ops.crop_and_resize import crop_and_resize
from numseg.ops.cross_entropy import cross_entropy
from numseg.ops.decode_boxes import decode_boxes
from numseg.ops.deform_conv2d import deform_conv2d
from numseg.ops.dense_crf import dense_crf
from numseg.ops.dice_loss import dice_loss
from numseg.ops.distance_box_iou_loss import distance_box_iou_loss
from numseg.ops.divide import divide
from numseg.ops.dropout import dropout
from numseg.ops.elu import elu
from numseg.ops.encode_boxes import encode_boxes
from numseg.ops.eq import eq
from numseg.ops.exp import exp
from numseg.ops.flatten import flatten
from numseg.ops.floor import floor
from numseg.ops.gaussian_filter import gaussian_filter
from numseg.ops.gelu import gelu
from numseg.ops.generalized_box_iou_loss import generalized_box_iou_loss
from numseg.ops.global_avg_pool2d import global_avg_pool2d
from numseg.ops.global_max_pool2d import global_max_pool2d
from numseg.ops.grid_sample import grid_sample
from numseg.ops.group_norm import group_norm
from numseg.ops.gt import gt
from numseg.ops.hard_sigmoid import hard_sigmoid
from numseg.ops.hard_swish import hard_swish
from numseg.ops.im2col import im2col
from numseg.ops.index_select import index_select
from numseg.ops.instance_norm import instance_norm
from numseg.ops.interp2d import interp2d
from numseg.ops.l2_norm import l2_norm
from numseg.ops.layer_norm import layer_norm
from numseg.ops.leaky_relu import leaky_relu
from numseg.ops.linear import linear
from numseg.ops.local_response_norm import local_response_norm
from numseg.ops.log import log
from numseg.ops.log_softmax import log_softmax
from numseg.ops.lp_pool2d import lp_pool2d
from numseg.ops.lt import lt
from numseg.ops.matmul import matmul
from numseg.ops.max_pool2d import max_pool2d
from numseg.ops.max_unpool2d import max_unpool2d
from numseg.ops.maximum import maximum
from numseg.ops.mean import mean
from numseg.ops.mean_field_step import mean_field_step
from numseg.ops.minimum import minimum
from numseg.ops.mish import mish
from numseg.ops.multiply import multiply
from numseg.ops.nll_loss import nll_loss
from numseg.ops.pad import pad
from numseg.ops.permute import permute
from numseg.ops.pixel_shuffle2d import pixel_shuffle2d
from numseg.ops.pixel_unshuffle2d import pixel_unshuffle2d
from numseg.ops.pow import pow
from numseg.ops.prelu import prelu
from numseg.ops.relu import relu
from numseg.ops.reshape import reshape
from numseg.ops.roi_align import roi_align
from numseg.ops.roi_pool import roi_pool
from numseg.ops.round import round
from numseg.ops.selu import selu
from numseg.ops.separable_conv2d import separable_conv2d
from numseg.ops.sigmoid import sigmoid
from numseg.ops.sigmoid_focal_loss import sigmoid_focal_loss
from numseg.ops.sign import sign
from numseg.ops.silu import silu
from numseg.ops.smooth_l1_loss import smooth_l1_loss
from numseg.ops.softmax import softmax
from numseg.ops.softplus import softplus
from numseg.ops.softsign import softsign
from numseg.ops.spatial_features import spatial_features
from numseg.ops.spatial_pyramid_pool2d import spatial_pyramid_pool2d
from numseg.ops.sqrt import sqrt
from numseg.ops.subtract import subtract
from numseg.ops.sum import sum
from numseg.ops.tanh import tanh
from numseg.ops.transpose import transpose
from numseg.ops.upsample_bicubic2d import upsample_bicubic2d
from numseg.ops.upsample_bilinear2d import upsample_bilinear2d
from numseg.ops.upsample_nearest2d import upsample_nearest2d
from numseg.ops.where import where

__all__ = [
    "abs",
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "add",
    "affine_grid",
    "amax",
    "amin",
    "argmax",
    "argmin",
    "aspp2d",
    "avg_pool2d",
    "batch_norm",
    "bed_of_nails2d",
    "bilateral_features",
    "binary_cross_entropy_with_logits",
    "ceil",
    "celu",
    "center_crop",
    "clip",
    "col2im",
    "complete_box_iou_loss",
    "concat",
    "conv2d",
    "conv_transpose2d",
    "crop",
    "crop_and_resize",
    "cross_entropy",
    "decode_boxes",
    "deform_conv2d",
    "dense_crf",
    "dice_loss",
    "distance_box_iou_loss",
    "divide",
    "dropout",
    "elu",
    "encode_boxes",
    "eq",
    "exp",
    "flatten",
    "floor",
    "gaussian_filter",
    "gelu",
    "generalized_box_iou_loss",
    "global_avg_pool2d",
    "global_max_pool2d",
    "grid_sample",
    "group_norm",
    "gt",
    "hard_sigmoid",
    "hard_swish",
    "im2col",
    "index_select",
    "instance_norm",
    "interp2d",
    "l2_norm",
    "layer_norm",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "log",
    "log_softmax",
    "lp_pool2d",
    "lt",
    "matmul",
    "max_pool2d",
    "max_unpool2d",
    "maximum",
    "mean",
    "mean_field_step",
    "minimum",
    "mish",
    "multiply",
    "nll_loss",
    "pad",
    "permute",
    "pixel_shuffle2d",
    "pixel_unshuffle2d",
    "pow",
    "prelu",
    "relu",
    "reshape",
    "roi_align",
    "roi_pool",
    "round",
    "selu",
    "separable_conv2d",
    "sigmoid",
    "sigmoid_focal_loss",
    "sign",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "softsign",
    "spatial_features",
    "spatial_pyramid_pool2d",
    "sqrt",
    "subtract",
    "sum",
    "tanh",
    "transpose",
    "upsample_bicubic2d",
    "upsample_bilinear2d",
    "upsample_nearest2d",
    "where",
]

OPERATORS: dict[str, Operator[..., Any]] = {
    "abs": abs,
    "adaptive_avg_pool2d": adaptive_avg_pool2d,
    "adaptive_max_pool2d": adaptive_max_pool2d,
    "add": add,
    "affine_grid": affine_grid,
    "amax": amax,
    "amin": amin,
    "argmax": argmax,
    "argmin": argmin,
    "aspp2d": aspp2d,
    "avg_pool2d": avg_pool2d,
    "batch_norm": batch_norm,
    "bed_of_nails2d": bed_of_nails2d,
    "bilateral_features": bilateral_features,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "ceil": ceil,
    "celu": celu,
    "center_crop": center_crop,
    "clip": clip,
    "col2im": col2im,
    "complete_box_iou_loss": complete_box_iou_loss,
    "concat": concat,
    "conv2d": conv2d,
    "conv_transpose2d": conv_transpose2d,
    "crop": crop,
    "crop_and_resize": crop_and_resize,
    "cross_entropy": cross_entropy,
    "decode_boxes": decode_boxes,
    "deform_conv2d": deform_conv2d,
    "dense_crf": dense_crf,
    "dice_loss": dice_loss,
    "distance_box_iou_loss": distance_box_iou_loss,
    "divide": divide,
    "dropout": dropout,
    "elu": elu,
    "encode_boxes": encode_boxes,
    "eq": eq,
    "exp": exp,
    "flatten": flatten,
    "floor": floor,
    "gaussian_filter": gaussian_filter,
    "gelu": gelu,
    "generalized_box_iou_loss": generalized_box_iou_loss,
    "global_avg_pool2d": global_avg_pool2d,
    "global_max_pool2d": global_max_pool2d,
    "grid_sample": grid_sample,
    "group_norm": group_norm,
    "gt": gt,
    "hard_sigmoid": hard_sigmoid,
    "hard_swish": hard_swish,
    "im2col": im2col,
    "index_select": index_select,
    "instance_norm": instance_norm,
    "interp2d": interp2d,
    "l2_norm": l2_norm,
    "layer_norm": layer_norm,
    "leaky_relu": leaky_relu,
    "linear": linear,
    "local_response_norm": local_response_norm,
    "log": log,
    "log_softmax": log_softmax,
    "lp_pool2d": lp_pool2d,
    "lt": lt,
    "matmul": matmul,
    "max_pool2d": max_pool2d,
    "max_unpool2d": max_unpool2d,
    "maximum": maximum,
    "mean": mean,
    "mean_field_step": mean_field_step,
    "minimum": minimum,
    "mish": mish,
    "multiply": multiply,
    "nll_loss": nll_loss,
    "pad": pad,
    "permute": permute,
    "pixel_shuffle2d": pixel_shuffle2d,
    "pixel_unshuffle2d": pixel_unshuffle2d,
    "pow": pow,
    "prelu": prelu,
    "relu": relu,
    "reshape": reshape,
    "roi_align": roi_align,
    "roi_pool": roi_pool,
    "round": round,
    "selu": selu,
    "separable_conv2d": separable_conv2d,
    "sigmoid": sigmoid,
    "sigmoid_focal_loss": sigmoid_focal_loss,
    "sign": sign,
    "silu": silu,
    "smooth_l1_loss": smooth_l1_loss,
    "softmax": softmax,
    "softplus": softplus,
    "softsign": softsign,
    "spatial_features": spatial_features,
    "spatial_pyramid_pool2d": spatial_pyramid_pool2d,
    "sqrt": sqrt,
    "subtract": subtract,
    "sum": sum,
    "tanh": tanh,
    "transpose": transpose,
    "upsample_bicubic2d": upsample_bicubic2d,
    "upsample_bilinear2d": upsample_bilinear2d,
    "upsample_nearest2d": upsample_nearest2d,
    "where": where,
}
