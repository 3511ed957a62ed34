"""Results of benchmarks whose rows are measured one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from numseg.bench.run import _machine, _versions
from numseg.files import write_whole


def save(file: Path, rows: dict[str, Any]) -> None:
    """Write these rows; others stay as they are."""
    known = json.loads(file.read_text())["rows"] if file.exists() else {}
    result = {"machine": _machine(), "versions": _versions(), "rows": known | rows}
    write_whole(file, (json.dumps(result, indent=1) + "\n").encode())
