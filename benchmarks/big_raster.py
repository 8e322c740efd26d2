"""Memory on rasters of 1 GB and of 50 GB, and the time that the engine needs without a network.

There are two tiled RGB GeoTIFFs with planted objects and the same number of written blocks. One is 18 432 px square
with all blocks written. The other is 131 072 px square; there the blocks are spread over the whole raster (2 % of it)
and the rest was never written. Each runs through ``detect_scene`` in a new process, with a detector that finds the
planted objects. At native resolution it finds them exactly (`exact`: every box, to a millionth of a pixel). `resampled`
is a run on the grid that the engine chooses; it differs by some thousandths, so boxes may be a pixel off.
`peak_rss_mb` is the peak of that process, libraries included. `overhead_s_per_1000` is the time of everything but the
detector: planning, reading, batches, journal, merging, writing. `fixed_s` is the part of it before the first tile and
after the last one.

``python -m benchmarks.big_raster [--quick] [--json FILE]``
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window

from benchmarks.engine import (
    fresh,
    parser,
    print_rows,
    write_json,
)
from benchmarks.rivals import peak_rss_mb
from nssa_gis.detect.options import DetectOptions
from nssa_gis.detect.run import detect_scene
from nssa_gis.testing import GSD, PlantedDetector, layer_boxes, ordered, same_boxes

_BLOCK = 512
_SMALL, _LARGE = 18_432, 131_072
_TILE, _OVERLAP = 640, 128
_PER_BLOCK = 20


def make_raster(path: Path, side: int, blocks: int, compress: str | None, seed: int = 1) -> np.ndarray[Any, Any]:
    """Write a sparse raster with objects in some blocks; return boxes and class (N, 5), sorted."""
    rng = np.random.default_rng(seed)
    across = side // _BLOCK
    chosen = np.sort(rng.permutation(across * across)[:blocks])
    profile = {
        "driver": "GTiff",
        "width": side,
        "height": side,
        "count": 3,
        "dtype": "uint8",
        "tiled": True,
        "blockxsize": _BLOCK,
        "blockysize": _BLOCK,
        "interleave": "pixel",
        "bigtiff": "YES",
        "sparse_ok": "TRUE",
        "crs": "EPSG:32633",
        "transform": rasterio.Affine(GSD, 0, 500000, 0, -GSD, 5300000),
    }
    if compress:
        profile["compress"] = compress
    boxes = []
    with rasterio.open(path, "w", **profile) as data:
        for block in chosen.tolist():
            x, y = block % across * _BLOCK, block // across * _BLOCK
            pixels, planted = _block(rng)
            data.write(pixels, window=Window(x, y, _BLOCK, _BLOCK))
            boxes.append(planted + np.array([x, y, x, y, 0]))
    return ordered(np.concatenate(boxes))


def _block(rng: np.random.Generator) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """One block of ground with objects that do not touch one another or its edge.

    The noise is in a band that the detector does not use. In the band that it uses, noise would split half-bright
    strips at the edge of a tile, and the planted detector would report the pieces.
    """
    pixels = np.full((3, _BLOCK, _BLOCK), 30, np.uint8)
    pixels[2] = rng.integers(0, 256, pixels.shape[1:], np.uint8)
    pitch = 32
    places = rng.permutation((_BLOCK // pitch) ** 2)[:_PER_BLOCK]
    x0, y0 = places % (_BLOCK // pitch) * pitch + 2, places // (_BLOCK // pitch) * pitch + 2
    size = rng.integers(6, 26, (2, _PER_BLOCK))
    planted = np.stack([x0, y0, x0 + size[0], y0 + size[1], rng.integers(0, 2, _PER_BLOCK)], axis=1)
    for left, top, right, bottom, label in planted:
        pixels[label, top:bottom, left:right] = 250
    return pixels, planted


class _Timed:
    """Record when the first and the last tile are done."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.first = self.last = self.begun

    def __call__(self, event: dict[str, Any]) -> None:
        if event["event"] == "tile":
            self.last = time.monotonic()
        elif event["event"] == "start":
            self.first = time.monotonic()


def worker(scene: str, output: str, scale: str) -> dict[str, Any]:
    """Do one run and return its time and memory. With an empty scale the engine chooses the working grid."""
    timed = _Timed()
    result = detect_scene(
        PlantedDetector(),
        scene,
        output,
        DetectOptions(tile=_TILE, overlap=_OVERLAP, batch_size=4, readers=2, scale=float(scale) if scale else None),
        progress=timed,
    )
    overhead = result.seconds - result.seconds_model
    return {
        "tiles": result.tiles,
        "tiles_skipped": result.tiles_skipped,
        "seconds": round(result.seconds, 2),
        "overhead_s_per_1000": round(1000 * overhead / result.tiles, 2),
        "fixed_s": round(result.seconds - (timed.last - timed.first), 2),
        "peak_rss_mb": round(peak_rss_mb(), 1),
    }


def measure(folder: Path, side: int, blocks: int, compress: str | None, resampled: bool = False) -> dict[str, Any]:
    """Make one raster, run it, and compare the detections with the planted objects."""
    scene, output = folder / f"{side}.tif", folder / f"{side}.gpkg"
    planted = make_raster(scene, side, blocks, compress)
    figures = fresh("benchmarks.big_raster", str(scene), str(output), "" if resampled else "1")
    found = layer_boxes(output)
    tolerance = 1.5 if resampled else 1e-6
    row = {
        "raster": f"{side} px",
        "nominal_gb": round(3 * side * side / 1e9, 1),
        "on_disk_mb": round(scene.stat().st_blocks * 512 / 1e6),
        "compress": compress or "none",
        "resampled": resampled,
        **figures,
        "planted": len(planted),
        "found": len(found),
        "exact": found.shape == planted.shape and same_boxes(found, planted, tolerance),
    }
    scene.unlink()
    output.unlink()
    return row


def main() -> None:
    """Measure and print."""
    options = parser("Memory and overhead of the engine on rasters of 1 and 50 GB.")
    options.add_argument("--compress", default="deflate", help="deflate (default), lzw, none...")
    asked = options.parse_args()
    # Enough blocks to fill the cell cache of the reader in both (its 256 MB are part of the figure).
    blocks = 450 if asked.quick else (_SMALL // _BLOCK) ** 2
    compress = None if asked.compress == "none" else asked.compress
    with tempfile.TemporaryDirectory() as name:
        rows = [measure(Path(name), side, blocks, compress) for side in (_SMALL, _LARGE)]
        if not asked.quick:
            rows.append(measure(Path(name), _LARGE, blocks, compress, resampled=True))
    small, large = (row["peak_rss_mb"] for row in rows[:2])
    print_rows(rows)
    print(f"peak memory, large over small: {large / small:.3f}")
    write_json([*rows, {"raster": "large over small", "peak_rss_ratio": round(large / small, 3)}], asked.json)


if __name__ == "__main__":
    main()
