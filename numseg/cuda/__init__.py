"""What CUDA kernels share.

- :mod:`~numseg.cuda.runtime`: which CUDA there is; the one place that imports ``numba.cuda``
- :mod:`~numseg.cuda.launch`: ``@kernel``, ``launch``, and the device functions that kernels call
- :mod:`~numseg.cuda.arrays`: device arrays, and other libraries' arrays seen as such
- :mod:`~numseg.cuda.tiles`, :mod:`~numseg.cuda.tensor_cores`: products of matrices by tiles
- :mod:`~numseg.cuda.implicit_gemm`, :mod:`~numseg.cuda.epilogue`: convolutions made of these, and
  what is done before they store
- :mod:`~numseg.cuda.rows`: rows of labels, a thread to a number
- :mod:`~numseg.cuda.separable`: images whose rows and columns are weighted sums of another's
- :mod:`~numseg.cuda.sorting`: running sums and a stable sort
- :mod:`~numseg.cuda.lattice`, :mod:`~numseg.cuda.exact`: Gaussian filters, one way and the other
- :mod:`~numseg.cuda.gaussian`: these normalised, transposed, and their gradients

The kernels themselves are ``numseg/ops/<operator>/cuda.py``; :mod:`numseg.testing.compile_gate`
compiles them all for GPUs that need not be there.
"""
