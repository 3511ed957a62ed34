"""P-Net, the first network of MTCNN (Zhang, Zhang, Li and Qiao, 2016): where faces may be."""

from __future__ import annotations

from numseg import checks
from numseg.errors import ArgumentError
from numseg.graph import Builder, Graph, Value, initialiser
from numseg.nets import blocks
from numseg.operator import Spec
from numseg.ops.max_pool2d import max_pool2d
from numseg.ops.prelu import prelu
from numseg.ops.softmax import softmax


def pnet() -> Graph:
    """P-Net: whether 12 x 12 pixels are a face, and how its box lies in them.

    No layer is padded and none looks at the whole image. On a larger image it is therefore that
    classifier slid over it in steps of 2 pixels, with what the windows share computed once: value
    (r, c) of each output looks at rows ``2 r`` to ``2 r + 11``, columns ``2 c`` to ``2 c + 11``.
    On an odd number of rows a last one looks at the 11 that are left, for pooling rounds up.

    Returns
    -------
    Graph
        With one input ``x``, (N, 3, H, W), H and W at least 12: red, green and blue as
        ``(value - 127.5) / 128``. Two outputs: ``probability``, (N, 2, h, w), of no face and of a
        face, and ``box``, (N, 4, h, w), how far the box's left, top, right and bottom lie from the
        window's, in window sizes; h is ``(H - 9) // 2``.

        Parameters are named ``conv1.weight``, ``conv1.bias``, ``prelu1.weight`` ... ``conv3``,
        ``conv4_1`` (the probability's), ``conv4_2`` (the box's), as in facenet-pytorch 2.6.

    Examples
    --------
    >>> import numseg as ns
    >>> net = ns.nets.pnet()
    >>> net.shapes((1, 3, 12, 12))["probability"], net.shapes((1, 3, 76, 77))["probability"]
    ((1, 2, 1, 1), (1, 2, 33, 34))
    >>> sum(a.size for a in net.init().values())
    6632
    """
    net = Graph.build()
    h = _layer(net, 1, net.input("x", _check_size), 3, 10)
    h = net.add(max_pool2d, h, 2, ceil_mode=True, name="pool1")
    h = _layer(net, 2, h, 10, 16)
    h = _layer(net, 3, h, 16, 32)
    scores = blocks.conv(net, "conv4_1", h, 32, 2, 1)
    probability = net.add(softmax, scores, name="probability")
    box = blocks.conv(net, "conv4_2", h, 32, 4, 1)
    return net.output(probability, box)


def _layer(net: Builder, number: int, x: Value, channels: int, filters: int) -> Value:
    """A 3 x 3 convolution, and a slope for each of its channels."""
    h = blocks.conv(net, f"conv{number}", x, channels, filters, 3)
    slopes = net.param(
        f"prelu{number}.weight", (filters,), initialiser(("constant", {"value": 0.25}))
    )
    return net.add(prelu, h, slopes, name=f"prelu{number}")


def _check_size(x: Spec) -> None:
    _, channels, rows, columns = checks.axes("x", x, "n c h w")
    if channels != 3:
        raise ArgumentError(f"x has {channels} channels, but P-Net takes 3")
    for axis, size in (("rows", rows), ("columns", columns)):
        if size < 12:
            raise ArgumentError(f"x has {size} {axis}, but P-Net takes 12 at least")
