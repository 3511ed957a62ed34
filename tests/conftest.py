"""Hypothesis profiles and the fixtures every test may use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import numseg

Script = Callable[..., "subprocess.CompletedProcess[str]"]

_common = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("default", max_examples=25, **_common)
settings.register_profile("few", max_examples=4, **_common)
settings.register_profile("thorough", max_examples=500, **_common)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def run_script() -> Script:
    """``run_script(code, NAME=value, ...)``: run Python code in a process of its own."""
    return _run_script


def _run_script(
    script: str, check: bool = True, timeout: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    """With this numseg, and these environment variables; an error there fails the test here."""
    root = str(Path(numseg.__file__).parent.parent)
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],  # -P: not the numseg of this directory
        env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0 or not check, done.stderr
    return done
