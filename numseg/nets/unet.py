"""U-Net (Ronneberger, Fischer and Brox, 2015)."""

from __future__ import annotations

import functools

from numseg import checks
from numseg.graph import Builder, Graph, Value
from numseg.nets import blocks
from numseg.ops.center_crop import center_crop
from numseg.ops.concat import concat
from numseg.ops.max_pool2d import max_pool2d
from numseg.ops.relu import relu
from numseg.ops.upsample_bilinear2d import upsample_bilinear2d
from numseg.ops.upsample_nearest2d import upsample_nearest2d


def unet(
    in_channels: int,
    classes: int,
    width: int = 64,
    depth: int = 4,
    padding: str = "valid",
    norm: bool = False,
    up: str = "conv_transpose",
    dropout: float = 0.0,
) -> Graph:
    """U-Net. The defaults are the paper's network: 572 x 572 pixels in, 388 x 388 out.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image and of the output, whose values are logits.
    width : int
        Channels of the first level; each level below has twice those of the one above.
    depth : int
        How many times the image is halved.
    padding : {"valid", "same"}
        The paper's 3 x 3 convolutions have no padding, so each pair takes two pixels off every
        side, and what the decoder takes over is cropped. "same" pads with zeros: the output is as
        large as the input.
    norm : bool
        Batch normalisation between each 3 x 3 convolution, then without a bias, and its relu.
    up : {"conv_transpose", "bilinear", "nearest"}
        How the decoder doubles rows and columns while it halves channels: the paper's 2 x 2
        up-convolution, or a 1 x 1 convolution and interpolation.
    dropout : float
        Probability at the end of the contracting path: after the last two pairs, as the authors'
        published network has it (0.5 there).

    Returns
    -------
    Graph
        With one input ``x`` of shape (N, in_channels, H, W). H and W are of the form
        ``2**depth * k``, or, without padding, ``2**depth * k + 4 * (2**depth - 1)``: every level
        is then even where it is halved. Other sizes are an error that names the nearest.

        Parameters are named ``enc1.conv1.weight`` ..., ``mid.conv1.weight`` ...,
        ``up4.weight``, ``dec4.conv1.weight`` ... down to ``dec1``, and ``head.weight``; the number
        is the level, 1 at full resolution.

    Examples
    --------
    >>> import numseg as ns
    >>> ns.nets.unet(1, 2).shapes((1, 1, 572, 572))["head"]
    (1, 2, 388, 388)
    """
    classes = checks.integer("classes", classes, 1)
    width = checks.integer("width", width, 1)
    depth = checks.integer("depth", depth, 0)
    valid = checks.choice("padding", padding, ("valid", "same")) == "valid"
    checks.choice("up", up, ("conv_transpose", "bilinear", "nearest"))

    net = Graph.build()
    pair = functools.partial(_pair, net, padding=0 if valid else 1, norm=checks.flag("norm", norm))
    widths = [width * 2**level for level in range(depth + 1)]

    # centred: every level is even where it is halved
    x = blocks.image(net, in_channels, centred=True)
    channels, skips = in_channels, []
    for level, filters in enumerate(widths[:-1], 1):
        x = pair(f"enc{level}", x, channels, filters, dropout=dropout if level == depth else 0)
        skips.append(x)
        x = net.add(max_pool2d, x, 2, name=f"pool{level}")
        channels = filters
    x = pair("mid", x, channels, widths[-1], dropout=dropout)
    for level, filters, skip in reversed(
        list(zip(range(1, depth + 1), widths, skips, strict=False))
    ):
        x = _up(net, f"up{level}", x, 2 * filters, filters, up)
        if valid:
            skip = net.add(center_crop, skip, x.size, name=f"crop{level}")
        x = net.add(concat, (skip, x), name=f"concat{level}")
        x = pair(f"dec{level}", x, 2 * filters, filters)
    return net.output(blocks.conv(net, "head", x, width, classes, kernel=1))


def _pair(
    net: Builder,
    name: str,
    x: Value,
    channels: int,
    filters: int,
    padding: int,
    norm: bool,
    dropout: float = 0.0,
) -> Value:
    """Two 3 x 3 convolutions, each followed by relu."""
    for j, c in ((1, channels), (2, filters)):
        x = blocks.conv(net, f"{name}.conv{j}", x, c, filters, 3, padding, bias=not norm)
        if norm:
            x = blocks.normalise(net, f"{name}.norm{j}", x, filters)
        x = net.add(relu, x, name=f"{name}.relu{j}")
    return blocks.dropout(net, f"{name}.dropout", x, dropout)


def _up(net: Builder, name: str, x: Value, channels: int, filters: int, how: str) -> Value:
    """Twice the rows and columns, half the channels."""
    if how == "conv_transpose":
        return blocks.conv_transpose(net, name, x, channels, filters)
    # both steps are linear and act on different axes: the cheap one goes first
    x = blocks.conv(net, name, x, channels, filters, kernel=1)
    upsample = upsample_bilinear2d if how == "bilinear" else upsample_nearest2d
    return net.add(upsample, x, scale_factor=2, name=f"{name}.{how}")
