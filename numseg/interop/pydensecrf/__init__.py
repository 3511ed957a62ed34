"""pydensecrf's modules, computed by numseg: a script runs with its imports changed.

``import pydensecrf.densecrf as dcrf`` becomes ``import numseg.interop.pydensecrf.densecrf as dcrf``
and ``from pydensecrf.utils import ...`` ``from numseg.interop.pydensecrf.utils import ...``.
Names, arguments, signs and results are those of pydensecrf2 1.1. Where that one ends the process,
or computes something from memory that is not its own, there is an error in one line;
``docs/crf.md`` lists what differs.
"""

from __future__ import annotations

from numseg.interop.pydensecrf import densecrf, eigen, utils

__all__ = ["densecrf", "eigen", "utils"]
