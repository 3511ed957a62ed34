"""Winograd convolutions large enough to reach every path of the kernels: exact on integers with
tiles of 2 x 2, within the bound with 4 x 4, for every kind of vector, whatever the cut."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import numseg as ns
from numseg.kernels.conv import winograd
from numseg.kernels.conv.problem import Axis, Problem
from numseg.kernels.machine import target as simd
from numseg.ops.conv2d import bound, cpu

CALLS = {
    "one tile": ((1, 1, 3, 3), (1, 1, 3, 3), {}),
    "less than a vector of tiles": ((3, 5, 11, 9), (9, 5, 3, 3), {"padding": 1}),
    "rows of vectors": ((1, 6, 9, 150), (17, 6, 3, 3), {"padding": 1}),
    "bands of several images": ((5, 4, 10, 34), (8, 4, 3, 3), {"padding": 1}),
    "blocks of channels and chunks of filters": ((1, 131, 7, 6), (75, 131, 3, 3), {"padding": 1}),
    "groups": ((2, 6, 9, 37), (9, 2, 3, 3), {"padding": 1, "groups": 3}),
    "depthwise": ((2, 3, 9, 37), (3, 1, 3, 3), {"padding": 1, "groups": 3}),
    "uneven padding": ((1, 3, 9, 21), (5, 3, 3, 3), {"padding": (2, 0, 1, 2)}),
    "more padding than kernel": ((1, 3, 4, 5), (5, 3, 3, 3), {"padding": (5, 7, 9, 4)}),
    "no padding": ((1, 3, 20, 18), (5, 3, 3, 3), {}),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("algorithm", ["winograd2", "winograd4"])
@pytest.mark.parametrize("call", CALLS)
def test_every_path(call, algorithm, dtype):
    x_shape, w_shape, params = CALLS[call]
    rng = np.random.default_rng(0)
    x, w, b = (rng.integers(-4, 5, s).astype(dtype) for s in (x_shape, w_shape, w_shape[:1]))
    y, saved = ns.conv2d.forward(x, w, b, **params, algorithm=algorithm)
    expected, by_definition = ns.conv2d.reference.forward(x, w, b, **params)
    gy = rng.integers(-4, 5, y.shape).astype(dtype)
    gx = ns.conv2d.backward(saved, gy, needs=["x"])[0]
    expected_gx = ns.conv2d.reference.backward(by_definition, gy, needs=["x"])[0]
    if algorithm == "winograd2":
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(gx, expected_gx)
        return
    (y_terms,), (gx_terms, *_) = bound.scales(saved.plan, {"x": x, "weight": w, "bias": b}, gy)
    unit = bound.roundings(saved.plan.geometry) * np.finfo(dtype).eps
    assert (np.abs(y - expected) <= unit * y_terms).all()
    assert (np.abs(gx - expected_gx) <= unit * gx_terms).all()


@pytest.mark.parametrize("target", [t for t in simd.TARGETS if t != simd.TARGET.name])
def test_every_kind_of_vector(target):
    """In a process of its own, for the choice is made once."""
    tests = f"{Path(__file__)}::test_every_path"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests, "-k", "32"]
    environment = {**os.environ, "NUMSEG_SIMD": target}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{2 * len(CALLS)} passed" in done.stdout


def test_bits_do_not_depend_on_threads_nor_on_the_cut(monkeypatch):
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((2, 70, 40, 40)), rng.standard_normal((80, 70, 3, 3))
    seen = set()

    def run():
        y, saved = ns.conv2d.forward(x, w, padding=1, algorithm="winograd4")
        seen.add((y.tobytes(), ns.conv2d.backward(saved, y, needs=["x"])[0].tobytes()))

    for threads in (1, 2, 3):
        with ns.num_threads(threads):
            run()
    for name, value in {"BLOCK": 16, "CHUNK": 24, "MOST_BYTES": 0}.items():
        monkeypatch.setattr(winograd, name, value)
        cpu._forward.cache_clear()
        cpu.prepare.cache_clear()
        cpu._grad_x.cache_clear()
        run()
    cpu._forward.cache_clear()
    cpu.prepare.cache_clear()
    cpu._grad_x.cache_clear()
    assert len(seen) == 1


def test_what_a_thread_keeps_is_small():
    """The transformed image of a deep layer would take 18 MB, its transformed weights 36 MB."""
    for images, channels, size in ((1, 64, 256), (8, 512, 32)):
        s = winograd._plan(problem(images, channels, size, size, tile=4))
        for size, most in ((s.u_point, 2**20), (s.v_point, 3 * 2**20), (s.m_point, 2**20)):
            assert 36 * size * 4 < most


def problem(images, channels, height, width, tile):
    """As many filters, and a padding of 1."""
    rows, columns = (Axis(size, size, 3, 1, 1, 1) for size in (height, width))
    return Problem(images, 1, channels, channels, rows, columns, height, width, (3, 3), 4, tile)


@pytest.mark.skipif(not hasattr(mmap, "PROT_READ"), reason="needs mprotect")
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("channels", [1, 5, 8, 16, 19])
def test_nothing_beyond_the_arrays_is_read(channels, swapped):
    """Arrays that end where memory ends: to read on would end the process, so another one runs."""
    code = f"""
import ctypes, mmap
import numpy as np
from numseg.kernels.conv import winograd
from numseg.kernels.conv.problem import Axis, Problem

def at_the_end(shape):
    size = 4 * int(np.prod(shape))
    pages = -(-size // mmap.PAGESIZE)
    memory = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    end = ctypes.c_void_p(address + pages * mmap.PAGESIZE)
    assert libc.mprotect(end, ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    start = pages * mmap.PAGESIZE - size
    array = np.frombuffer(memory, np.float32, size // 4, start).reshape(shape)
    array.flags.writeable = False
    return array

x, w = at_the_end((1, {channels}, 7, 13)), at_the_end(({channels}, {channels}, 3, 3))
y = at_the_end((1, {channels}, 7, 13))
y.flags.writeable = True
plan = winograd.input_gradient if {swapped} else winograd.forward
p = Problem(1, 1, {channels}, {channels}, Axis(7, 7, 3, 1, 1, 1), Axis(13, 13, 3, 1, 1, 1), 7, 13,
            (3, 3), 4, 4)
plan(p)(x, w, None, y, None)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
