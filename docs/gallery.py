"""The gallery: ``python docs/gallery.py [name ...]`` draws the networks of numseg.nets and writes
docs/gallery.md.

Which there are is said by ``numseg.nets.__all__``. Given names, only those are drawn again.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from numseg import nets
from numseg.errors import ArgumentError
from numseg.graph import Graph
from numseg.graph.summary import both, shortened

DOCS = Path(__file__).parent
IMAGES = DOCS / "images" / "nets"
ARGUMENTS = {"in_channels": 3, "classes": 21}
"""Of those that want to be told."""
SIZES = {
    "unet": 572,
    "deconvnet": 224,
    "deeplabv1_vgg16": 321,
    "deeplabv2_resnet101": 321,
    "deeplabv2_vgg16": 321,
    "deeplabv3plus_xception65": 513,
}
"""The paper's, where it is neither 224 for a classifier nor the first from 512 on for an image."""

HEAD = """# Gallery

The networks of `numseg.nets` as they come by default, drawn by `numseg draw`
([how to read a drawing](graph.md#drawings)). Written by `python docs/gallery.py`.

| network | nodes | parameters | image | multiply-adds | takes | a pixel sees |
|---|---|---|---|---|---|---|
"""


def network(name: str) -> Graph:
    """With its defaults."""
    make = getattr(nets, name)
    needed = inspect.signature(make).parameters
    missing = [name for name in ARGUMENTS if needed[name].default is inspect.Parameter.empty]
    return make(**{name: ARGUMENTS[name] for name in missing})


def shape(name: str, graph: Graph) -> tuple[int, ...]:
    """Of the image that it is drawn for."""
    classifier = (1, 3, 224, 224)
    try:
        size = SIZES.get(name) or graph.legal_inputs().rows.from_on(512)
    except ArgumentError:  # a classifier of one size
        return classifier
    image = (1, 3, size, size)
    return image if len(graph.shapes(image)[graph.outputs[0].source]) == 4 else classifier


def draw(name: str, folder: Path = IMAGES) -> Path:
    """Draw one network."""
    graph = network(name)
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.svg"
    path.write_text(graph.to_svg(shape(name, graph)))
    return path


def row(name: str) -> str:
    """What the table says of a network."""
    graph = network(name)
    image = shape(name, graph)
    summary = graph.summary(image)
    field = graph.receptive_field(graph.outputs[0].source, image)
    try:
        sizes = graph.legal_inputs()
        takes = str(sizes.rows) if sizes.rows == sizes.columns else str(sizes)
    except ArgumentError:
        takes = "those alone"
    return (
        f"| [{name}](images/nets/{name}.svg) | {len(graph.nodes)} | {summary.parameters:,} "
        f"| {image[2]} x {image[3]} | {shortened(summary.multiply_adds)} | {takes} "
        f"| {both(field.size) if field else 'all'} |\n"
    )


def page() -> str:
    """The page of all networks."""
    names = sorted(nets.__all__)
    pictures = [f"\n## {name}\n\n![{name}](images/nets/{name}.svg)\n" for name in names]
    return HEAD + "".join(map(row, names)) + "".join(pictures)


if __name__ == "__main__":
    for chosen in sys.argv[1:] or sorted(nets.__all__):
        print(draw(chosen))
    (DOCS / "gallery.md").write_text(page())
