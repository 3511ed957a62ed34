"""Commands with ``--device cuda``, at a size that the simulator takes; where there is no GPU they
say so (tests/cli)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numseg.cli import main
from numseg.cuda import runtime
from numseg.cuda.arrays import Cuda
from numseg.data import encode_mask, read_image, scenes
from numseg.training import load_network

if not runtime.cuda_available():
    pytest.skip(
        "no GPU: NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda, after pip install '.[cuda-test]'",
        allow_module_level=True,
    )

Image = pytest.importorskip("PIL.Image")

TINY = ["--width", "2", "--depth", "1", "--crop", "4", "--batch", "2", "--epochs", "1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures in VOC's layout, of which one is held out."""
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / part).mkdir(parents=True)
    for i, (image, labels, _) in enumerate(scenes(2, (16, 16))):
        image, labels = image[:, 6:10, 6:10], labels[6:10, 6:10]
        Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / "JPEGImages" / f"{i}.png")
        page = encode_mask(np.minimum(labels, 1).astype(np.uint8))
        (tmp_path / "SegmentationClass" / f"{i}.png").write_bytes(page)
    for name, line in (("train", "0"), ("val", "1")):
        (tmp_path / "ImageSets" / "Segmentation" / f"{name}.txt").write_text(f"{line}\n")
    return tmp_path


def test_train_and_segment(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, from_host = [], Cuda.from_host

    def counted(array: Any, **how: Any) -> Any:
        sent.append(array.shape)
        return from_host(array, **how)

    monkeypatch.setattr(Cuda, "from_host", staticmethod(counted))
    argv = ["train", str(folder), "--classes", "sky,earth", *TINY, "--out", str(folder / "run")]
    assert main([*argv, "--device", "cuda"]) == 0
    assert "earth" in capsys.readouterr().out
    checkpoint = folder / "run" / "checkpoint.safetensors"
    assert load_network(checkpoint)[1].epoch == 1
    assert len(sent) > 4
    picture, masks = str(folder / "JPEGImages" / "1.png"), []
    for device in ("cpu", "cuda"):
        sent.clear()
        masks.append(folder / f"{device}.png")
        argv = ["segment", picture, "--weights", str(checkpoint), "--out", str(masks[-1])]
        assert main([*argv, "--device", device]) == 0
        assert bool(sent) == (device == "cuda")
    np.testing.assert_array_equal(*map(read_image, masks))


def test_info_names_the_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    assert f"cuda          {runtime.describe_cuda()}" in capsys.readouterr().out
