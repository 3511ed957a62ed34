"""CPU kernels that several operators share, by what they do.

machine/
    How numseg compiles and runs: ``@kernel`` and its cache (jit), threads, the CPU's vectors
    (target), LLVM IR of whole vectors (emitter), the micro-kernel, copying and transposing.
conv/
    Convolution and its gradients, one file an algorithm; a matrix product.
pooling/
    Maxima and means of windows and of bins, and the scatter of gradients to their pixels.
sampling/
    Pixels read between pixels: regions of interest, resizing, deformed taps.
reductions/
    Sums along a row in a fixed order, softmax statistics.
pointwise/
    exp and log in vectors; what losses share.
boxes/
    Non-maximum suppression.

A kernel knows arrays and a NamedTuple of numbers; it never checks (:mod:`numseg.operator` did), and
imports nothing of :mod:`numseg.ops`.
"""

from __future__ import annotations

import time

LOADED = time.time()
"""When this process began to read numseg's sources: what is younger may not be what runs."""
