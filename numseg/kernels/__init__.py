"""CPU kernels, in rooms. A room imports of those below it alone; the lowest is ``machine``.

A kernel knows arrays and numbers; it never checks (:mod:`numseg.operator` did), and imports nothing
of :mod:`numseg.ops`. Kernels of a single operator lie in its ``cpu.py``.

``conv``: convolution, its gradients, and the matrix product

    choose                      which algorithm a convolution takes: a list for each direction
    problem                     a convolution by its sizes, which algorithms are chosen by
    direct                      any convolution: vectors of pixels, a table of offsets for taps
    pixel_panels                the same sums by panels in the first-level cache, for many filters
    depthwise                   3 x 3 taps, one channel to a filter, and its weights' gradient
    depthwise_vectors           its intrinsics: a stencil, and the sums of nine taps
    depthwise_channels          the same with any taps and strides: vectors of channels
    channel_vectors             its intrinsics: pixels of a channel to channels of a pixel, and back
    large_kernel                kernels a vector wide, as FCN's 64 x 64
    winograd                    3 x 3 with fewer multiplications, by name
    winograd_transforms         its intrinsics: tiles transformed, and back
    transposed                  the gradient of the image for a stride: phases side by side
    transposed_large_stride     the same for strides a vector wide
    stamp                       where a pixel of a transposed convolution spreads to
    phase_by_phase              the gradient of the image by a convolution for each phase
    weight_gradient             the gradient of any weights: vectors of filters
    weight_gradient_few_filters the same for groups of few filters: vectors of pixels
    weight_gradient_small_images  the same for few pixels: im2col and a product of matrices
    bias_gradient               sums over images and pixels
    non_finite                  infinite weights at the border, by the definition
    epilogue                    what is done to an output while it is in the cache: normalise, add,
                                one activation
    packing                     a band of an image, padded, in the cache, laid out for the taps
    matmul                      the product of two matrices
    few_rows                    the same for a few rows: a linear layer of one picture

``pooling``: windows and bins

    windows                     intrinsics for rows of 2 x 2 and 3 x 3 windows of stride 2
    bins                        means and maxima of bins of any size, and their gradients
    maxima                      which of two values is the maximum: ties and NaN
    scatter                     gradients added to the pixels that indices name

``sampling``: pixels read between pixels, here and there

    channels_last               planes to channels side by side, and back; maxima of these
    corners                     a sample and the four pixels around it: blend, scatter, dot products
    weighted_sums               weighted sums of pixels, channels side by side
    roi_average                 the averages of regions of interest, and their gradients
    filter_taps                 which pixels a filter takes along an axis, as tables
    separable                   sums along rows and columns by such tables
    tap_grids                   samples that are sums over a few rows and columns, for grid_sample
    linear_rows                 rows of linear interpolation, a vector at a time
    gather_rows                 images whose rows and columns are copies, and sums over copies

``lattice``: Gaussian filters of points in any number of dimensions

    simplex                     the permutohedral lattice's scalar rules, and numbers of vertices
    build                       the lattice of some points: vertices, weights, neighbours
    filter                      values splatted to the vertices, blurred, sliced
    passes                      mean field: all terms, softmax and splat in one pass over points
    vectors                     its intrinsics: rows of labels by whole vectors
    gradient                    that of a filter's product by the features
    rows                        planes of values to rows of points, and back
    exact                       the same filter by its sum over all pairs of points

``boxes``

    nms                         non-maximum suppression

``reductions``: sums in a fixed order

    sums                        of a row, in float64
    softmax                     the maxima and sums of exponentials that a softmax needs
    all_finite                  is there a NaN or an infinity?

``pointwise``: one number at a time

    activations                 what convolutions apply to their results too
    elementary                  exp, log, expm1 and tanh, in vectors
    normal                      the tail of the normal distribution, in vectors
    elementwise                 the loops of pointwise operators
    broadcast                   those of operators of two arrays, and sums over what was repeated
    losses                      what the kernels of losses share

``machine``: how numseg compiles and runs

    jit                         ``@kernel``, ``@rule``, and the cache of compiled kernels
    threads                     ``launch``: a kernel's units among threads
    spin_wait                   waiting for another thread, awake for a moment
    work_units                  into how many units work is cut
    target                      the CPU's vectors and registers
    emitter                     LLVM IR that speaks of whole vectors
    micro_kernel                a tile of a matrix product in registers, as LLVM IR
    vector_copy                 rows copied, cleared, added and interleaved by vectors; prefetch,
                                non-temporal stores
    run                         a run of neighbouring numbers, as an array
    memcpy                      runs copied at the speed of ``memcpy``
    transpose                   matrices transposed, squares of a vector's width in registers
    scratch                     arrays that a kernel works in: aligned, cleared
    integers                    ceil_div, multiples
    numbers                     NamedTuples of integers that a kernel is given as one array
    limits                      what this machine can do: bytes and operations in a second
"""

from __future__ import annotations

import time

LOADED = time.time()
"""When this process began to read numseg's sources: what is younger may not be what runs."""
