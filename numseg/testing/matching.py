"""What a function's arguments are in an operator's words."""

from __future__ import annotations

import ast
import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from numseg.errors import ArgumentError
from numseg.names import close_to
from numseg.operator import Operator

SYNONYMS: dict[str, tuple[str, ...]] = {
    "x": (
        "input",
        "X",
        "image",
        "images",
        "features",
        "feature_map",
        "data",
        "logits",
        "inputs",
        "img",
    ),
    "other": ("y",),
    "xs": ("tensors", "arrays", "inputs"),
    "weight": ("weights", "w", "W", "kernel", "filters", "filter", "gamma", "scale"),
    "bias": ("b", "B", "beta", "shift"),
    "boxes": ("rois", "bboxes"),
    "indices": ("switches", "argmax", "mask"),
    "target": ("targets", "labels", "label"),
    "targets": ("target", "labels", "label"),
    "running_mean": ("mean",),
    "running_var": ("var", "variance"),
    "dim": ("axis", "axes"),
    "size": ("output_size",),
    "output_size": ("size",),
    "kernel_size": ("kernel", "ksize", "kernel_shape"),
    "stride": ("strides",),
    "padding": ("pad", "pads"),
    "dilation": ("dilations", "rate"),
    "eps": ("epsilon",),
}
"""What others call our arguments, where they do not use the same name."""


RELATED: dict[str, tuple[str, ...]] = {
    "x": ("feat", "feats", "src", "im"),
    "boxes": ("regions", "proposals"),
    "spatial_scale": ("factor",),
    "sampling_ratio": ("grid", "grid_size", "n_samples"),
    "aligned": ("half_pixel", "offset"),
    "align_corners": ("corners",),
    "scale_factor": ("zoom", "factor", "ratio"),
    "size": ("shape", "out"),
    "output_size": ("shape", "out", "bins"),
    "kernel_size": ("k", "window"),
    "stride": ("s", "step", "steps"),
    "padding": ("p", "border"),
    "dilation": ("d", "hole"),
    "groups": ("g",),
    "bias": ("offset",),
    "ceil_mode": ("round_up",),
    "ignore_index": ("void", "skip"),
    "reduction": ("how", "average"),
}
"""Names that may mean our arguments: proposed, but not taken for granted."""


class Parameter(NamedTuple):
    """A parameter of their function."""

    name: str
    required: bool
    by_place: bool
    """It has no name to pass it by."""


def parameters(function: Callable[..., Any]) -> list[Parameter]:
    """What a function takes: by its signature, or the one that its docstring begins with."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        signature = None
    kinds = inspect.Parameter
    if signature is not None:
        found = [
            Parameter(p.name, p.default is p.empty, p.kind is p.POSITIONAL_ONLY)
            for p in signature.parameters.values()
            if p.kind not in (kinds.VAR_KEYWORD, kinds.VAR_POSITIONAL)
        ]
        if found:
            any_name = [p for p in signature.parameters.values() if p.kind is kinds.VAR_KEYWORD]
            return found + [Parameter(f"**{p.name}", False, False) for p in any_name]
    stated = re.match(r"\s*[\w.]+\((.*?)\)\s*(->|$)", function.__doc__ or "", re.M)
    given_to = re.sub(r"\[.*?\]", "", stated[1]) if stated else ""  # NumPy 1's [, signature]
    try:
        tree = ast.parse(f"def f({given_to}): pass").body[0]
    except SyntaxError:
        return []
    assert isinstance(tree, ast.FunctionDef)
    given = tree.args.posonlyargs + tree.args.args
    first = len(given) - len(tree.args.defaults)
    return [
        Parameter(a.arg, j < first, a in tree.args.posonlyargs) for j, a in enumerate(given)
    ] + [
        Parameter(a.arg, default is None and a.arg != "out", False)  # which nobody must give
        for a, default in zip(tree.args.kwonlyargs, tree.args.kw_defaults, strict=True)
    ]


def matched(
    theirs: list[Parameter],
    op: Operator[..., Any],
    names: Mapping[str, str],
    constants: Mapping[str, Any],
    adapted: bool,
) -> dict[str, str]:
    """Our arguments' names to theirs: as told, the same, a synonym, or the same place."""
    ours = list(op.__signature__.parameters)
    known = {p.name: p for p in theirs}
    if not adapted:
        _check("map", [n for n in names.values() if n], known)
        _check("set", constants, known)
    for name in names:
        if name not in ours:
            hint = close_to(name, ours)
            raise ArgumentError(f"map: {op.__name__} has no argument {name!r}{hint}")
    told = [other for other in (*names.values(), *constants) if other]
    for other in told:
        if told.count(other) > 1:
            raise ArgumentError(f"map: the function's {other!r} is given twice")
    takes = {name: other for name, other in names.items() if other}
    free = [n for n in known if n not in takes.values() and n not in constants]
    left = [name for name in ours if name not in names]
    for name in [n for n in left if n in free]:
        takes[name] = name
    for name in left:
        close = [s for s in SYNONYMS.get(name, ()) if s in free and s not in takes.values()]
        if name not in takes and close:
            takes[name] = close[0]
    places = [n for n in free if n not in takes.values() and known[n].required]
    missing = [n for n in left if n not in takes and n not in op.parameters.defaults]
    takes |= dict(zip(missing, places, strict=False))
    missing, places = missing[len(places) :], places[len(missing) :]
    if missing:
        raise ArgumentError(
            f"the function takes no {' and no '.join(missing)}, which {op.__name__} needs:"
            f" it takes {', '.join(known) or 'nothing that is known'}; map the names"
        )
    if places:
        raise ArgumentError(
            f"{op.__name__} has nothing for the function's {' and '.join(places)}: "
            "give a constant, or map the names"
        )
    return {name: takes[name] for name in ours if name in takes}


def _check(option: str, given: Iterable[str], known: Mapping[str, Parameter]) -> None:
    for name in given:
        if name not in known and not any(n.startswith("**") for n in known):
            raise ArgumentError(
                f"{option}: the function has no argument {name!r}, it has {', '.join(known)}"
                f"{close_to(name, known)}"
            )


def proposal(other: str, op: Operator[..., Any], takes: Mapping[str, str]) -> str:
    """Which argument of ours, of those that they do not get, theirs may be; "" if none is near."""
    left = [n for n in op.__signature__.parameters if n not in takes]
    scores = {name: _nearness(name, other) for name in left}
    best = max(left, key=lambda n: scores[n], default="")
    return best if best and scores[best] >= 0.55 else ""


def _nearness(ours: str, other: str) -> float:
    """How alike two names are: 1 for a synonym, or a word that both have or begin with."""
    if other.lower() in (s.lower() for s in (*SYNONYMS.get(ours, ()), *RELATED.get(ours, ()))):
        return 1.0
    mine, theirs = _words(ours), _words(other)
    for a in mine:
        for b in theirs:
            least = max(4, min(len(a), len(b)) - 2)
            if a == b or (len(b) >= least and a.startswith(b[:least])):
                return 0.8 + 0.1 * difflib.SequenceMatcher(None, ours, other).ratio()
    return difflib.SequenceMatcher(None, ours, other.lower()).ratio()


def _words(name: str) -> list[str]:
    """Of a name in snake_case or camelCase."""
    return [w for w in re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_") if w]
