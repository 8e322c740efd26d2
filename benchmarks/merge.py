"""Time and memory of merging the detections of a whole scene, for our merge and the rivals, on one thread.

The tiles have 640 px and share 160 px, so 44 % of the raw detections are second views. "sparse": objects anywhere,
"clustered": in groups of 400. Each run is a new process. `peak_rss_mb` is its peak, with raw detections, Python and
libraries. `cpu_seconds` is its processor time, which is more stable on a busy machine. "seam (rows)" gets the
detections row by row and drops the results, as in a run; the raw detections are in memory too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import rivals
from benchmarks.compare import ONE_THREAD, columns, parser, report, run_rival
from benchmarks.overlap_merge import merge
from benchmarks.worlds import Detector, Objects, detect
from nssa_gis.boxes.columns import GridDetections
from nssa_gis.geo.grid import TileGrid
from nssa_gis.seams import SeamMerger

_HEADER = ("layout", "method", "n", "seconds", "cpu_seconds", "peak_rss_mb", "kept")
_TILE, _OVERLAP, _ALIGN = 640, 160, 32
_PER_TILE = 100
_WORKER = "import sys, pathlib, benchmarks.merge as m; m.worker(sys.argv[1], pathlib.Path(sys.argv[2]))"
_OURS = ("seam", "seam (rows)", "nms", "nmm", "wbf")


def scene(layout: str, count: int, seed: int = 1) -> tuple[TileGrid, GridDetections]:
    """About `count` raw detections of small objects, in tile order."""
    rng = np.random.default_rng([seed, count])
    objects = max(int(count * 0.56), 1)
    side = int(np.sqrt(count / _PER_TILE)) * (_TILE - _OVERLAP) + _OVERLAP
    if layout == "clustered":
        # Clusters of 400 objects in 600 px.
        centres = rng.uniform(300, max(side - 300, 301), (objects // 400 + 1, 2))
        cell = rng.permuted(np.tile(np.arange(900), (len(centres), 1)), axis=1)[:, :400]
        lattice = np.stack([cell % 30, cell // 30], axis=-1) * 20.0 - 300
        place = (centres[:, None] + lattice).reshape(-1, 2)[:objects] + rng.uniform(-2, 2, (objects, 2))
    else:
        place = rng.uniform(0, side, (objects, 2))
    size = np.stack([rng.uniform(12, 30, objects), rng.uniform(7, 14, objects)], axis=1)
    angle = rng.uniform(0, np.pi, objects)
    place = np.clip(place, 20, max(side - 20, 21))
    truth = Objects(place, size, angle, rng.integers(0, 3, objects).astype(np.int16))
    grid = TileGrid(side, side, _TILE, _OVERLAP, _ALIGN)
    raw, _ = detect(truth, grid, Detector(), rng)
    return grid, raw.take(np.argsort(raw.tile, kind="stable"))


def _save(folder: Path, grid: TileGrid, raw: GridDetections) -> None:
    np.save(folder / "raw.npy", columns(raw))
    for name in ("boxes", "scores", "labels", "tile", "cut"):
        np.save(folder / f"{name}.column", getattr(raw, name), allow_pickle=False)
    np.save(folder / "side.column", np.array(grid.width), allow_pickle=False)


def _rows(grid: TileGrid, raw: GridDetections) -> int:
    merger, kept = SeamMerger(grid), 0
    bounds = np.searchsorted(raw.tile, np.arange(grid.rows + 1) * grid.cols)
    for row in range(grid.rows):
        kept += len(merger.add_row(row, raw.take(slice(int(bounds[row]), int(bounds[row + 1])))))
    return kept + len(merger.finish())


def worker(method: str, folder: Path) -> None:
    """Run one of our methods on a saved scene; print seconds, processor seconds, peak memory (MB), records kept."""
    names = ("boxes", "scores", "labels", "tile", "cut")
    raw = GridDetections(*(np.load(folder / f"{name}.column.npy") for name in names))
    side = int(np.load(folder / "side.column.npy"))
    grid = TileGrid(side, side, _TILE, _OVERLAP, _ALIGN)
    start, start_cpu = time.perf_counter(), time.process_time()
    kept = _rows(grid, raw) if method == "seam (rows)" else len(merge(raw, grid, method))
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    print(seconds, cpu, rivals.peak_rss_mb(), kept)


def measure(
    layout: str, count: int, python: str, limit: float, hopeless: set[str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Run all methods on one scene; return rows and what was skipped. Rivals that fail are added to `hopeless`."""
    grid, raw = scene(layout, count)
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []

    def add(method: str, seconds: float, cpu: float, peak: float, kept: int) -> None:
        figures = {"n": len(raw), "seconds": seconds, "cpu_seconds": cpu, "peak_rss_mb": peak, "kept": kept}
        rows.append({"layout": layout, "method": method, **figures})

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _save(folder, grid, raw)
        for method in _OURS:
            command = [sys.executable, "-c", _WORKER, method, str(folder)]
            try:
                done = subprocess.run(
                    command, env=os.environ | ONE_THREAD, capture_output=True, text=True, timeout=limit, check=True
                )
            except subprocess.TimeoutExpired:
                left_out.append(f"{method} ({layout}, {len(raw)}): over {limit:.0f} s")
                continue
            seconds, cpu, peak, kept = done.stdout.split()
            add(method, float(seconds), float(cpu), float(peak), int(kept))
        for path in folder.glob("*.column.npy"):
            path.unlink()
        for method in (name for name in rivals.METHODS if name not in hopeless):
            results, trouble = run_rival(python, method, folder, limit)
            if trouble:
                hopeless.add(method)
                left_out.append(f"{method} (from {layout}, {len(raw)}): {trouble}")
            for result in results.values():
                add(method, result.seconds, result.cpu_seconds, result.peak_rss_mb, len(result.found))
    return rows, left_out


def main() -> None:
    """Command line."""
    options = parser("Time and memory of the merge, ours against the rivals.")
    options.add_argument("--counts", type=float, nargs="+", metavar="N", help="raw detections")
    options.add_argument("--limit", type=float, metavar="S", help="seconds for each run")
    asked = options.parse_args()
    counts = asked.counts or ([1e4, 1e5] if asked.quick else [1e4, 1e5, 1e6, 1e7])
    limit = asked.limit or (4.0 if asked.quick else 120.0)
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    for layout in ("sparse",) if asked.quick else ("sparse", "clustered"):
        hopeless: set[str] = set()  # a rival that fails on few detections is not tried on more
        for count in sorted(counts):
            some, missing = measure(layout, int(count), asked.rivals_python, limit, hopeless)
            rows += some
            left_out += missing
    report(rows, left_out, _HEADER, asked.json)


if __name__ == "__main__":
    main()
