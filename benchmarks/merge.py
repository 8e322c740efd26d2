"""How long does merging the detections of a whole scene take, and how much memory? Ours and the rivals, one thread.

Tiles of 640 px that share 160, so that 44 % of the raw detections are second views. "sparse": objects anywhere;
"clustered": in car parks and marinas, hundreds in a tile. Each run is a process of its own; `peak_rss_mb` is that process's
peak, raw detections, Python and libraries included. "seam (rows)" is fed row by row, as the pipeline does,
results dropped as a writer would.
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
from benchmarks.worlds import Detector, Objects, detect
from nssa_gis.detections import Detections
from nssa_gis.geo.grid import TileGrid
from nssa_gis.seams import SeamMerger, merge_detections

_HEADER = ("layout", "method", "n", "seconds", "peak_rss_mb", "kept")
_TILE, _OVERLAP, _ALIGN = 640, 160, 32
_PER_TILE = 100
_OURS = ("seam", "seam (rows)", "nms", "nmm", "wbf")


def scene(layout: str, count: int, seed: int = 1) -> tuple[TileGrid, Detections]:
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


def _save(folder: Path, grid: TileGrid, raw: Detections) -> None:
    np.save(folder / "raw.npy", columns(raw))
    for name in ("boxes", "scores", "labels", "tile", "cut"):
        np.save(folder / f"{name}.column", getattr(raw, name), allow_pickle=False)
    np.save(folder / "side.column", np.array(grid.width), allow_pickle=False)


def _rows(grid: TileGrid, raw: Detections) -> int:
    merger, kept = SeamMerger(grid), 0
    bounds = np.searchsorted(raw.tile, np.arange(grid.rows + 1) * grid.cols)
    for row in range(grid.rows):
        kept += len(merger.add_row(row, raw.take(slice(int(bounds[row]), int(bounds[row + 1])))))
    return kept + len(merger.finish())


def worker(method: str, folder: Path) -> None:
    """Run one of ours on a saved scene; print seconds, peak memory (MB) and records kept."""
    import resource

    names = ("boxes", "scores", "labels", "tile", "cut")
    raw = Detections(*(np.load(folder / f"{name}.column.npy") for name in names))
    side = int(np.load(folder / "side.column.npy"))
    grid = TileGrid(side, side, _TILE, _OVERLAP, _ALIGN)
    start = time.perf_counter()
    kept = _rows(grid, raw) if method == "seam (rows)" else len(merge_detections(raw, grid, method=method))
    seconds = time.perf_counter() - start
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, kept)


def measure(layout: str, count: int, python: str, limit: float) -> tuple[list[dict[str, Any]], list[str]]:
    """All methods on one scene, and what is left out."""
    grid, raw = scene(layout, count)
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []

    def add(method: str, seconds: float, peak: float, kept: int) -> None:
        figures = {"n": len(raw), "seconds": seconds, "peak_rss_mb": peak, "kept": kept}
        rows.append({"layout": layout, "method": method, **figures})

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _save(folder, grid, raw)
        code = "import sys; from pathlib import Path; from benchmarks.merge import worker; worker(sys.argv[1], Path(sys.argv[2]))"
        for method in _OURS:
            command = [sys.executable, "-c", code, method, str(folder)]
            try:
                done = subprocess.run(
                    command, env=os.environ | ONE_THREAD, capture_output=True, text=True, timeout=limit, check=True
                )
            except subprocess.TimeoutExpired:
                left_out.append(f"{method} ({layout}, {len(raw)}): over {limit:.0f} s")
                continue
            seconds, peak, kept = done.stdout.split()
            add(method, float(seconds), float(peak), int(kept))
        for path in folder.glob("*.column.npy"):
            path.unlink()
        for method in rivals.METHODS:
            results, trouble = run_rival(python, method, folder, limit)
            if trouble:
                left_out.append(f"{method} ({layout}, {len(raw)}): {trouble}")
            for result in results.values():
                add(method, result.seconds, result.peak_rss_mb, len(result.found))
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
    # The quick one stops at one layout for the smaller count.
    for count in counts:
        for layout in ("sparse", "clustered"):
            if asked.quick and layout == "clustered" and count != max(counts):
                continue
            some, missing = measure(layout, int(count), asked.rivals_python, limit)
            rows += some
            left_out += missing
    report(rows, left_out, _HEADER, asked.json)


if __name__ == "__main__":
    main()
