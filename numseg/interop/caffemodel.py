"""Caffe's files of weights, ``.caffemodel``: protobuf's wire format, read by these few lines.

Field numbers are those of ``src/caffe/proto/caffe.proto`` (BVLC/caffe); the wire format is that of
https://protobuf.dev/programming-guides/encoding. A message is a row of fields, each a number, a
kind and a value; fields that are not asked for are passed over, unread.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from numseg.errors import FileError, shown
from numseg.files import read_whole
from numseg.typing import Array, Shape


def load(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Read the weights of a network that Caffe trained.

    Parameters
    ----------
    path
        A ``NetParameter`` as Caffe's snapshots hold it: ``layer`` (since 2014) or ``layers``
        (before), blobs with a ``shape`` or with ``num, channels, height, width``.

    Returns
    -------
    dict of str to array
        float32, or float64 where a blob is stored so. Each layer's blobs under its name:

        ========================================  ==============================================
        Convolution, Deconvolution, InnerProduct  ``conv1_1.weight``, ``conv1_1.bias``
        Scale, PReLU                              ``weight``, ``bias``
        Bias                                      ``bias``
        BatchNorm                                 ``running_mean``, ``running_var``: the sums in
                                                  the file divided by their scale factor (the
                                                  third blob), as Caffe divides them
        BN (SegNet's and DeconvNet's forks)       ``weight``, ``bias`` and, where there are four,
                                                  ``running_mean``, ``running_var``
        any other                                 ``0``, ``1``, ...
        ========================================  ==============================================

        A BatchNorm has no scale and shift of its own; they are in the Scale layer after it, under
        that one's name. Axes of 1 that say nothing are dropped: a bias (1, 1, 1, 64) of the older
        form is (64,), an InnerProduct's weight (1, 1, 4096, 25088) is (4096, 25088).

    Raises
    ------
    FileError
        In one line, if the file is missing, damaged, no caffemodel, or of Caffe's first format.
    """
    content = read_whole(path)
    try:
        return read(content)
    except FileError as error:
        raise FileError(f"{path}: {error}") from None


class Layer(NamedTuple):
    """What a layer's message says."""

    name: str
    type: str
    blobs: list[Array]


_V1_TYPES = {4: "Convolution", 14: "InnerProduct", 39: "Deconvolution"}
"""The layers of V1's enumeration that have blobs."""

_NAMES = {
    "Convolution": ("weight", "bias"),
    "Deconvolution": ("weight", "bias"),
    "InnerProduct": ("weight", "bias"),
    "Scale": ("weight", "bias"),
    "PReLU": ("weight",),
    "Bias": ("bias",),
    "BN": ("weight", "bias", "running_mean", "running_var"),
}

_MATRICES = {"Convolution": 4, "Deconvolution": 4, "InnerProduct": 2}
"""Axes of weights; what other layers have is a row of numbers, one for each channel."""


def read(content: bytes) -> dict[str, Array]:
    """What :func:`load` gives, of a file's content."""
    arrays: dict[str, Array] = {}
    for number, value in _fields(memoryview(content)):
        if number in (2, 100) and isinstance(value, memoryview):
            layer = _layer(value, v1=number == 2)
            for name, array in _named(layer):
                if name in arrays:
                    raise FileError(f"has two layers {shown(layer.name)} with weights")
                arrays[name] = array
    if not arrays:
        raise FileError("has no layer with weights: it is no caffemodel")
    return arrays


def _layer(message: memoryview, v1: bool) -> Layer:
    """LayerParameter: name 1, type 2, blobs 7. V1LayerParameter: 4, 5 (a number), 6."""
    name_field, type_field, blobs_field = (4, 5, 6) if v1 else (1, 2, 7)
    name, kind, blobs = "", "", []
    for number, value in _fields(message):
        if v1 and number == 1:
            raise FileError("is of Caffe's first format: convert it by upgrade_net_proto_binary")
        if number == name_field:
            name = _text(value)
        elif number == type_field and v1:
            kind = _V1_TYPES.get(value, str(value)) if isinstance(value, int) else ""
        elif number == type_field:
            kind = _text(value)
        elif number == blobs_field:
            blobs.append(value)
    return Layer(name, kind, [_blob(name, value) for value in blobs])


def _named(layer: Layer) -> Iterator[tuple[str, Array]]:
    """A layer's arrays, with the axes and names that the rest of the world gives them."""
    name, kind, blobs = layer
    if kind == "BatchNorm":
        yield from _batch_norm(layer)
        return
    for place, blob in enumerate(blobs):
        names = _NAMES.get(kind, ())
        if place < len(names):
            blob = _without_ones(blob, _MATRICES.get(kind, 1) if place == 0 else 1)
        yield f"{name}.{names[place] if place < len(names) else place}", blob


def _batch_norm(layer: Layer) -> Iterator[tuple[str, Array]]:
    """Sums of means and variances, and what they are to be divided by; 0 makes them 0."""
    if not layer.blobs:
        return
    if len(layer.blobs) != 3 or layer.blobs[2].size != 1:
        raise FileError(f"layer {shown(layer.name)}: a BatchNorm has 3 blobs, the last one number")
    mean, variance, factor = layer.blobs
    scale = 0.0 if factor.item() == 0 else 1 / factor.item()
    for name, total in (("running_mean", mean), ("running_var", variance)):
        with np.errstate(all="ignore"):  # of what is not finite
            scaled = (total.astype(np.float64) * scale).astype(total.dtype)
        yield f"{layer.name}.{name}", _without_ones(scaled, 1)


def _without_ones(blob: Array, axes: int) -> Array:
    """Without axes of 1 in front, and of a row also behind, as far as there are more than
    ``axes``."""
    shape = list(blob.shape)
    while len(shape) > axes and shape[0] == 1:
        del shape[0]
    while axes == 1 and len(shape) > 1 and shape[-1] == 1:
        del shape[-1]
    return blob.reshape(shape)


def _blob(layer: str, message: int | memoryview) -> Array:
    """BlobProto: num, channels, height, width 1 to 4, data 5, shape 7, double_data 8."""
    legacy: dict[int, int] = {}
    shape: list[int] = []
    rows = {5: bytearray(), 8: bytearray()}
    for number, value in _fields(message):
        if 1 <= number <= 4 and isinstance(value, int):
            legacy[number] = value
        elif number in rows and isinstance(value, memoryview):
            rows[number] += value  # packed, or one by one
        elif number == 7:
            shape += _dimensions(value)
    row = rows[8] or rows[5]
    dtype = np.dtype("<f8" if rows[8] else "<f4")
    wanted: Shape = tuple(legacy.get(axis, 0) for axis in (1, 2, 3, 4)) if legacy else tuple(shape)
    count, rest = divmod(len(row), dtype.itemsize)
    if rest or len(wanted) > 32 or math.prod(wanted) != count:
        raise FileError(
            f"layer {shown(layer)}: a blob of shape {shown(wanted)} has {len(row)} bytes of "
            f"{dtype.name}"
        )
    array = np.frombuffer(row, dtype).astype(dtype.newbyteorder("="))
    try:
        return array.reshape(wanted)
    except ValueError:  # of no elements, in sizes that no memory holds
        raise FileError(f"layer {shown(layer)}: no memory holds {shown(wanted)}") from None


def _dimensions(message: int | memoryview) -> list[int]:
    """BlobShape: dim 1, packed or one by one."""
    found: list[int] = []
    for number, value in _fields(message):
        if number == 1 and isinstance(value, int):
            found.append(value)
        elif number == 1:
            assert isinstance(value, memoryview)
            at = 0
            while at < len(value):
                size, at = _varint(value, at)
                found.append(size)
    return found


def _text(value: int | memoryview) -> str:
    try:
        return bytes(value).decode() if isinstance(value, memoryview) else str(value)
    except UnicodeDecodeError:
        raise FileError("has a name that is not UTF-8") from None


# -- the wire format --------------------------------------------------------------------------


def _fields(message: int | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message: numbers of one of its integers, or the bytes of anything else."""
    if not isinstance(message, memoryview):
        raise FileError("has a number where a message should be: it is no caffemodel")
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == 2:
            length, at = _varint(message, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise FileError(f"has a field {number} of kind {kind}: it is no caffemodel")
        if number == 0 or length > len(message) - at:
            raise FileError("ends in the middle of a field: it is cut short, or no caffemodel")
        yield number, message[at : at + length]
        at += length


def _varint(message: Sequence[int], at: int) -> tuple[int, int]:
    """An integer of seven bits a byte, the lowest first, and where the next byte is."""
    value = 0
    for place in range(10):
        if at + place >= len(message):
            raise FileError("ends in the middle of a number: it is cut short, or no caffemodel")
        byte = message[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise FileError("has a number of more than 64 bits: it is no caffemodel")
