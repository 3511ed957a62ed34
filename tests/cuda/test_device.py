"""Which device a call runs on, whose arrays it takes, and what it says of those it does not."""

from __future__ import annotations

import ctypes
import dataclasses
import importlib.util
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.cuda import runtime
from numseg.cuda.arrays import Cuda
from numseg.operator import Plan, Spec, operator
from numseg.typing import Array

if not runtime.cuda_available():
    pytest.skip(
        "no GPU: NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda, after pip install '.[cuda-test]'",
        allow_module_level=True,
    )

from numseg.cuda import launch as kernels
from numseg.cuda.runtime import cuda

X = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
POOLED = np.array([[[[5, 7], [13, 15]]]], np.float32)  # the last number of each 2 x 2 window

simulator = pytest.mark.skipif(
    not runtime.simulated(), reason="the other library's array is made of host memory: simulator"
)


class Described:
    """Another library's array: its ``__cuda_array_interface__`` and nothing else."""

    def __init__(self, array: Array, without: tuple[str, ...] = (), **changes: Any) -> None:
        self.memory = Cuda.from_host(array)
        known = getattr(self.memory, "__array_interface__", None) or (
            self.memory.__cuda_array_interface__
        )
        described = {"version": 3, "stream": None, **known, **changes}
        self.__cuda_array_interface__ = {
            key: value for key, value in described.items() if key not in without
        }


class OnlyDLPack:
    """An array that says it is on a GPU, with no interface but DLPack."""

    def __init__(self, array: Array, kind: int = 2, number: int = 0) -> None:
        self.array, self.where, self.streams = array, (kind, number), []

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.where

    def __dlpack__(self, stream: Any = None, **_: Any) -> Any:
        """NumPy's capsule, in which the tensor's device (after its pointer) is replaced."""
        self.streams.append(stream)
        capsule = self.array.__dlpack__()
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        tensor = pointer(capsule, b"dltensor")
        for field, value in enumerate(self.where):
            ctypes.c_int32.from_address(tensor + 8 + 4 * field).value = value
        return capsule


def host(array: Any) -> Array:
    assert hasattr(array, "copy_to_host"), f"a {type(array).__name__} is not on the GPU"
    return Cuda.to_host(array)


# -- arrays of other libraries ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "without", [(), ("stream",), ("stream", "strides"), ("descr", "strides")], ids=str
)
@pytest.mark.parametrize("version", [2, 3])
def test_takes_what_describes_itself(without: tuple[str, ...], version: int) -> None:
    y, indices = ns.max_pool2d(Described(X, without, version=version), 2, return_indices=True)
    np.testing.assert_array_equal(host(y), POOLED)
    np.testing.assert_array_equal(host(indices), POOLED)


def test_takes_arrays_that_must_not_be_written_to() -> None:
    foreign = Described(X)
    address, _ = foreign.__cuda_array_interface__["data"]
    foreign.__cuda_array_interface__["data"] = address, True
    np.testing.assert_array_equal(host(ns.max_pool2d(foreign, 2)), POOLED)
    np.testing.assert_array_equal(host(foreign.memory), X)


def test_takes_arrays_repeated_by_a_stride_of_zero() -> None:
    foreign = Described(X, shape=(3, 1, 4, 4), strides=(0, 64, 16, 4))
    np.testing.assert_array_equal(host(ns.max_pool2d(foreign, 2)), np.repeat(POOLED, 3, 0))


@simulator
def test_takes_dlpack() -> None:
    foreign = OnlyDLPack(X.transpose(0, 1, 3, 2))
    y = ns.max_pool2d(foreign, 2)
    np.testing.assert_array_equal(host(y), POOLED.transpose(0, 1, 3, 2))
    assert foreign.streams == [1]  # the owner orders its work before the legacy default stream


@simulator
def test_dlpack_of_managed_memory_is_on_the_gpu() -> None:
    np.testing.assert_array_equal(host(ns.max_pool2d(OnlyDLPack(X, kind=13), 2)), POOLED)


def test_refuses_arrays_of_another_gpu() -> None:
    with pytest.raises(ns.DeviceError) as caught:
        ns.max_pool2d(OnlyDLPack(X, number=5), 2)
    assert str(caught.value) == (
        "max_pool2d: x is on GPU 5, but the current one is GPU 0: "
        "call within `with numba.cuda.gpus[5]:`"
    )


class RequiresGrad:
    """PyTorch's way to refuse."""

    shape, dtype = X.shape, X.dtype

    @property
    def __cuda_array_interface__(self) -> Any:
        raise RuntimeError("Can't get __cuda_array_interface__ on Variable that requires grad.")


def test_says_why_an_array_cannot_be_read() -> None:
    with pytest.raises(ns.ArgumentError, match="max_pool2d: x cannot be read on the GPU: Can"):
        ns.max_pool2d(RequiresGrad(), 2)


def test_refuses_masked_arrays() -> None:
    with pytest.raises(ns.ArgumentError, match="max_pool2d: x is a masked array; fill it first"):
        ns.max_pool2d(Described(X, mask=Described(X > 0)), 2)


@simulator
def test_refuses_foreign_byte_order() -> None:
    with pytest.raises(ns.ArgumentError, match="max_pool2d: x has dtype >f4: a CUDA array must be"):
        ns.max_pool2d(Described(X.astype(">f4")), 2)


# -- the device of a call --------------------------------------------------------------------------


def test_arrays_on_both_devices_are_refused() -> None:
    w = np.ones((1, 1, 2, 2), np.float32)
    with pytest.raises(
        ns.DeviceError, match=r"^conv2d: weight is on the CPU, but another argument is"
    ):
        ns.conv2d(Cuda.from_host(X), w)
    with pytest.raises(ns.DeviceError, match=r"^conv2d: x is on the CPU, but another argument is"):
        ns.conv2d(X, Cuda.from_host(w))
    y, saved = ns.conv2d.forward(Cuda.from_host(X), Cuda.from_host(w))
    with pytest.raises(ns.DeviceError, match=r"^conv2d.backward: grad_y is on the CPU"):
        ns.conv2d.backward(saved, host(y))


@operator("x", saves="x")
def on_the_cpu_only(x: Any) -> Plan[Any]:
    """An operator without a cuda.py."""
    return Plan(outputs=(Spec(x.shape, x.dtype),), geometry=None)


def test_an_operator_without_kernels_for_the_gpu_says_so() -> None:
    with pytest.raises(ns.DeviceError) as caught:
        on_the_cpu_only(Cuda.from_host(X))
    assert str(caught.value) == (
        "on_the_cpu_only: has no cuda kernels: copy the arrays to the CPU (copy_to_host) first"
    )


def test_without_numba_cuda_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = Described(X)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    runtime._cuda.cache_clear()
    try:
        with pytest.raises(ns.DeviceError, match=r"pip install 'numseg\[cuda\]'"):
            ns.max_pool2d(foreign, 2)
        assert "pip install" in runtime.describe_cuda()
    finally:
        runtime._cuda.cache_clear()


def test_describes_the_gpu() -> None:
    words = "simulator" if runtime.simulated() else "compute capability"
    assert words in runtime.describe_cuda()


def test_a_chain_of_calls_stays_on_the_gpu() -> None:
    """Pool, unpool, and back: what comes out is x where it was the largest of its window."""
    x = np.array([[[[1, 5, 2, 0], [3, 4, 8, 7]]]], np.float32)
    y, pooled = ns.max_pool2d.forward(Cuda.from_host(x), 2)
    back, unpooled = ns.max_unpool2d.forward(y, pooled.indices, 2)
    np.testing.assert_array_equal(host(back), [[[[0, 5, 0, 0], [0, 0, 8, 0]]]])
    (grad_y,) = ns.max_unpool2d.backward(unpooled, Cuda.from_host(10 * x))
    np.testing.assert_array_equal(host(grad_y), [[[[50, 80]]]])
    (grad_x,) = ns.max_pool2d.backward(pooled, grad_y)
    np.testing.assert_array_equal(host(grad_x), [[[[0, 50, 0, 0], [0, 0, 80, 0]]]])


def test_the_last_of_several_values_for_a_pixel_stays() -> None:
    """As many threads as a block has race for pixel 3, and as many again for pixel 0."""
    y = np.arange(1, 65, dtype=np.float32).reshape(1, 2, 4, 8)
    indices = np.where(np.arange(32) % 2 == 0, 3, 0).reshape(1, 1, 4, 8).repeat(2, 1)
    x, saved = ns.max_unpool2d.forward(
        Cuda.from_host(y), Cuda.from_host(indices), (2, 2), stride=1, padding=(1, 1)
    )
    assert host(x).shape == (1, 2, 3, 7)
    expected = np.zeros((1, 2, 21), np.float32)
    expected[0, :, 3], expected[0, :, 0] = (31, 63), (32, 64)
    np.testing.assert_array_equal(host(x).reshape(1, 2, 21), expected)
    (grad_y,) = ns.max_unpool2d.backward(saved, Cuda.from_host(np.ones((1, 2, 3, 7), np.float32)))
    assert np.flatnonzero(host(grad_y)).tolist() == [30, 31, 62, 63]


def test_indices_spoilt_after_forward_read_nothing_else() -> None:
    """The gradient of a value whose switch has left the plane is zero."""
    y = Cuda.from_host(np.ones((1, 1, 1, 2), np.float32))
    indices = Cuda.from_host(np.array([[[[0, 1]]]]))
    x, saved = ns.max_unpool2d.forward(y, indices, 2)
    for nonsense in (-1, 8, 2**62):
        indices[0, 0, 0, 0] = nonsense
        (grad_y,) = ns.max_unpool2d.backward(saved, Cuda.from_host(np.ones(x.shape, np.float32)))
        assert host(grad_y).tolist() == [[[[0, 1]]]]


def test_pooling_keeps_its_rules_for_ties_nan_and_infinities() -> None:
    """First maximum, last NaN, and the first pixel of a window that has no number above -inf."""
    few = np.array([-np.inf, -np.inf, np.nan, 0, 1], np.float32)
    x = np.random.default_rng(0).choice(few, (2, 2, 7, 7), p=[0.4, 0.3, 0.1, 0.1, 0.1])
    for params in ({}, {"stride": 2, "padding": 1}, {"dilation": 2, "ceil_mode": True}):
        expected = ns.max_pool2d.reference(x, (2, 3), return_indices=True, **params)
        actual = ns.max_pool2d(Cuda.from_host(x), (2, 3), return_indices=True, **params)
        for a, e in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(host(a), e)
    for nan in ("first", "drop"):
        for lowest in (-np.inf, 0):
            rules = {"nan": nan, "lowest": lowest, "ties": "all", "index_layout": "nhwc"}
            expected, by_definition = ns.max_pool2d.reference.forward(x, 2, 1, **rules)
            actual, saved = ns.max_pool2d.forward(Cuda.from_host(x), 2, 1, **rules)
            np.testing.assert_array_equal(host(actual), expected)
            np.testing.assert_array_equal(host(saved.indices), by_definition.indices)
            np.testing.assert_array_equal(host(saved.tied), by_definition.tied)
    nothing = Cuda.from_host(np.full((1, 1, 2, 2), -np.inf, np.float32))
    y, indices = ns.max_pool2d(nothing, 2, return_indices=True)
    assert (host(y).item(), host(indices).item()) == (-np.inf, 0)


# -- launches --------------------------------------------------------------------------------------


@kernels.kernel
def copy(source: kernels.Reals, target: kernels.Reals, shift: int) -> None:
    pixel, _ = kernels.thread()
    if pixel < target.size:
        target[pixel] = source[pixel + shift]


def test_a_launch_must_keep_to_the_annotations() -> None:
    a = Cuda.from_host(np.arange(4.0))
    target = Cuda.empty((3,), np.float64)
    kernels.launch(copy, 1, 3, a, target, 1)
    assert host(target).tolist() == [1, 2, 3]
    with pytest.raises(TypeError, match="copy: target has dtype float32, its annotation"):
        kernels.launch(copy, 1, 3, a, Cuda.empty((3,), np.float32), 1)
    with pytest.raises(ns.DeviceError, match=f"copy: shift: {2**30}, CUDA kernels count up to"):
        kernels.launch(copy, 1, 3, a, target, 2**30)


@pytest.mark.parametrize(("planes", "pixels"), [(2**30, 1), (1, 2**30)])
def test_a_launch_counts_in_32_bits(planes: int, pixels: int) -> None:
    a = Cuda.from_host(np.arange(4.0))
    with pytest.raises(ns.DeviceError, match="1073741824, CUDA kernels count up to 1073741823"):
        kernels.launch(copy, planes, pixels, a, a, 0)


@kernels.kernel
def visit(visits: kernels.Ints, planes: int, pixels: int) -> None:
    pixel, plane = kernels.thread()
    if pixel >= pixels:
        return
    while plane < planes:
        cuda.atomic.add(visits, plane * pixels + pixel, 1)
        plane = kernels.next_plane(plane)


@pytest.mark.parametrize("planes", [1, 2, 9])
@pytest.mark.parametrize("pixels", [1, 3, 5, 40])
def test_a_launch_visits_every_pixel_of_every_plane_once(planes: int, pixels: int) -> None:
    visits = Cuda.from_host(np.zeros(planes * pixels, np.int32))
    kernels.launch(visit, planes, pixels, visits, planes, pixels)
    assert host(visits).tolist() == [1] * (planes * pixels)


@pytest.mark.parametrize(
    ("results", "terms"),
    [(1, 0), (1, 1), (3, 7), (kernels.FULL, 9), (kernels.FULL // 4, 30), (7, 5 * kernels.FULL)],
)
def test_sums_are_split_by_their_sizes_alone(results: int, terms: int) -> None:
    """Enough parts to fill a GPU, no more than there are terms, and no part empty."""
    sums = Cuda.empty((results,), np.float32)
    split, addends = kernels.split(sums, terms)
    assert (split.parts - 1) * split.terms < max(terms, 1) <= split.parts * split.terms
    assert split.parts * results <= max(kernels.FULL, results)
    assert addends.size == split.parts * results
    assert (addends is sums) == (split.parts == 1)


def test_winograd_is_for_the_cpu():
    x, w = (Cuda.from_host(np.ones(shape, np.float32)) for shape in ((1, 1, 5, 5), (1, 1, 3, 3)))
    message = "^conv2d: algorithm 'winograd4' runs on the CPU, CUDA has 'direct' only$"
    with pytest.raises(ns.DeviceError, match=message):
        ns.conv2d(x, w, algorithm="winograd4")
    y, saved = ns.conv2d.forward(x, w)
    geometry = saved.plan.geometry._replace(tile=2)
    saved = saved._replace(plan=dataclasses.replace(saved.plan, geometry=geometry))
    with pytest.raises(ns.DeviceError, match=r"^conv2d.backward: algorithm 'winograd2' runs on"):
        ns.conv2d.backward(saved, y)


@pytest.mark.parametrize(
    ("source", "shape"),
    [((3,), (1, 3)), ((3, 1), (3, 1)), ((2, 3, 1), (2, 3, 1)), ((), (1, 1)), ((3,), (2, 3)),
     ((2, 1), (4, 2, 3))],
)  # fmt: skip
@pytest.mark.parametrize("order", ["C", "F"])
def test_repeated_axes_are_sent(source: Any, shape: Any, order: Any) -> None:
    """An axis of stride 0, of one number too, which NumPy calls contiguous."""
    numbers = np.arange(np.prod(source, dtype=int), dtype=np.float32).reshape(source)
    array = np.broadcast_to(numbers.copy(order=order), shape)
    array = np.lib.stride_tricks.as_strided(
        array, shape, [0 if n == 1 else step for n, step in zip(shape, array.strides, strict=True)]
    )
    sent = Cuda.from_host(array)
    assert sent.is_c_contiguous()
    np.testing.assert_array_equal(host(sent), array)
    np.testing.assert_array_equal(host(ns.relu(sent)), array)


def test_parameters_of_float64_calls_are_float64() -> None:
    x = np.array([[[1e-60], [3e-51]]])  # of which float32 holds nothing, nor of eps
    y = ns.l2_norm(Cuda.from_host(x), eps=1e-50)
    np.testing.assert_allclose(host(y), [[[1e-10], [0.3]]], rtol=1e-15)
