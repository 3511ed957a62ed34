"""The memory that convolutions take beside their inputs and outputs, on two threads: measured, with
what kernels allocate, in a process whose kernels allocate by Python's allocator."""

from __future__ import annotations

import json

import pytest

from numseg.bench import conv2d

ROWS = {
    f"conv {name}": ("conv2d", *row)
    for name, row in conv2d.ROWS.items()
    if "algorithm" not in row[2]  # Winograd's, by name, takes more
}
ROWS |= {
    f"transposed {k}x{k}/{stride}": (
        "conv_transpose2d",
        (1, c, size, size),
        (c, f, k, k),
        {"stride": stride},
    )
    for k, stride, c, f, size in [
        (2, 2, 256, 128, 32),
        (4, 2, 21, 21, 32),
        (16, 8, 21, 21, 32),
        (64, 32, 21, 21, 16),
    ]
}

MEASURE = """
import json, sys, tracemalloc
import numpy as np
from numba.core.runtime import _nrt_python
import numseg as ns
from numseg.kernels.machine import threads as parallel

_nrt_python.memsys_use_cpython_allocator()
launch, most = parallel.launch, [0]

def measured(kernel, units, work, *args):
    # as if two threads ran it, if two would: each allocates what one does
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    with ns.num_threads(1):
        launch(kernel, units, work, *args)
    own = tracemalloc.get_traced_memory()[1] - before
    threads = 2 if units > 1 and work > parallel.SERIAL_WORK else 1
    most[0] = max(most[0], before + threads * own)

def calls(name, x_shape, w_shape, params):
    op = getattr(ns, name)
    x, w = np.ones(x_shape, np.float32), np.ones(w_shape, np.float32)
    y, saved = op.forward(x, w, **params)
    gy = np.ones_like(y)
    yield "forward", (x.nbytes, y.nbytes, w.nbytes), lambda: op(x, w, **params)
    for need in ("x", "weight"):
        yield need, (x.nbytes, y.nbytes, w.nbytes), lambda: op.backward(saved, gy, needs=[need])

def modules():
    return [module for name, module in sys.modules.items() if name.startswith("numseg.")]

found = {}
for row, call in ROWS.items():
    for direction, sizes, run in calls(*call):
        run()  # what is not compiled yet is compiled
        for module in modules():
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):  # plans, whose tables count
                    value.cache_clear()
            if getattr(module, "launch", None) is launch:
                module.launch = measured
        tracemalloc.start()
        most[0] = 0
        result = run()
        result = result if isinstance(result, tuple) else (result,)
        tracemalloc.stop()
        for module in modules():
            if getattr(module, "launch", None) is measured:
                module.launch = launch
        extra = most[0] - sum(array.nbytes for array in result if array is not None)
        found[f"{row}, {direction}"] = (extra, *sizes)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def extra(run_script):
    """Of each row and direction: extra bytes, and the bytes of x, y and w."""
    return json.loads(run_script(f"ROWS = {ROWS!r}\n{MEASURE}").stdout)


@pytest.mark.parametrize("direction", ["forward", "x", "weight"])
@pytest.mark.parametrize("row", ROWS)
def test_extra_memory_is_a_small_part_of_the_arrays(row, direction, extra):
    op, x_shape, _, params = ROWS[row]
    found, x_bytes, y_bytes, w_bytes = extra[f"{row}, {direction}"]
    if direction != ("forward" if op == "conv2d" else "x"):
        found -= w_bytes  # one packed copy, or one of its gradient, is free
    if min(x_shape[2:]) >= 56:
        assert found <= 0.15 * (x_bytes + y_bytes)
    if op == "conv2d":
        image = {"forward": x_bytes, "x": y_bytes, "weight": max(x_bytes, y_bytes)}[direction]
    else:  # whose input is spread over its output
        image = max(x_bytes, y_bytes)
    pad, (height, width) = params.get("padding", 0), x_shape[2:]
    assert found <= image * (height + 2 * pad) * (width + 2 * pad) / (height * width)
