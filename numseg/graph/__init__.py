"""Networks: an immutable graph of operators, its parameters, gradients, shapes and cost."""

from __future__ import annotations

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
from numseg.graph.node import Entry, Init, Input, Late, Node, Param, SizeOf, Value
from numseg.graph.receptive import Field
from numseg.graph.summary import Row, Summary

__all__ = [
    "Builder",
    "Entry",
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
    "constant",
    "digest",
    "he_normal",
    "he_uniform",
    "initialiser",
    "normal",
    "ones",
    "torch_uniform",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]
