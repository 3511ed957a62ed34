"""A picture that is not held in memory: its labels, peak memory and time, on one process and many.

    python -m benchmarks.large_image make FOLDER                 20000 x 20000 pixels, and a U-Net
    python -m benchmarks.large_image segment FOLDER              numseg segment, in its own process
    python -m benchmarks.large_image segment FOLDER --kill 0.4   killed at 40 %, and started again
    python -m benchmarks.large_image dask FOLDER --workers 1 2 4
    python -m benchmarks.large_image dask FOLDER --workers 2 --kill 0.4

Each prints a digest of the labels, which is to be the same. Memory is what the system counts as
resident at most (``ru_maxrss``), mapped files included; of a cluster, each worker's. A worker has
as many threads as ``--threads`` says, a process of ``segment`` as many as there are cores.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from numseg import tiling
from numseg.data import SCENE_CLASSES
from numseg.training import Checkpoint, load_checkpoint, make_network, save_checkpoint

NET = {"name": "unet", "in_channels": 3, "classes": 8, "width": 4, "depth": 2, "padding": "same"}
CHUNK = 1024
"""Rows and columns of the picture's chunks and of the labels'."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("make", "segment", "dask"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=20000, help="of what is made (20000)")
    parser.add_argument("--tile", type=int, default=1024, help="(1024)")
    parser.add_argument("--kill", type=float, metavar="SHARE", help="kill when so much is done")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="(1 2 4)")
    parser.add_argument("--threads", type=int, default=1, help="of each worker (1)")
    args = parser.parse_args()
    {"make": make, "segment": segment, "dask": dask}[args.what](args)


def make(args: argparse.Namespace) -> None:
    """Noise on a gradient of colours, chunk by chunk, as Zarr; and a network with fresh weights."""
    import zarr

    size = args.size
    args.folder.mkdir(parents=True, exist_ok=True)
    shape, chunks = (size, size, 3), (CHUNK, CHUNK, 3)
    picture = zarr.create_array(
        str(args.folder / "picture.zarr"), shape=shape, dtype="u1", chunks=chunks, overwrite=True
    )
    rng = np.random.default_rng(0)
    for row in range(0, size, CHUNK):
        band = rng.integers(0, 128, (min(CHUNK, size - row), size, 3), np.uint8)
        band += (np.arange(row, row + len(band)) * 127 // size).astype(np.uint8)[:, None, None]
        picture[row : row + len(band)] = band
    graph = make_network(NET)
    about = {"net": NET, "classes": list(SCENE_CLASSES)}
    save_checkpoint(
        args.folder / "weights.safetensors", Checkpoint(graph.init(0), {}, 1, [], about)
    )
    print(f"{size} x {size} pixels, {np.prod(shape) / 2**30:.2f} GiB, and {NET}")


def segment(args: argparse.Namespace) -> None:
    """``numseg segment``, as a user starts it."""
    out = args.folder / "labels.npy"
    out.unlink(missing_ok=True)
    command = [
        sys.executable, "-m", "numseg", "segment", str(args.folder / "picture.zarr"),
        "--weights", str(args.folder / "weights.safetensors"), "--out", str(out),
        "--tile", str(args.tile),
    ]  # fmt: skip
    begin = time.perf_counter()
    if args.kill:
        _until(subprocess.Popen(command), out, args.kill)
        print(
            f"killed after {time.perf_counter() - begin:.0f} s; the same command again", flush=True
        )
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    taken = time.perf_counter() - begin
    if status:
        raise SystemExit(f"numseg segment: status {status}")
    print(f"segment: {taken:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of CPU, peak "
          f"{used.ru_maxrss / 2**20:.2f} GiB, labels {digest(np.load(out, 'r'))}")  # fmt: skip


def _until(process: subprocess.Popen[bytes], out: Path, share: float) -> None:
    """Kill the process when so much of the picture is done."""
    marks = out.with_name(f".{out.name}.done")
    while process.poll() is None:
        time.sleep(0.2)
        if marks.exists():
            done = np.frombuffer(marks.read_bytes().partition(b"\n")[2], np.uint8)
            if done.size and done.mean() >= share:
                process.send_signal(signal.SIGKILL)
                process.wait()
                return
    raise SystemExit("ended before it could be killed")


def dask(args: argparse.Namespace) -> None:
    """The same on the workers of a local cluster, of which one may be killed."""
    import dask as settings

    settings.config.set({"distributed.worker.memory.terminate": False})
    for count in args.workers:
        _on_workers(args, count)


def _on_workers(args: argparse.Namespace, count: int) -> None:
    import zarr
    from dask import array
    from distributed import Client, LocalCluster

    saved = load_checkpoint(args.folder / "weights.safetensors")
    graph = make_network(NET)
    picture = array.from_zarr(str(args.folder / "picture.zarr"))
    path = args.folder / "labels.zarr"
    shutil.rmtree(path, ignore_errors=True)
    os.environ["NUMSEG_NUM_THREADS"] = str(args.threads)
    with (
        LocalCluster(
            n_workers=count, threads_per_worker=1, dashboard_address=None, memory_limit="2GiB"
        ) as cluster,
        Client(cluster) as client,
    ):
        client.run(_warm, graph, saved.params)
        labels = tiling.segmented(graph, saved.params, picture, tile=args.tile, layout="hwc")
        target = zarr.create_array(
            str(path), shape=labels.shape, dtype=labels.dtype, chunks=labels.chunksize
        )
        begin = time.perf_counter()
        left = client.compute(labels.store(target, lock=False, compute=False))
        if args.kill:
            _kill_one(client, path, args.kill * labels.npartitions)
        left.result()
        taken = time.perf_counter() - begin
        peaks = client.run(_peak)
    told = ", ".join(f"{peak / 2**20:.2f}" for peak in sorted(peaks.values()))
    digested = digest(zarr.open(str(path), mode="r"))
    print(f"{count} workers: {taken:.0f} s, peak {told} GiB, labels {digested}", flush=True)


def _warm(graph: Any, params: Any) -> None:
    """Compile, or load, what a tile takes, so that it is not timed."""
    graph.run(params, np.zeros((1, 3, 64, 64), np.float32))


def _peak() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _kill_one(client: Any, path: Path, tiles: float) -> None:
    """Kill a worker when so many chunks of labels are written."""
    while sum(1 for file in path.glob("c/*/*")) < tiles:
        time.sleep(0.2)
    pid = next(iter(client.run(os.getpid).values()))
    os.kill(pid, signal.SIGKILL)
    print(f"killed worker {pid}", flush=True)


def digest(labels: Any) -> str:
    """Of the labels, band by band."""
    found = hashlib.blake2b(digest_size=8)
    for row in range(0, labels.shape[0], CHUNK):
        found.update(np.ascontiguousarray(labels[row : row + CHUNK]).data)
    return found.hexdigest()


if __name__ == "__main__":
    main()
