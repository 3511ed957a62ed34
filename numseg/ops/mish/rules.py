"""mish of one number, and its derivative, by exp(-abs(x)) alone.

With ``n = exp(x)``, ``tanh(softplus(x)) = n first / below`` for ``first = n + 2`` and
``below = n first + 2``; its derivative is ``4 n (1 + n) / below**2``. Above zero all of these are
divided by n**2, and n is ``exp(-x)``.
"""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.elementary import decay


@rule
def value(x):
    real = type(x)
    n, two = decay(-abs(x)), real(2)
    above = n * (n + two) if x < 0 else real(1) + two * n
    return x * (above / (above + (two if x < 0 else two * n * n)))


@rule
def slope(x):
    real = type(x)
    n, half, one, two = decay(-abs(x)), real(0.5), real(1), real(2)
    first = n + two if x < 0 else one + two * n
    below = half * (n * first + two if x < 0 else first + two * n * n)
    along = half * first * below + x * (one + n) * (one if x < 0 else n * n)
    return (n if x < 0 else one) * (along / (below * below))
