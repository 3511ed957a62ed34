"""The map of the kernels' rooms, in the docstring of ``numseg.kernels``."""

from __future__ import annotations

import re
from pathlib import Path

import numseg.kernels


def test_the_map_names_every_file_and_no_other():
    on_map: set[tuple[str, str]] = set()
    for paragraph in (numseg.kernels.__doc__ or "").split("\n``")[1:]:
        room, files = paragraph.split("``", 1)
        on_map |= {(room, name) for name in re.findall(r"^    (\w+) +\S", files, re.MULTILINE)}
    root = Path(numseg.kernels.__file__).parent
    there = {(path.parent.name, path.stem) for path in root.glob("*/*.py")}
    assert on_map == {(room, name) for room, name in there if name != "__init__"}
