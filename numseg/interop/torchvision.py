"""torchvision's networks with torchvision's weights, and back; without torchvision.

The parameters of these graphs of :mod:`numseg.nets` are named as torchvision 0.28 names them, so a
state dict needs no table: what differs is only what a file may have and a graph has no use for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from numseg import checks, nets
from numseg.graph import Graph
from numseg.interop import weights
from numseg.nets import inputs
from numseg.typing import Array, ArrayLike

NETWORKS = (
    "alexnet", "deeplabv3_mobilenet_v3_large", "deeplabv3_resnet101", "deeplabv3_resnet50",
    "densenet121", "efficientnet_b0", "fcn_resnet101", "fcn_resnet50", "googlenet",
    "lraspp_mobilenet_v3_large", "mobilenet_v2", "mobilenet_v3_large", "resnet101", "resnet18",
    "resnet34", "resnet50", "vgg16", "vgg16_bn",
)  # fmt: skip

MEAN, STD, _ = inputs.NORMALISATIONS["imagenet"]
"""Of ImageNet's red, green and blue, in [0, 1]."""

AUXILIARY = ("aux_classifier.*", "aux1.*", "aux2.*")
"""The heads that help to train, which a graph for inference has not."""


def load(
    name: str,
    path: str | os.PathLike[str],
    *,
    key: str | None = None,
    drop: Iterable[str] = AUXILIARY,
    **arguments: Any,
) -> tuple[Graph, dict[str, Array]]:
    """A network of torchvision's, and the parameters that a file has for it.

    Parameters
    ----------
    name : str
        torchvision's name of a model, which is that of a function of :mod:`numseg.nets`:
        ``"deeplabv3_resnet50"``.
    path
        A state dict of that model, in any format of :func:`numseg.interop.weights.load`.
    key : str, optional
        Where in the file it is, if the file has several: ``"model_ema"``.
    drop : patterns
        What the file may have though the graph has not: by default auxiliary heads, which are in
        torchvision's published files. ``()`` makes them an error. What the graph has is never
        dropped: with ``aux=True`` the auxiliary head's parameters are the file's.
    **arguments
        Of the function: ``classes=2``, ``aux=True``.

    Returns
    -------
    graph : Graph
    params : dict of str to array

    Raises
    ------
    FileError
        If the file cannot be read.
    MismatchError
        If it is of another network; with all names that differ.

    Notes
    -----
    Graphs take what torchvision's models take: pictures whose colours are normalised.
    :func:`normalised` makes one that takes them as they are.
    """
    graph: Graph = getattr(nets, checks.choice("name", name, NETWORKS))(**arguments)
    return graph, match(graph, weights.load(path, key), drop)


def match(
    graph: weights.Parametric, arrays: Mapping[str, Array], drop: Iterable[str] = AUXILIARY
) -> dict[str, Array]:
    """:func:`numseg.interop.weights.match` for torchvision's arrays: what ``drop`` names goes
    where the graph has it not, and stays where it has. Published files of DenseNet and of detectors
    have the names of an older torchvision, ``denselayer1.norm.1.weight``, ``rpn.head.conv.weight``,
    which are read as today's."""
    known, patterns = {param.name for param in graph.params}, tuple(drop)
    renamed = {name: _today(name) for name in arrays}
    kept = {
        name: array
        for name, array in arrays.items()
        if renamed[name] in known or not weights.matches(patterns, name)
    }
    return weights.match(graph, kept, rename=renamed)


_OLDER: tuple[tuple[re.Pattern[str], Any], ...] = (
    (re.compile(r"(\.denselayer\d+\.(?:norm|conv))\.([12]\.)"), r"\1\2"),
    (re.compile(r"^(rpn\.head\.conv)\.(weight|bias)$"), r"\1.0.0.\2"),
    (re.compile(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$"), r"\1.0.\2"),
    (
        re.compile(r"^(roi_heads\.mask_head)\.mask_fcn(\d+)\.(weight|bias)$"),
        lambda found: f"{found[1]}.{int(found[2]) - 1}.0.{found[3]}",
    ),
)
"""Names in files, and what torchvision calls the same today."""


def _today(name: str) -> str:
    for pattern, instead in _OLDER:
        name = pattern.sub(instead, name)
    return name


def state_dict(graph: weights.Parametric, params: Mapping[str, ArrayLike]) -> dict[str, Any]:
    """What ``load_state_dict(strict=True)`` of the same model takes, once arrays are tensors.

    These are the parameters and, beside each ``running_var``, the ``num_batches_tracked`` that
    PyTorch's batch norms have: 0, an int64, for numseg does not count batches. PyTorch reads it
    only where ``momentum=None``. ``weights.save("model.pth", state_dict(graph, params))`` writes a
    file that ``torch.load`` reads.

    Raises
    ------
    MismatchError
        If the parameters are not the graph's.
    """
    graph.check(params)
    found: dict[str, Any] = {}
    for param in graph.params:
        found[param.name] = params[param.name]
        if param.name.endswith("running_var"):
            counter = f"{param.name.removesuffix('running_var')}num_batches_tracked"
            found[counter] = np.zeros((), np.int64)
    return found


def normalised(graph: Graph, params: Mapping[str, ArrayLike]) -> tuple[Graph, dict[str, Any]]:
    """The same network for pictures whose colours are red, green and blue in [0, 1], as
    :func:`numseg.training.predict` gives them.

    A first node takes off the means of ImageNet's colours and divides by their deviations
    (:func:`numseg.nets.inputs.normalised`). It rounds otherwise than torchvision's
    ``Normalize``, by 1e-6 at most.
    """
    graph.check(params)
    whole = inputs.normalised(graph, "imagenet")
    dtype, rng = next(iter(params.values())).dtype, np.random.default_rng()  # which nothing reads
    new = [param for param in whole.params if param.name not in params]
    constants = {p.name: np.asarray(p.init(p.shape, rng), dtype) for p in new}
    return whole, {**constants, **params}
