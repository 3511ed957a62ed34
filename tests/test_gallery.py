"""docs/gallery.py: every network is in the gallery, and its page and pictures are as drawn now."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from numseg import nets

DOCS = Path(__file__).parent.parent / "docs"
AGAIN = "draw it again: python docs/gallery.py"

_spec = importlib.util.spec_from_file_location("gallery", DOCS / "gallery.py")
assert _spec is not None
assert _spec.loader is not None
gallery = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(gallery)


def test_every_network_has_its_row_and_its_picture():
    page = (DOCS / "gallery.md").read_text()
    for name in nets.__all__:
        assert f"| [{name}](images/nets/{name}.svg) |" in page, AGAIN
        assert f"![{name}](images/nets/{name}.svg)" in page, AGAIN
    assert {path.stem for path in gallery.IMAGES.glob("*.svg")} == set(nets.__all__), AGAIN


def test_the_unet_is_drawn_as_it_is_now(tmp_path: Path):
    drawn = gallery.draw("unet", tmp_path).read_text()
    assert drawn == (gallery.IMAGES / "unet.svg").read_text(), AGAIN
    assert gallery.row("unet") in (DOCS / "gallery.md").read_text(), AGAIN
