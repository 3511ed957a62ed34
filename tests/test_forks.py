"""A fork at any moment: the child computes, and never waits for a thread that it does not have."""

from __future__ import annotations

import os
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no forks")

SCRIPT = """
import os, signal, sys, threading, time
import numpy as np
import numseg as ns

x, weight = np.ones((1, 1, 6, 6)), np.ones((1, 1, 3, 3))
began = threading.Event()

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == MODULE:
            began.set()
            time.sleep(0.2)

def result(pid):
    for _ in range(200):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hangs"

def fork_while(other, do):
    thread = threading.Thread(target=other)
    thread.start()
    began.wait()
    child = os.fork()
    if child == 0:
        do()
        os._exit(0)
    thread.join()
    return result(child)
"""

QUIET = {"PYTHONWARNINGS": "ignore::DeprecationWarning"}  # Python 3.12 warns of fork with threads


@pytest.mark.parametrize(
    ("module", "call"),
    [
        ("numseg.ops.max_pool2d.cpu", "ns.max_pool2d(x, 2)"),
        ("numseg.kernels.machine.jit", "ns.max_pool2d(x, 2)"),
        ("numba", "ns.max_pool2d(x, 2)"),
        ("numba.core.types", "ns.max_pool2d(x, 2)"),
        ("llvmlite.binding.ffi", "ns.conv2d(x, weight)"),
        ("numseg.kernels.conv.direct", "ns.conv2d(x, weight)"),
        ("numseg.kernels.boxes.nms", "ns.boxes.nms(np.ones((2, 4)), np.ones(2), 0.5)"),
        ("numseg.ops.roi_align.reference", "ns.roi_align.reference(x, [[0, 0, 0, 4, 4.0]], 2)"),
        ("scipy.sparse", "ns.conv2d.matrix((1, 1, 6, 6), weight)"),
        ("hypothesis", "__import__('numseg.testing.cases')"),
        ("tqdm", "__import__('numseg.files').files.optional('tqdm', 'tqdm', 'train', 'this')"),
    ],
)
def test_while_another_thread_imports(run_script: Any, module: str, call: str) -> None:
    if module in ("tqdm", "hypothesis"):
        pytest.importorskip(module)
    call = call.replace("[[0, 0, 0, 4, 4.0]]", "np.array([[0, 0, 0, 4, 4.0]])")
    done = run_script(
        f"MODULE = {module!r}\n{SCRIPT}\n"
        f"sys.meta_path.insert(0, Watch())\nprint(fork_while(lambda: {call}, lambda: {call}))",
        **QUIET,
    )
    assert done.stdout.strip() == "0"
    assert done.stderr == ""


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.1, 0.2, 0.4])
def test_whatever_another_thread_does(run_script: Any, moment: float) -> None:
    """Import, compile, load kernels, run them."""
    call = "ns.conv2d(ns.max_pool2d(x, 2), weight)"
    done = run_script(
        f"MODULE = None\n{SCRIPT}\nthreading.Timer({moment}, began.set).start()\n"
        f"print(fork_while(lambda: {call}, lambda: {call}))",
        **QUIET,
    )
    assert done.stdout.strip() == "0"


def test_an_import_that_begins_at_the_last_moment_is_forgotten(run_script: Any) -> None:
    """It had looked, and nobody imported anything. (The fork itself does not ask Python.)"""
    done = run_script(
        f"MODULE = 'numseg.ops.max_pool2d.cpu'\n{SCRIPT}\nfrom numseg import forks\n"
        "forks._before.__code__ = (lambda: setattr(_mine, 'held', [])).__code__\n"
        "sys.meta_path.insert(0, Watch())\n"
        "ns.relu(x)  # numba is there\n"
        "print(fork_while(lambda: ns.max_pool2d(x, 2), lambda: ns.max_pool2d(x, 2)))",
        **QUIET,
    )
    assert done.stdout.strip() == "0"


def test_an_import_that_waits_for_the_fork_ends_the_wait(run_script: Any) -> None:
    done = run_script(
        f"MODULE = None\n{SCRIPT}\nimport builtins\nfrom numseg import forks\n"
        "forks.PATIENCE, forked, original = 0.5, threading.Event(), builtins.__import__\n"
        "def waits(name, *rest, **others):\n"
        "    if name == 'numba':\n"
        "        began.set()\n"
        "        forked.wait()\n"
        "    return original(name, *rest, **others)\n"
        "builtins.__import__ = waits\n"
        "os.register_at_fork(after_in_parent=forked.set)\n"
        "print(fork_while(lambda: ns.max_pool2d(x, 2), lambda: None))",
        **QUIET,
    )
    assert done.stdout.strip() == "0"


def test_no_lock_is_held_while_a_property_is_computed(run_script: Any) -> None:
    """As Python 3.11's functools.cached_property would."""
    done = run_script(
        f"MODULE = None\n{SCRIPT}\nfrom numseg.operator import Operator\n"
        "make = Operator.__dict__['reference'].func\n"
        "def slow(op):\n"
        "    began.set()\n"
        "    time.sleep(0.3)\n"
        "    return make(op)\n"
        "Operator.__dict__['reference'].func = slow\n"
        "print(fork_while(lambda: ns.relu.reference(x), lambda: ns.relu.reference(x)))",
        **QUIET,
    )
    assert done.stdout.strip() == "0"
