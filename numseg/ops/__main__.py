"""Write numseg/ops/registry.py from the folders beside it: ``python -m numseg.ops``."""

from __future__ import annotations

import pkgutil
from pathlib import Path

import numseg.ops

REGISTRY = Path(__file__).with_name("registry.py")

HEAD = '''"""All operators, by name: everybody who wants to know which there are asks here.

Written by ``python -m numseg.ops`` from the folders beside this file.
"""

from __future__ import annotations

from typing import Any

from numseg.operator import Operator
'''


def text() -> str:
    """What the registry is to say. An operator is a folder, and has its name."""
    names = sorted(m.name for m in pkgutil.iter_modules(numseg.ops.__path__) if m.ispkg)
    imports = [f"from numseg.ops.{name} import {name}" for name in names]
    listed = [f'    "{name}",' for name in names]
    entries = [f'    "{name}": {name},' for name in names]
    lines = [
        HEAD + "\n".join(imports),
        "",
        "__all__ = [",
        *listed,
        "]",
        "",
        "OPERATORS: dict[str, Operator[..., Any]] = {",
        *entries,
        "}",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    REGISTRY.write_text(text())
