"""What numseg's operators are called in PyTorch, as far as networks are made of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from numseg.geometry import pads
from numseg.operator import Operator
from numseg.typing import Pair

Arguments = Mapping[str, Any]
"""All arguments of an operator by name; arrays are tensors."""


def counterpart(operator: Operator[..., Any]) -> Callable[[Any, Arguments], Any] | None:
    """A function of the module ``torch`` and of the arguments that are given; None where PyTorch
    has no such operator, or none is stated here."""
    function = _COUNTERPARTS.get(operator.__name__)
    if function is None:
        return None
    usual = defaults(operator)
    return lambda torch, arguments: function(torch, {**usual, **arguments})


def defaults(operator: Operator[..., Any]) -> dict[str, Any]:
    """What arguments are where nothing is said."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(operator).parameters.items()
        if parameter.default is not parameter.empty
    }


def agree(row: str, calls: Mapping[str, Callable[[], Any]]) -> None:
    """An error where PyTorch's results are others: a fast wrong answer would be worth nothing."""
    for got, want in zip(calls["torch"](), calls["numseg"](), strict=True):
        scale = max(float(np.abs(want).max()), 1e-30)
        got = np.asarray(got.detach()).reshape(want.shape)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * scale, err_msg=row)


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _padded(torch: Any, a: Arguments, kernel: Any, fill: float) -> tuple[Any, tuple[int, int]]:
    """x, and how it is padded: PyTorch pads both ends alike, so that others are padded before."""
    size, dilation = (a["x"].shape[2], a["x"].shape[3]), _pair(a["dilation"])
    stride = _pair(kernel if a["stride"] is None else a["stride"])
    top, bottom, left, right = pads(a["padding"], size, _pair(kernel), stride, dilation)
    if top == bottom and left == right:
        return a["x"], (top, left)
    x = torch.nn.functional.pad(a["x"], (left, right, top, bottom), value=fill)
    return x, (0, 0)


def _conv2d(torch: Any, a: Arguments) -> Any:
    x, padding = _padded(torch, a, tuple(a["weight"].shape[2:]), 0.0)
    return torch.nn.functional.conv2d(
        x, a["weight"], a["bias"], a["stride"], padding, a["dilation"], a["groups"]
    )


def _conv_transpose2d(torch: Any, a: Arguments) -> Any:
    return torch.nn.functional.conv_transpose2d(
        a["x"], a["weight"], a["bias"], a["stride"], a["padding"], a["output_padding"],
        a["groups"], a["dilation"],
    )  # fmt: skip


def _max_pool2d(torch: Any, a: Arguments) -> Any:
    x, padding = _padded(torch, a, a["kernel_size"], -float("inf"))
    return torch.nn.functional.max_pool2d(
        x, a["kernel_size"], a["stride"], padding, a["dilation"], a["ceil_mode"],
        a["return_indices"],
    )  # fmt: skip


def _avg_pool2d(torch: Any, a: Arguments) -> Any:
    return torch.nn.functional.avg_pool2d(
        a["x"], a["kernel_size"], a["stride"], a["padding"], a["ceil_mode"],
        a["count_include_pad"], a["divisor_override"],
    )  # fmt: skip


def _batch_norm(torch: Any, a: Arguments) -> Any:
    return torch.nn.functional.batch_norm(
        a["x"], a["running_mean"], a["running_var"], a["weight"], a["bias"], a["training"],
        a["momentum"], a["eps"],
    )  # fmt: skip


def _bilinear(torch: Any, a: Arguments) -> Any:
    return torch.nn.functional.interpolate(
        a["x"], a["size"], a["scale_factor"], "bilinear", a["align_corners"]
    )


def _crop(torch: Any, a: Arguments) -> Any:
    (top, left), (rows, columns) = _pair(a["offset"]), _pair(a["size"])
    return a["x"][:, :, top : top + rows, left : left + columns]


def _center_crop(torch: Any, a: Arguments) -> Any:
    rows, columns = _pair(a["output_size"])
    top, left = (a["x"].shape[2] - rows) // 2, (a["x"].shape[3] - columns) // 2
    return a["x"][:, :, top : top + rows, left : left + columns]


_COUNTERPARTS: dict[str, Callable[[Any, Arguments], Any]] = {
    "adaptive_avg_pool2d": lambda t, a: t.nn.functional.adaptive_avg_pool2d(
        a["x"], a["output_size"]
    ),
    "add": lambda t, a: a["x"] + a["other"],
    "avg_pool2d": _avg_pool2d,
    "batch_norm": _batch_norm,
    "center_crop": _center_crop,
    "clip": lambda t, a: t.clamp(a["x"], a["min"], a["max"]),
    "concat": lambda t, a: t.cat(a["xs"], a["dim"]),
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "crop": _crop,
    "flatten": lambda t, a: t.flatten(a["x"], a["start_dim"], a["end_dim"]),
    "global_avg_pool2d": lambda t, a: a["x"].mean((2, 3), keepdim=True),
    "hard_sigmoid": lambda t, a: t.nn.functional.hardsigmoid(a["x"]),
    "hard_swish": lambda t, a: t.nn.functional.hardswish(a["x"]),
    "linear": lambda t, a: t.nn.functional.linear(a["x"], a["weight"], a["bias"]),
    "max_pool2d": _max_pool2d,
    "multiply": lambda t, a: a["x"] * a["other"],
    "relu": lambda t, a: t.relu(a["x"]),
    "sigmoid": lambda t, a: t.sigmoid(a["x"]),
    "silu": lambda t, a: t.nn.functional.silu(a["x"]),
    "softmax": lambda t, a: t.softmax(a["x"], a["dim"]),
    "upsample_bilinear2d": _bilinear,
    "upsample_nearest2d": lambda t, a: t.nn.functional.interpolate(
        a["x"], a["size"], a["scale_factor"]
    ),
}
