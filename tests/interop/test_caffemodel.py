"""Caffe's files, made field by field with the numbers of caffe.proto."""

from __future__ import annotations

import numpy as np
import pytest
from files import blob, field, layer, old_blob, old_layer, packed, varint

from numseg.errors import FileError
from numseg.interop import caffemodel


def read(*fields: bytes) -> dict[str, np.ndarray]:
    return caffemodel.read(field(1, "a net") + b"".join(fields))


def test_layers_since_2014():
    arrays = read(
        layer("data", "Input"),
        layer("conv1_1", "Convolution", blob(range(18), 2, 1, 3, 3), blob([5, 6], 2)),
        layer("fc6", "InnerProduct", blob(range(6), 2, 3), blob([1, 2], 2)),
        layer("upscore", "Deconvolution", blob(range(4), 1, 1, 2, 2)),
    )
    assert list(arrays) == [
        "conv1_1.weight", "conv1_1.bias", "fc6.weight", "fc6.bias", "upscore.weight",
    ]  # fmt: skip
    assert arrays["conv1_1.weight"].shape == (2, 1, 3, 3)
    assert arrays["conv1_1.weight"][1, 0, 0].tolist() == [9, 10, 11]
    assert arrays["fc6.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert arrays["fc6.bias"].tolist() == [1, 2]
    assert arrays["upscore.weight"].shape == (1, 1, 2, 2)
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}


def test_layers_before():
    """V1: types are numbers, and blobs have four axes; a bias is 1 x 1 x 1 x N."""
    arrays = read(
        old_layer("conv1_1", 4, old_blob(range(9), 1, 1, 3, 3), old_blob([7], 1, 1, 1, 1)),
        old_layer("fc6", 14, old_blob(range(3), 1, 1, 1, 3), old_blob([5], 1, 1, 1, 1)),
        old_layer("up", 39, old_blob(range(8), 2, 1, 2, 2), old_blob([1, 2], 1, 1, 1, 2)),
        old_layer("relu1_1", 18),
    )
    assert {name: array.shape for name, array in arrays.items()} == {
        "conv1_1.weight": (1, 1, 3, 3), "conv1_1.bias": (1,),
        "fc6.weight": (1, 3), "fc6.bias": (1,),
        "up.weight": (2, 1, 2, 2), "up.bias": (2,),
    }  # fmt: skip


def test_batch_norm_is_divided_by_its_factor():
    arrays = read(
        layer("bn1", "BatchNorm", blob([2, 4], 2), blob([6, 8], 2), blob([4], 1)),
        layer("scale1", "Scale", blob([1.5, 2], 2), blob([3, 4], 2)),
        layer("bn2", "BatchNorm", blob([2], 1), blob([6], 1), blob([0], 1)),
    )
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "bn1.running_mean": [0.5, 1], "bn1.running_var": [1.5, 2],
        "scale1.weight": [1.5, 2], "scale1.bias": [3, 4],
        "bn2.running_mean": [0], "bn2.running_var": [0],
    }  # fmt: skip
    with pytest.raises(FileError, match="layer 'bn': a BatchNorm has 3 blobs"):
        read(layer("bn", "BatchNorm", blob([2], 1)))


def test_other_layers():
    arrays = read(
        layer("prelu", "PReLU", blob([0.25, 0.5], 2)),
        layer("shared", "PReLU", blob([0.25])),
        layer("segnet", "BN", blob([1, 2], 1, 2, 1, 1), blob([3, 4], 1, 2, 1, 1)),
        layer("mine", "Python", blob([1, 2], 1, 2), blob([3], 1)),
        layer("shift", "Bias", blob([1, 2], 2)),
    )
    assert {name: array.shape for name, array in arrays.items()} == {
        "prelu.weight": (2,), "shared.weight": (), "segnet.weight": (2,), "segnet.bias": (2,),
        "mine.0": (1, 2), "mine.1": (1,), "shift.bias": (2,),
    }  # fmt: skip


def test_numbers_one_by_one_and_in_pieces():
    """Packed fields may also come unpacked, or packed in several pieces."""
    shape = field(7, field(1, 2) + field(1, 3))
    single = b"".join(varint(5 << 3 | 5) + packed([number]) for number in range(6))
    pieces = field(5, packed(range(4))) + field(5, packed([4, 5]))
    for data in (single, pieces, single[:10] + field(5, packed(range(2, 6)))):
        found = read(layer("fc", "InnerProduct", data + shape))["fc.weight"]
        assert found.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_double_data():
    double = field(8, packed([0.1, 0.2], "d")) + field(7, field(1, varint(2)))
    found = read(layer("conv", "Convolution", double))["conv.weight"]
    assert found.dtype == np.float64
    assert found.tolist() == [0.1, 0.2]
    single = b"".join(varint(8 << 3 | 1) + packed([x], "d") for x in (0.1, 0.2))
    assert read(layer("c", "Convolution", single + field(7, field(1, 2))))["c.weight"][0] == 0.1


def test_gradients_and_unknown_fields_are_passed_over():
    content = (
        blob([1, 2], 2) + field(6, packed([9, 9])) + field(120, "?") + varint(9 << 3 | 1) + b"8" * 8
    )
    assert read(layer("a", "PReLU", content), field(8, b"?"))["a.weight"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (layer("c", "Convolution", blob(range(8), 1, 1, 3, 3)),
         r"'c': a blob of shape \(1, 1, 3, 3\) has 32 bytes"),
        (layer("c", "Convolution", blob(range(9), 2**31, 2**32)), "has 36 bytes of float32"),
        (layer("c", "Convolution", blob([], *[2**60] * 40)), "has 0 bytes of float32"),
        (layer("c", "Convolution", blob([], 0, 2**62)), "no memory holds"),
        (layer("c", "Convolution", field(5, b"abc")), "has 3 bytes"),
        (layer("c", "Convolution", blob([1], 1)) * 2, "two layers 'c' with weights"),
        (layer("relu", "ReLU"), "has no layer with weights"),
        (field(2, field(1, field(1, "conv1"))), "of Caffe's first format"),
        (field(100, 7), "has no layer with weights"),
        (field(100, field(7, 7)), "a number where a message should be"),
        (field(100, field(1, b"\xff")), "not UTF-8"),
        (varint(3 << 3 | 3), "a field 3 of kind 3"),
        (b"\xff" * 11, "more than 64 bits"),
        (field(100, b"")[:-1], "ends in the middle"),
        (varint(100 << 3 | 2) + varint(2**62), "ends in the middle of a field"),
        (varint(0 << 3 | 2) + varint(0), "ends in the middle of a field"),
    ],
)  # fmt: skip
def test_files_that_are_refused(fields, message):
    with pytest.raises(FileError, match=message) as error:
        read(fields)
    assert "\n" not in str(error.value)
