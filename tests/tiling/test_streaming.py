"""Pictures in files, segmented piece by piece; killed, and gone on with; on Dask."""

from __future__ import annotations

import os
import signal
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numseg import FileError, MismatchError, tiling
from numseg.cli import main
from numseg.data import SCENE_CLASSES, read_mask
from numseg.tiling import streaming
from numseg.training import Checkpoint, make_network, predict, save_checkpoint

NET = {"name": "unet", "in_channels": 3, "classes": 8, "width": 2, "depth": 1, "padding": "same"}
GRAPH = make_network(NET)
PARAMS = GRAPH.init(0)
RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (61, 83, 3)).astype(np.uint8)
WHOLE = predict(GRAPH, PARAMS, np.moveaxis(PICTURE, 2, 0), tile=1000)


def _write(path: Path, picture: Any = PICTURE) -> Path:
    if path.suffix == ".npy":
        np.save(path, picture)
    elif path.suffix == ".tif":
        tifffile = pytest.importorskip("tifffile")
        tifffile.imwrite(path, picture, tile=(16, 16), compression="zlib", photometric="rgb")
    elif path.suffix == ".zarr":
        zarr = pytest.importorskip("zarr")
        shape = picture.shape
        array = zarr.create_array(str(path), shape=shape, dtype=picture.dtype, chunks=(32, 32, 3))
        array[:] = picture
    else:
        image = pytest.importorskip("PIL.Image")
        image.fromarray(picture).save(path)
    return path


def _read(path: Path) -> Any:
    match path.suffix:
        case ".npy":
            return np.load(path)
        case ".tif":
            return pytest.importorskip("tifffile").imread(path)
        case ".zarr":
            return pytest.importorskip("zarr").open(str(path), mode="r")[:]
    return read_mask(path)


@pytest.mark.parametrize(
    ("given", "out"),
    [("p.tif", "m.tif"), ("p.npy", "m.zarr"), ("p.zarr", "m.npy"), ("p.png", "m.png")],
)
def test_files_of_every_kind(tmp_path: Path, given: str, out: str) -> None:
    seen = tiling.segment(GRAPH, PARAMS, _write(tmp_path / given), tmp_path / out, tile=16, batch=3)
    np.testing.assert_array_equal(_read(tmp_path / out), WHOLE)
    np.testing.assert_array_equal(seen.counts, np.bincount(WHOLE.reshape(-1), minlength=8))
    np.testing.assert_array_equal(seen.labels, WHOLE)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([given, out])


def test_axes_that_are_said(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.moveaxis(PICTURE, 2, 0))
    tiling.segment(GRAPH, PARAMS, tmp_path / "p.npy", tmp_path / "m.npy", tile=16)
    np.testing.assert_array_equal(np.load(tmp_path / "m.npy"), WHOLE)
    np.save(tmp_path / "q.npy", np.zeros((3, 20, 3), np.uint8))
    with pytest.raises(
        Exception, match=r"q\.npy has shape \(3, 20, 3\): the first and the last axis"
    ):
        tiling.open_image(tmp_path / "q.npy")
    assert tiling.open_image(tmp_path / "q.npy", "chw").size == (20, 3)


def test_killed_it_goes_on(tmp_path: Path) -> None:
    """Tiles that are done stay done; another picture begins anew."""
    picture, out = _write(tmp_path / "p.npy"), tmp_path / "m.npy"
    ended = 7

    class Killed(BaseException):
        pass

    def kill(done: int, tiles: int) -> None:
        if done == ended:
            raise Killed

    with pytest.raises(Killed):
        tiling.segment(GRAPH, PARAMS, picture, out, tile=16, progress=kill)
    assert not out.exists()
    begun = []
    other = {name: array + 1 for name, array in PARAMS.items()}
    for params, first in ((PARAMS, ended), (other, 0), (PARAMS, 0)):
        with pytest.raises(Killed):
            tiling.segment(
                GRAPH, params, picture, out, tile=16,
                progress=lambda done, tiles: begun.append(done) or kill(7, tiles),  # type: ignore
            )  # fmt: skip
        assert begun.pop() == first
    tiling.segment(GRAPH, PARAMS, picture, out, tile=16)
    np.testing.assert_array_equal(np.load(out), WHOLE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.npy", "p.npy"]


def test_another_content_of_a_zarr_array_begins_anew(tmp_path: Path) -> None:
    """Its folder's own time does not change; and a file that has an array's name is not it."""
    picture, out = _write(tmp_path / "p.zarr"), tmp_path / "m.npy"
    known = streaming._identity(tiling.open_image(picture))
    assert streaming._identity(tiling.open_image(picture)) == known
    pytest.importorskip("zarr").open(str(picture), mode="r+")[:5] = 0
    assert streaming._identity(tiling.open_image(picture)) != known
    one, other = (tiling.Source.of(array, name=str(out)) for array in (PICTURE, PICTURE + 1))
    out.write_bytes(b"")
    assert streaming._identity(one) != streaming._identity(other)


def test_parameters_that_are_not_the_networks(tmp_path: Path) -> None:
    with pytest.raises(MismatchError):
        tiling.segment(GRAPH, {}, _write(tmp_path / "p.npy"), tmp_path / "m.npy")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.tif", None, r"gone\.tif: no such file"),
        ("bad.tif", b"II*\0nothing", r"bad\.tif: cannot be read as a picture: "),
        ("bad.npy", b"\x93NUMPY\1\0", r"bad\.npy: cannot be read as a picture: "),
        ("text.png", b"hello", r"text\.png: cannot be read as a picture: "),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    if name.endswith("tif"):
        pytest.importorskip("tifffile")
    with pytest.raises(FileError, match=message) as caught:
        tiling.segment(GRAPH, PARAMS, tmp_path / name, tmp_path / "m.npy")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "m.npy").exists()


def test_a_truncated_file_and_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(tmp_path / "p.tif")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(FileError, match=r"p\.tif: cannot "):
        tiling.segment(GRAPH, PARAMS, path, tmp_path / "m.npy", tile=16)
    monkeypatch.setattr("numseg.tiling.sources._SAFE_BYTES", 1000)
    _write(tmp_path / "bomb.png", np.zeros((900, 900, 3), np.uint8))
    with pytest.raises(FileError, match=r"bomb\.png: has 900 x 900 pixels in \d+ bytes, a decompr"):
        tiling.open_image(tmp_path / "bomb.png")
    monkeypatch.setattr("numseg.tiling.sources._MOST_BYTES", 2000)
    with pytest.raises(
        FileError, match=r"0\.0 GiB, and must be read whole: convert it to TIFF or Zarr"
    ):
        tiling.open_image(tmp_path / "bomb.png")


def test_an_overview_holds_a_band_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a picture of 48 MiB the 12 of every second pixel, and those again, put together."""

    class Endless:
        shape, dtype = (3, 4096, 4096), np.dtype(np.uint8)

        def __getitem__(self, place: Any) -> Any:
            sizes = [len(range(*p.indices(n))) for p, n in zip(place, self.shape, strict=True)]
            return np.zeros(sizes, np.uint8)

    monkeypatch.setattr(streaming, "_CHUNK", 256)
    labels = np.zeros((4096, 4096), np.uint8)
    tracemalloc.start()
    try:
        seen = streaming._overview(tiling.Source.of(Endless(), "chw"), labels, 2)
        assert tracemalloc.get_traced_memory()[1] < 44 * 2**20
    finally:
        tracemalloc.stop()
    assert seen.image.shape == (3, 2048, 2048)
    assert seen.counts.tolist() == [2**24, 0]


@pytest.mark.parametrize("given", ["p.npy", "p.zarr"])
def test_the_command_line(given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a file, and of a folder that is one picture."""
    weights = tmp_path / "w.safetensors"
    save_checkpoint(
        weights, Checkpoint(PARAMS, {}, 1, [], {"net": NET, "classes": list(SCENE_CLASSES)})
    )
    picture, out = _write(tmp_path / given), tmp_path / "new" / "m.npy"
    argv = ["segment", str(picture), "--weights", str(weights), "--out", str(out), "--tile", "16"]
    assert main([*argv, "--batch", "4"]) == 0
    np.testing.assert_array_equal(np.load(out), WHOLE)
    shown = capsys.readouterr()
    assert shown.out.splitlines()[:2] == [str(out), str(out.with_suffix(".overlay.png"))]
    assert "tile" in shown.err
    assert main([*argv, "--crf"]) == 2
    assert "--crf reads whole pictures" in capsys.readouterr().err


def test_dask(tmp_path: Path) -> None:
    """Lazily, and the same labels whatever the chunks are."""
    array = pytest.importorskip("dask.array")
    for chunks in ((20, 83, 3), (61, 7, 1)):
        found = tiling.segmented(GRAPH, PARAMS, array.from_array(PICTURE, chunks=chunks), tile=16)
        assert (found.shape, found.dtype, found.chunks[0][0]) == ((61, 83), np.uint8, 16)
        np.testing.assert_array_equal(found.compute(scheduler="synchronous"), WHOLE)


def test_workers_one_of_which_dies(tmp_path: Path) -> None:
    """Processes of a cluster: what the one that was killed had done is done again."""
    array, distributed = pytest.importorskip("dask.array"), pytest.importorskip("distributed")
    zarr = pytest.importorskip("zarr")
    picture = array.from_array(PICTURE, chunks=(16, 16, 3))
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        labels = tiling.segmented(GRAPH, PARAMS, picture, tile=16)
        target = zarr.create_array(
            str(tmp_path / "m.zarr"), shape=(61, 83), dtype="u1", chunks=(16, 16)
        )
        left = client.compute(labels.store(target, lock=False, compute=False))
        pids = client.run(os.getpid)
        assert not left.done()
        os.kill(next(iter(pids.values())), signal.SIGKILL)
        left.result(timeout=120)
    np.testing.assert_array_equal(target[:], WHOLE)
