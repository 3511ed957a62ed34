"""Networks: an immutable graph of operators, its parameters, gradients, shapes and cost."""

from __future__ import annotations

from numseg.graph.choose import Deviation
from numseg.graph.digest import digest
from numseg.graph.execute import Tape
from numseg.graph.graph import Builder, Graph
from numseg.graph.init import (
    bilinear,
    bilinear_filter,
    bilinear_weights,
    constant,
    he_normal,
    he_uniform,
    initialiser,
    normal,
    ones,
    torch_uniform,
    xavier_normal,
    xavier_uniform,
    zeros,
)
from numseg.graph.node import (
    Derived,
    Entry,
    Init,
    Input,
    Late,
    Measured,
    Node,
    Param,
    SizeOf,
    Value,
)
from numseg.graph.planning import image_channels
from numseg.graph.receptive import Field
from numseg.graph.sizes import Axis, Sizes
from numseg.graph.summary import Extent, Extents, Row, Summary

__all__ = [
    "Axis",
    "Builder",
    "Derived",
    "Deviation",
    "Entry",
    "Extent",
    "Extents",
    "Field",
    "Graph",
    "Init",
    "Input",
    "Late",
    "Measured",
    "Node",
    "Param",
    "Row",
    "SizeOf",
    "Sizes",
    "Summary",
    "Tape",
    "Value",
    "bilinear",
    "bilinear_filter",
    "bilinear_weights",
    "constant",
    "digest",
    "he_normal",
    "he_uniform",
    "image_channels",
    "initialiser",
    "normal",
    "ones",
    "torch_uniform",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]
