"""mish of one number, and its derivative, by exp(-abs(x)) alone.

With ``n = exp(x)``, ``tanh(softplus(x)) = n first / below`` for ``first = n + 2`` and
``below = n first + 2``; its derivative is ``4 n (1 + n) / below**2``. Above zero all of these are
divided by n**2, and n is ``exp(-x)``. Of two products that are added, or of one in a branch, each
loop would fuse another one with the addition: they are a ``product``, and the bits are the same.
So is ``x (1 + n)``, of which LLVM 15 makes ``x + x n`` in some loops. A NaN keeps its sign in n, or
a product of both would have that of either.
"""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.elementary import decay, product


@rule
def value(x):
    real = type(x)
    n, two = decay(-x if x > 0 else x), real(2)
    above = product(n, n + two) if x < 0 else real(1) + two * n
    return x * (above / (above + (two if x < 0 else product(two * n, n))))


@rule
def slope(x):
    real = type(x)
    n, half, one, two = decay(-x if x > 0 else x), real(0.5), real(1), real(2)
    first = n + two if x < 0 else one + two * n
    below = half * (two + product(n, first) if x < 0 else first + product(two * n, n))
    rest = product(product(x, one + n), one if x < 0 else n * n)
    along = product(half * first, below) + rest
    return (n if x < 0 else one) * (along / (below * below))
