"""Networks: an immutable graph of operators, its parameters, gradients, shapes and cost."""

from __future__ import annotations

from numseg.graph.execute import Tape
from numseg.graph.graph import Builder, Graph
from numseg.graph.init import (
    bilinear,
    bilinear_filter,
    bilinear_weights,
    he_normal,
    ones,
    zeros,
)
from numseg.graph.node import Init, Input, Late, Node, Param, SizeOf, Value
from numseg.graph.receptive import Field
from numseg.graph.summary import Row, Summary

__all__ = [
    "Builder",
    "Field",
    "Graph",
    "Init",
    "Input",
    "Late",
    "Node",
    "Param",
    "Row",
    "SizeOf",
    "Summary",
    "Tape",
    "Value",
    "bilinear",
    "bilinear_filter",
    "bilinear_weights",
    "he_normal",
    "ones",
    "zeros",
]
