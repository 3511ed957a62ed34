"""The pictures of the docs: one function each. ``python docs/figures.py [name ...]`` redraws them.

A figure is a function decorated ``@figure`` that draws and returns a matplotlib figure; it is saved
as ``docs/images/<name>.svg``. The same matplotlib writes the same bytes every time, so a picture
that did not change is not a change. Figures of a trained network need its weights in the folder
``$NUMSEG_MODELS`` (docs/weights.md says where they come from).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import numseg as ns
from numseg.geometry import adaptive_bins, caffe_bins
from numseg.ops.conv_transpose2d import overlap
from numseg.ops.gaussian_filter import reference

IMAGES = Path(__file__).parent / "images"
STYLE = {
    "svg.hashsalt": "numseg",  # ids of clip paths, random otherwise
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
FIGURES: dict[str, Callable[[], Figure]] = {}
TRAINED = {"pnet": "pnet.pt"}
"""The files of weights that figures need."""


def figure(draw: Callable[[], Figure]) -> Callable[[], Figure]:
    """Register a picture under the function's name."""
    FIGURES[draw.__name__] = draw
    return draw


def save(name: str, folder: Path = IMAGES) -> Path:
    """Draw one picture."""
    path = folder / f"{name}.svg"
    with mpl.rc_context({**mpl.rcParamsDefault, "backend": "svg", **STYLE}):
        FIGURES[name]().savefig(path, metadata={"Date": None, "Creator": None})
    return path


def weights_of(name: str) -> Path | None:
    """The file that a figure needs, if it is there."""
    path = Path(os.environ.get("NUMSEG_MODELS", "")) / TRAINED[name]
    return path if path.is_file() else None


def cells(axes: Any, values: np.ndarray, title: str = "", cmap: str = "RdBu_r") -> None:
    """A matrix as a grid of coloured cells with their numbers; a zero stays empty."""
    largest = max(float(np.abs(values).max(initial=0)), 1e-9)
    rows, columns = values.shape
    axes.imshow(values, cmap=cmap, vmin=-1.6 * largest, vmax=1.6 * largest)
    axes.set_xticks(np.arange(columns + 1) - 0.5, [])
    axes.set_yticks(np.arange(rows + 1) - 0.5, [])
    axes.grid(color="0.75", linewidth=0.6)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set(visible=True, color="0.5")
    for (p, q), value in np.ndenumerate(values):
        if value:
            axes.text(q, p, f"{value:g}", ha="center", va="center", fontsize=8)
    axes.set_title(title, fontsize=9)


@figure
def conv2d_matrix() -> Figure:
    """A 3 x 3 kernel on a 4 x 4 image: the matrix, and its transpose."""
    w = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    m = ns.conv2d.matrix((1, 1, 4, 4), w).toarray()
    page = Figure(figsize=(8.4, 4.6), layout="constrained")
    kernel, forward, transpose = page.subplots(1, 3, gridspec_kw={"width_ratios": [3, 16, 4]})
    cells(kernel, w[0, 0], "w")
    cells(forward, m, "M: a row for each of the 2 x 2 outputs, a column for each of 4 x 4 pixels")
    cells(transpose, m.T, "M.T")
    for k in (4, 8, 12):  # the rows of the image
        forward.axvline(k - 0.5, color="0.2", linewidth=1)
        transpose.axhline(k - 0.5, color="0.2", linewidth=1)
    forward.axhline(1.5, color="0.2", linewidth=1)
    transpose.axvline(1.5, color="0.2", linewidth=1)
    return page


ACTIVATIONS = (
    (ns.relu, ns.leaky_relu, ns.silu, ns.hard_swish, ns.sigmoid, ns.hard_sigmoid),
    (ns.elu, ns.selu, ns.softplus, ns.gelu, ns.mish, ns.tanh),
)


@figure
def activations() -> Figure:
    """Activations, and their derivatives as backward gives them."""
    x = np.linspace(-5, 5, 1001)
    page = Figure(figsize=(8.4, 6.8), layout="constrained")
    for (value, slope), drawn in zip(page.subplots(2, 2), ACTIVATIONS, strict=True):
        for op, style in zip(drawn, ("-", "--", "-", "--", "-", "--"), strict=True):
            how = {"negative_slope": 0.1} if op is ns.leaky_relu else {}
            y, saved = op.forward(x, **how)
            label = op.__name__ + (", slope 0.1" if how else "")
            value.plot(x, y, style, linewidth=1.4, label=label)
            slope.plot(x, op.backward(saved, np.ones_like(x))[0], style, linewidth=1.4)
        value.set_ylim(-1.9 if ns.selu in drawn else -0.6, 3)
        value.set_title("y", fontsize=9)
        slope.set_title("the derivative; jumps are drawn as steep lines", fontsize=9)
        value.legend(frameon=False, fontsize=8)
        for axes in (value, slope):
            axes.axhline(0, color="0.8", linewidth=0.6)
            axes.axvline(0, color="0.8", linewidth=0.6)
    return page


@figure
def box_iou_losses() -> Figure:
    """A box of another shape that slides past a square: the losses, and their slopes."""
    place = np.linspace(-6, 6, 481)
    slid = place[:, None] * [1, 0, 1, 0] + [-1.5, -0.75, 1.5, 0.75]
    square = np.tile([-1.0, -1, 1, 1], (len(place), 1))
    page = Figure(figsize=(8.4, 2.8), layout="constrained")
    value, slope = page.subplots(1, 2)
    plain = 1 - ns.boxes.iou(slid, square[:1])[:, 0]
    value.plot(place, plain, ":", color="0.3", linewidth=1.4, label="1 - IoU")
    for name, style in (("generalized", "-"), ("distance", "--"), ("complete", "-.")):
        y, saved = getattr(ns, f"{name}_box_iou_loss").forward(slid, square)
        gradient, _ = getattr(ns, f"{name}_box_iou_loss").backward(saved, np.ones_like(y))
        value.plot(place, y, style, linewidth=1.4, label=name)
        slope.plot(place, gradient[:, ::2].sum(1), style, linewidth=1.4)
    for axes in (value, slope):
        axes.axhline(0, color="0.8", linewidth=0.6)
        axes.set_xlabel("from center to center, along x")
    value.set_title("the loss", fontsize=9)
    slope.set_title("its derivative along x", fontsize=9)
    value.legend(frameon=False, fontsize=7)
    return page


@figure
def deform_conv2d() -> Figure:
    """The taps of a 3 x 3 kernel and their offsets; a sample by its place, by each boundary."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    rng = np.random.default_rng(2)
    rows, columns = np.mgrid[1:4, 1:4]
    down, across = rng.uniform(-0.9, 0.9, (2, 3, 3))
    left.set(xlim=(-0.6, 4.6), ylim=(4.6, -0.6), xticks=range(5), yticks=range(5), aspect="equal")
    left.set_xlabel("column")
    left.set_ylabel("row")
    left.grid(color="0.85", linewidth=0.6)
    left.set_axisbelow(True)
    arrows = {"color": "0.55", "angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.005}
    left.quiver(columns, rows, across, down, **arrows)
    left.scatter(columns, rows, s=22, color="0.3", label="tap")
    left.scatter(columns + across, rows + down, s=30, color="C3", label="sample")
    left.legend(ncols=2, loc="upper center", frameon=False, bbox_to_anchor=(0.5, 1.16))

    pixels = np.array([2.0, 3.0, 1.0])
    place = np.linspace(-1.6, 3.6, 521)
    x = np.broadcast_to(pixels, (len(place), 1, 1, 3))
    offset = np.stack([np.zeros_like(place), place], 1)[..., None, None]
    for boundary, style in (("torchvision", "-"), ("mxnet", "--")):
        y = ns.deform_conv2d(x, offset, np.ones((1, 1, 1, 1)), stride=3, boundary=boundary).ravel()
        y[1:][np.abs(np.diff(y)) > 0.5] = np.nan  # no line where it jumps
        label = '"torchvision", "mmcv"' if boundary == "torchvision" else f'"{boundary}"'
        right.plot(place, y, style, label=label)
    right.scatter(range(3), pixels, s=25, color="0.3", zorder=3)
    right.set(xticks=range(-1, 4), yticks=range(4), xlabel="place on a row of 3 pixels")
    right.set_ylabel("sample")
    right.legend(frameon=False, loc="upper right")
    return figure


@figure
def roi_align_samples() -> Figure:
    """A box on a 6 x 8 image: bins, samples, and the four pixels that one sample reads."""
    page = Figure(figsize=(8.4, 3.4), layout="constrained")
    box = np.array([1.2, 0.7, 6.8, 4.3])
    for axes, aligned in zip(page.subplots(1, 2), (True, False), strict=True):
        x1, y1, x2, y2 = box - 0.5 * aligned  # in centers of pixels, as places are
        rows, columns = np.mgrid[0:6, 0:8]
        axes.plot(columns.ravel(), rows.ravel(), "s", color="0.8", markersize=5)
        for share in np.linspace(0, 1, 3):
            axes.plot([x1 + share * (x2 - x1)] * 2, [y1, y2], color="C0", linewidth=1.2)
            axes.plot([x1, x2], [y1 + share * (y2 - y1)] * 2, color="C0", linewidth=1.2)
        places = (np.arange(4) + 0.5) / 4  # two samples in each of two bins
        down, right = np.meshgrid(y1 + places * (y2 - y1), x1 + places * (x2 - x1), indexing="ij")
        axes.plot(right.ravel(), down.ravel(), "o", color="C3", markersize=4)
        r, c = down[1, 2], right[1, 2]
        for row in (int(r), int(r) + 1):
            for column in (int(c), int(c) + 1):
                weight = (1 - abs(r - row)) * (1 - abs(c - column))
                axes.plot([c, column], [r, row], color="C3", linewidth=0.8)
                axes.text(column + 0.1, row - 0.1, f"{weight:.2f}", fontsize=7)
        axes.set(xlim=(-0.7, 7.7), ylim=(5.5, -0.7), aspect="equal", xlabel="column", ylabel="row")
        axes.set_title(f"aligned={aligned}: the box begins at ({x1:g}, {y1:g})", fontsize=9)
    return page


@figure
def transposed_overlap() -> Figure:
    """The count maps of two transposed convolutions, and the patterns they leave."""
    page = Figure(figsize=(8.4, 3.0), layout="constrained")
    axes = page.subplots(1, 3)
    for ax, (k, s) in zip(axes, [(3, 2), (4, 2), (5, 3)], strict=True):
        counts = overlap((1, 1, 4, 4), (1, 1, k, k), stride=s)
        ends = "no pattern inside" if k % s == 0 else "a checkerboard"
        cells(ax, counts.astype(float), f"kernel {k}, stride {s}: {ends}")
    return page


@figure
def resize_coordinates() -> Figure:
    """Where seven output pixels lie on an image of three, by each rule."""
    from numseg.geometry import COORDINATES, line

    page = Figure(figsize=(7.2, 2.8), layout="constrained")
    ax = page.subplots()
    for row, name in enumerate(COORDINATES):
        (u, v, numerator, denominator), _ = line(3, 7, 0.0, name)
        at = (np.arange(7) + u / 2) * numerator / denominator + v / 2
        ax.plot(at, np.full(7, row), "o-", markersize=4, linewidth=0.7, color="0.3")
    for pixel in range(3):
        ax.axvspan(pixel - 0.48, pixel + 0.48, color="C0", alpha=0.15, linewidth=0)
        ax.axvline(pixel, color="C0", linewidth=0.7)
    ax.set_yticks(range(len(COORDINATES)), COORDINATES)
    ax.invert_yaxis()
    ax.set_xticks(range(3), [f"pixel {pixel}" for pixel in range(3)])
    ax.set_title("7 output pixels on 3 input pixels", fontsize=9)
    return page


@figure
def switches() -> Figure:
    """An overlapping max pooling, its switches, unpooling by them, and the gradient."""
    x = np.array([[1.0, 2, 1, 3, 2], [2, 4, 9, 1, 1], [3, 1, 2, 2, 5], [1, 2, 3, 1, 7],
                  [6, 1, 2, 4, 3]])  # fmt: skip
    y, saved = ns.max_pool2d.forward(x.reshape(1, 1, 5, 5), 3, 2)
    back = ns.max_unpool2d(y, saved.indices, 3, 2)
    gradient = ns.max_pool2d.backward(saved, np.ones_like(y))[0]
    page = Figure(figsize=(8.4, 2.5), layout="constrained")
    image, pooled, unpooled, share = page.subplots(1, 4, width_ratios=(5, 3, 5, 5))
    cells(image, x, "x, and the winners")
    for switch in saved.indices.ravel().tolist():
        row, column = divmod(switch, 5)
        image.plot(column, row, "o", markersize=17, markerfacecolor="none", color="C3")
    cells(pooled, y[0, 0], "3 x 3, stride 2")
    for (p, q), switch in np.ndenumerate(saved.indices[0, 0]):
        pooled.text(q, p + 0.38, f"at {switch}", ha="center", va="center", fontsize=6)
    cells(unpooled, back[0, 0], "max_unpool2d")
    cells(share, gradient[0, 0], "backward of ones: overlaps add up")
    return page


@figure
def bins() -> Figure:
    """Seven pixels in three and in four bins, by both rules of the spatial pyramid."""
    page = Figure(figsize=(8.4, 2.2), layout="constrained")
    rules = {"adaptive": adaptive_bins, "caffe": caffe_bins}
    cases = [(rule, n) for n in (3, 4) for rule in rules]
    for axes, (rule, n) in zip(page.subplots(1, 4), cases, strict=True):
        for row, (start, end, count) in enumerate(rules[rule](7, n)):
            axes.broken_barh([(start, end - start)], (row + 0.15, 0.7), color=f"C{row}", alpha=0.6)
            axes.text((start + end) / 2, row + 0.5, f"/ {count}", ha="center", va="center")
        axes.set_title(f'"{rule}", {n} bins', fontsize=9)
        axes.set(xlim=(0, 7), ylim=(4, 0), xticks=range(8), yticks=[], xlabel="pixels")
        axes.grid(axis="x", color="0.85", linewidth=0.6)
        axes.set_axisbelow(True)
    return page


@figure
def tile() -> Figure:
    """The micro-kernel's tile of 8 x 3 vectors: what a step loads, and what stays in registers."""
    page = Figure(figsize=(8.4, 3.9), layout="constrained")
    axes = page.subplots()
    loaded, held = {"facecolor": "#cfe2f3", "edgecolor": "0.4"}, {"facecolor": "#fde5cd"}
    for v in range(3):
        _lanes(axes, 3 + 3 * v, -1.6, **loaded)
        axes.text(4.3 + 3 * v, -1.95, f"x[x_vectors[{v}] + steps[k, 1]]", ha="center", fontsize=8)
    for r in range(8):
        axes.add_patch(Rectangle((1.9, r), 0.65, 0.7, **loaded))
        axes.text(1.7, r + 0.35, f"a[a_rows[{r}] + steps[k, 0]]", ha="right", va="center")
        for v in range(3):
            _lanes(axes, 3 + 3 * v, r, edgecolor="0.4", **held)
            axes.text(4.3 + 3 * v, r + 0.36, f"sum {r},{v}", ha="center", va="center", fontsize=8)
    axes.text(2.2, 8.4, "one number,\nto all lanes", ha="center", va="top", fontsize=8)
    axes.text(7.3, 8.4, "24 sums stay in registers; each step adds a * x to every one",
              ha="center", va="top")  # fmt: skip
    axes.set(xlim=(-1.4, 12), ylim=(9.3, -2.4), aspect="auto")
    axes.set_axis_off()
    return page


def _lanes(axes: Any, left: float, top: float, **style: Any) -> None:
    """A register: a box with lines between its lanes."""
    axes.add_patch(Rectangle((left, top), 2.6, 0.7, **style))
    for lane in range(1, 16):
        axes.plot([left + lane * 2.6 / 16] * 2, [top, top + 0.12], color="0.6", linewidth=0.5)


@figure
def tap_offsets() -> Figure:
    """A padded image of 8 x 8 with the places of its numbers, an output and its nine taps."""
    page = Figure(figsize=(4.6, 4.4), layout="constrained")
    axes = page.subplots()
    place = 3 * 10 + 4
    for row, column in np.ndindex(10, 10):
        inside = 0 < row < 9 and 0 < column < 9
        at, tap = 10 * row + column, 0 <= row - 3 < 3 and 0 <= column - 4 < 3
        color = "#fde5cd" if tap else ("#cfe2f3" if inside else "0.93")
        axes.add_patch(Rectangle((column, row), 1, 1, facecolor=color, edgecolor="0.7"))
        text = f"+{at - place}" if tap else f"{at}"
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center",
                  fontsize=9 if tap else 7, color="0.1" if tap else "0.55")  # fmt: skip
    axes.add_patch(Rectangle((4, 3), 1, 1, facecolor="none", edgecolor="C3", linewidth=1.6))
    axes.set(xlim=(-0.1, 10.1), ylim=(10.1, -0.1), aspect="equal")
    axes.set_title("the output at place 34 = 3 * 10 + 4, and its taps", fontsize=9)
    axes.set_axis_off()
    return page


@figure
def phases() -> Figure:
    """A row of stride 2 in its phases, and rows of dilation 2 in their residue classes."""
    page = Figure(figsize=(8.4, 3.6), layout="constrained")
    left, right = page.subplots(1, 2, width_ratios=(3, 2))
    padded = [0, *range(1, 12), 0, 0]
    for at, pixel in enumerate(padded):
        _cell(left, at, 0, pixel, at % 2)
        _cell(left, at // 2 + 7 * (at % 2), 3, pixel, at % 2)
    for tap, offset in enumerate((0, 7, 1)):
        left.plot([offset + 0.5, offset + 5.5], [4.5 + tap / 2] * 2, color=f"C{tap}", linewidth=3)
        left.text(14.3, 4.5 + tap / 2, f"tap {tap}: + {offset}", va="center", fontsize=8)
    left.text(0, -0.3, "a padded row", fontsize=9)
    left.text(0, 2.7, "the scratch: the even phase, then the odd; below, what six outputs read",
              fontsize=9)  # fmt: skip
    left.set(xlim=(-0.2, 18), ylim=(6.6, -1))
    for row in range(8):
        _cell(right, 0, row, f"row {row}", row % 2, 3)
        _cell(right, 6, row // 2 + 4 * (row % 2), f"row {row}", row % 2, 3)
        ends = row + 0.5, row // 2 + 4 * (row % 2) + 0.5
        right.plot([3.2, 5.8], ends, color="0.6", linewidth=0.8)
    right.text(0, -0.3, "dilation 2", fontsize=9)
    right.text(6, -0.3, "two classes", fontsize=9)
    right.set(xlim=(-0.2, 9.2), ylim=(8.3, -1))
    for axes in (left, right):
        axes.set_axis_off()
    return page


def _cell(axes: Any, column: float, row: float, text: Any, kind: int, width: float = 1) -> None:
    color = ("#cfe2f3", "#fde5cd")[kind]
    axes.add_patch(Rectangle((column, row), width, 1, facecolor=color, edgecolor="0.5"))
    axes.text(column + width / 2, row + 0.5, f"{text}", ha="center", va="center", fontsize=8)


@figure
def pnet() -> Figure:
    """A picture of 76 x 76 pixels, P-Net's heat map on it, and the window that is most a face."""
    from skimage.data import astronaut

    from numseg.interop import weights

    path = weights_of("pnet")
    if path is None:
        raise FileNotFoundError(f"{TRAINED['pnet']} is not in $NUMSEG_MODELS")
    net = ns.nets.pnet()
    picture = ns.adaptive_avg_pool2d(astronaut().transpose(2, 0, 1)[None].astype(np.float32), 76)
    probability, _ = net.run(weights.match(net, weights.load(path)), (picture - 127.5) / 128)
    face = probability[0, 1]
    row, column = (int(place) for place in np.unravel_index(face.argmax(), face.shape))
    page = Figure(figsize=(8.4, 4.2), layout="constrained")
    left, right = page.subplots(1, 2)
    shown = np.rint(picture[0].transpose(1, 2, 0)).astype(np.uint8)
    left.imshow(shown)
    left.set_title("76 x 76 pixels, and the 12 x 12 that are most a face", fontsize=9)
    right.imshow(shown.mean(2), cmap="gray", vmax=510)
    rows, columns = face.shape  # each value is drawn on the middle 2 x 2 pixels of its window
    extent = (4.5, 4.5 + 2 * columns, 4.5 + 2 * rows, 4.5)
    heat = right.imshow(face, cmap="inferno", alpha=0.75, extent=extent, vmin=0, vmax=1)
    right.set_title(f"{rows} x {columns} probabilities; the highest {face.max():.4f}", fontsize=9)
    page.colorbar(heat, ax=right, shrink=0.8)
    for axes in (left, right):
        axes.add_patch(
            Rectangle((2 * column - 0.5, 2 * row - 0.5), 12, 12, fill=False, edgecolor="C2")
        )
        axes.set(xlim=(-0.5, 75.5), ylim=(75.5, -0.5), xticks=[], yticks=[])
    return page


@figure
def sliding() -> Figure:
    """A classifier on every window of a picture, and the heat map of the same by convolutions."""
    sys.path.insert(0, str(Path(__file__).parent))
    import sliding as example  # the page's own

    x = example.picture()
    page = Figure(figsize=(8.4, 2.3), layout="constrained")
    image, slid, heat = page.subplots(1, 3)
    image.imshow(x[0].transpose(1, 2, 0) + 0.5)
    image.add_patch(Rectangle((90, 48), 28, 28, facecolor="none", edgecolor="w", linewidth=1.2))
    image.set_title("128 x 192 pixels, and a window", fontsize=9)
    results = (slid, "the classifier slid", example.slid), (heat, "the heat map", example.heat_map)
    for (axes, title, how), cost in zip(results, example.costs(x), strict=True):
        axes.imshow(how(x), vmin=-1, vmax=1)
        axes.set_title(f"{title}: {cost / 1e6:.0f} M multiply-adds", fontsize=9)
    for axes in (image, slid, heat):
        axes.set(xticks=[], yticks=[])
    return page


@figure
def systems() -> Figure:
    """What R-CNN and its successors compute once for a picture, and for all of its regions."""
    sys.path.insert(0, str(Path(__file__).parent))
    import systems as example  # the page's own

    every = example.counts()[::-1]
    page = Figure(figsize=(8.4, 2.6), layout="constrained")
    axes = page.subplots()
    places = np.arange(len(every))
    parts = (
        (-0.2, "once", [c.once for c in every], "#4477aa"),
        (0.2, "all regions", [c.total - c.once for c in every], "#ee6677"),
    )
    for shift, label, values, colour in parts:
        giga = np.maximum(np.array(values) / 1e9, 1e-3)  # 0 is left of the axis
        shown = axes.barh(places - shift, giga, 0.38, label=label, color=colour)
        axes.bar_label(shown, [f"{g:,.0f}" if g > 1 else "" for g in giga], padding=3, fontsize=8)
    axes.set(xscale="log", xlim=(1, 2e5), xlabel="thousands of millions of multiply-adds")
    axes.set_yticks(places, [f"{c.system}, {c.regions or 'no'} regions" for c in every], fontsize=9)
    axes.legend(fontsize=8, loc="lower right", frameon=False)
    return page


ROUGH = (
    (0, 0), (7, 12), (6, 13), (6, 13), (6, 13), (6, 13), (7, 13), (6, 12), (4, 11), (3, 12),
    (3, 13), (2, 15), (2, 15), (1, 15),
)  # fmt: skip
"""A rough mask of a portrait: in each row of squares of 20 pixels, from which to which."""


def portrait() -> tuple[np.ndarray, np.ndarray]:
    """A photograph (3, 280, 400) of uint8, and the rough mask of whom it shows."""
    from skimage.data import astronaut

    image = astronaut()[:280, 40:440].transpose(2, 0, 1)
    squares = np.array([[first <= at < last for at in range(20)] for first, last in ROUGH])
    return image, np.kron(squares, np.ones((20, 20))).astype(np.int64)


def refined(
    image: np.ndarray,
    labels: np.ndarray,
    sxy: float = 30,
    srgb: float = 10,
    compat: float = 10,
    smooth: float = 3,
    iterations: int = 10,
) -> np.ndarray:
    """Two labels, each right with probability 0.7, after some steps of a dense CRF."""
    x = image[None].astype(np.float32)
    unary = -np.log(np.where(labels == np.arange(2).reshape(2, 1, 1), 0.7, 0.3))
    near = ns.spatial_features(x, np.full(2, 3, np.float32))
    alike = ns.bilateral_features(x, np.array([sxy, sxy, srgb, srgb, srgb], np.float32))
    weights = [np.array(smooth, np.float32), np.array(compat, np.float32)]
    q = ns.dense_crf(unary[None].astype(np.float32), [near, alike], weights, iterations=iterations)
    return q[0].argmax(axis=0)


@figure
def crf() -> Figure:
    """A portrait with a rough mask, and with the mask that a dense CRF makes of it."""
    from numseg.data import overlay

    image, rough = portrait()
    page = Figure(figsize=(8.4, 3.3), layout="constrained")
    panels = page.subplots(1, 2)
    after = refined(image, rough, compat=5)
    shown = {"a rough mask, in squares of 20 pixels": rough, "refined by a dense CRF": after}
    for axes, (title, labels) in zip(panels, shown.items(), strict=True):
        picture = overlay(image, labels).transpose(1, 2, 0)
        axes.imshow(picture | 7, interpolation="none")  # fewer colours make a smaller file
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    return page


PARAMETERS = {
    "sxy": (3, 10, 30, 200),
    "srgb": (2, 5, 10, 40),
    "compat": (1, 3, 10, 40),
    "smooth": (0, 1, 3, 30),
    "iterations": (1, 2, 5, 10),
}


@figure
def crf_parameters() -> Figure:
    """The mask that comes of the rough one, for values of one parameter and the others fixed."""
    image, rough = portrait()
    image, rough = image[:, ::2, ::2], rough[::2, ::2]
    page = Figure(figsize=(8.4, 7.6), layout="constrained")
    rows = page.subplots(len(PARAMETERS), 4)
    for row, (name, values) in zip(rows, PARAMETERS.items(), strict=True):
        for axes, value in zip(row, values, strict=True):
            labels = refined(image, rough, **{name: value})
            axes.imshow(labels, cmap="gray", vmin=-0.2, vmax=1.1, interpolation="none")
            axes.set_title(f"{name} = {value}", fontsize=9)
            axes.set(xticks=[], yticks=[])
    return page


def _vertex(keys: np.ndarray) -> np.ndarray:
    """Where vertices of the lattice of two dimensions are, as features."""
    elevation = reference.elevated(np.eye(2)).T
    return np.linalg.lstsq(elevation, np.asarray(keys, float).T, rcond=None)[0].T


def _keys(reach: int) -> np.ndarray:
    """Vertices of the lattice in the plane around 0: sum 0, equal remainders by 3."""
    found = [
        (a, b, -a - b)
        for a in range(-reach, reach + 1)
        for b in range(-reach, reach + 1)
        if a % 3 == b % 3 == (-a - b) % 3
    ]
    return np.array(found)


REMAINDERS = ("#222222", "#d95f02", "#1b9e77")


def _grid(axes: Any, reach: int, most: float) -> tuple[np.ndarray, np.ndarray]:
    """The lattice of two dimensions: vertices, coloured by their remainder, and edges."""
    keys = _keys(reach)
    at = _vertex(keys)
    near = np.abs(at).max(1) <= most
    keys, at = keys[near], at[near]
    length = np.linalg.norm(_vertex(np.array([[1, 1, -2]]))[0])
    for i in range(len(at)):
        for j in range(i):
            if np.linalg.norm(at[i] - at[j]) < 1.01 * length:
                axes.plot(*at[[i, j]].T, color="0.8", linewidth=0.8, zorder=1)
    axes.set_aspect("equal")
    axes.axis("off")
    return keys, at


@figure
def permutohedral_simplex() -> Figure:
    """A point of two features, the simplex it is in, and its weights."""
    page = Figure(figsize=(5.2, 4.2), layout="constrained")
    axes = page.subplots()
    keys, at = _grid(axes, 9, 2.4)
    axes.scatter(*at.T, c=[REMAINDERS[k % 3] for k in keys[:, 0]], s=26, zorder=3)
    point = np.array([[0.6, 0.1]])
    found = reference.simplices(point)
    remainder = np.arange(3)[:, None]
    corners = found.nearest + np.where(found.rank < 3 - remainder, remainder, remainder - 3)
    places = _vertex(corners)
    axes.fill(*places.T, color="#7570b3", alpha=0.25, zorder=2)
    axes.scatter(*point.T, color="#7570b3", s=40, zorder=4)
    for place, key, weight in zip(places, corners, found.weights[0], strict=True):
        axes.plot(*np.stack([point[0], place]).T, color="#7570b3", linewidth=1, zorder=2)
        axes.annotate(
            f"{tuple(int(k) for k in key)}: {weight:.2f}", place, (6, 6),
            textcoords="offset points", fontsize=8,
        )  # fmt: skip
    for k, colour in enumerate(REMAINDERS):
        axes.scatter([], [], color=colour, label=f"remainder {k}")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    axes.set_title("edges are one standard deviation long", fontsize=9)
    return page


@figure
def permutohedral_blur() -> Figure:
    """The weight of one vertex, after the blur along one axis, two, three."""
    page = Figure(figsize=(8.4, 2.6), layout="constrained")
    steps = np.array([[2, -1, -1], [-1, 2, -1], [-1, -1, 2]])
    held = {(0, 0, 0): 1.0}
    for axis, axes in enumerate(page.subplots(1, 4)):
        if axis:
            before, held = held, {}
            for key, value in before.items():
                for step, share in ((0, 1.0), (-1, 0.5), (1, 0.5)):
                    there = tuple((np.array(key) + step * steps[axis - 1]).tolist())
                    held[there] = held.get(there, 0.0) + share * value
        _grid(axes, 9, 2.1)
        for key, value in held.items():
            place = _vertex(np.array([key]))[0]
            axes.scatter(*place, s=150 * value, color="#7570b3", zorder=3)
            axes.annotate(f"{value:g}", place, (5, 4), textcoords="offset points", fontsize=7)
        axes.set_title("one vertex" if axis == 0 else f"after axis {axis - 1}", fontsize=9)
    return page


@figure
def permutohedral_delta() -> Figure:
    """A single point among many: what the lattice makes of it, beside the Gaussian."""
    side = np.linspace(-3, 3, 61)
    features = np.stack(np.meshgrid(side, side)).reshape(1, 2, -1)
    page = Figure(figsize=(8.4, 2.7), layout="constrained")
    line, *planes = page.subplots(1, 4, gridspec_kw={"width_ratios": [5, 4, 4, 4]})
    row = np.linspace(-3, 3, 241)
    at = (np.abs(row - 0.2)).argmin()
    delta = np.eye(241)[at].reshape(1, 1, -1)
    for method, style in (("exact", "0.5"), ("permutohedral", "#7570b3")):
        y = ns.gaussian_filter(delta, row.reshape(1, 1, -1), method=method)
        line.plot(row, y[0, 0], color=style, linewidth=1.4, label=method)
    line.legend(frameon=False, fontsize=7, loc="upper left")
    line.set_ylim(0, 1.25)
    line.set_title("D = 1", fontsize=9)
    for k, (axes, place) in enumerate(
        zip(planes, (1860, 1860 + 6, 1860 + 61 * 6 + 3), strict=True)
    ):
        delta = np.eye(61 * 61)[place].reshape(1, 1, -1)
        y = ns.gaussian_filter(delta, features).reshape(61, 61)
        axes.contour(side, side, y, levels=np.arange(0.1, 1.0, 0.2), colors="#7570b3", linewidths=1)
        exact = ns.gaussian_filter(delta, features, method="exact").reshape(61, 61)
        axes.contour(side, side, exact, levels=np.arange(0.1, 1.0, 0.2), colors="0.6",
                     linewidths=0.8)  # fmt: skip
        axes.set_aspect("equal")
        axes.set_title(f"D = 2, another place ({k + 1})", fontsize=9)
    return page


if __name__ == "__main__":
    for chosen in sys.argv[1:] or FIGURES:
        if chosen not in TRAINED or weights_of(chosen) is not None:
            print(save(chosen))
        else:
            print(f"{chosen}: needs $NUMSEG_MODELS/{TRAINED[chosen]}", file=sys.stderr)
