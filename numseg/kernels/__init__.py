"""What the kernels of several operators share: compilation and its cache, threads, launches."""

from __future__ import annotations

import time

LOADED = time.time()
"""When this process began to read numseg's sources: what is younger may not be what runs."""
