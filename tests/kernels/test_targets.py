"""What is promised holds on every kind of vector: tests of other files, in a process of its own for
each kind that this machine does not choose by itself, for the choice is made once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from numseg.kernels.machine import target as simd

TESTS = Path(__file__).parents[1]
OPERATORS = "conv2d", "conv_transpose2d", "linear", "deform_conv2d"
PROMISES = (
    "test_value_and_gradient_are_those_of_the_definition",  # on integers to the bit
    "test_bits_depend_on_values_alone",  # not on 1, 2 or 3 threads
)
KERNELS = (
    "kernels/test_direct.py::test_every_path_is_exact",
    "kernels/test_direct.py::test_bits_do_not_depend_on_threads_nor_on_the_cut",
    "kernels/test_matrix_products.py",
)


@pytest.mark.parametrize("target", [name for name in simd.TARGETS if name != simd.TARGET.name])
def test_promises_hold_on_every_kind_of_vector(target):
    contract = [
        f"{TESTS}/test_every_operator.py::{promise}[{op}-float32]"
        for promise in PROMISES
        for op in OPERATORS
        if target != "neon"  # whose shapes of tiles and vectors the others have
    ]
    tests = [*contract, *(f"{TESTS}/{test}" for test in KERNELS)]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        [*command, "-k", "32 or threads"],
        capture_output=True,
        text=True,
        env={**os.environ, "NUMSEG_SIMD": target},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) > len(tests)  # of the kernels there are many


def test_an_unknown_kind_of_vector_is_refused():
    done = subprocess.run(
        [sys.executable, "-c", "import numseg.kernels.machine.target"],
        capture_output=True,
        text=True,
        env={**os.environ, "NUMSEG_SIMD": "mmx"},
    )
    assert "NUMSEG_SIMD must be one of avx512, avx2, neon, plain, got 'mmx'" in done.stderr
