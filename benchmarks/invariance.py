"""Whether the layer depends on tiles, overlap, batches, threads or origin; it must depend on scene and model only.

With the planted detector the result must be exact: the same objects for every tile size and overlap
(`same_objects`), identical records for every batch size and number of threads (`same_records`). ``--model`` also runs a
real model on the sample scene. There `agreement_f1` is the F1 of one layer against the other at IoU 0.5. It is below 1,
because the context of an object differs from tile to tile. The shifted origin is a scene with half a tile of masked
pixels before its first row and column.

``python -m benchmarks.invariance [--model FILE] [--quick] [--json FILE]``
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from benchmarks.engine import ROOT, parser, print_rows, write_json
from nssa_gis.analysis.layers import agreement
from nssa_gis.detect.detector import Detector
from nssa_gis.detect.options import DetectOptions
from nssa_gis.detect.run import detect_scene
from nssa_gis.errors import NssaError
from nssa_gis.testing import PlantedDetector, layer_boxes, layer_records, make_scene, pad, same_boxes

_SCENE = ROOT / "sample_data" / "town.tif"
_TILINGS = ((512, 64), (512, 128), (640, 64), (640, 128), (640, 320), (1024, 64), (1024, 128), (1024, 512))
_FEEDS = ((1, 1), (4, 1), (16, 1), (1, 2), (4, 2), (16, 2), (1, 4), (4, 4), (16, 4))


class _Runs:
    """Runs of one model in one folder; each has its own layer."""

    def __init__(self, folder: Path, detector: Detector) -> None:
        self._folder, self._detector = folder, detector
        self._count = 0

    def __call__(self, scene: Path, **options: Any) -> Path:
        self._count += 1
        output = self._folder / f"{self._count}" / "layer.gpkg"
        output.parent.mkdir(parents=True)
        detect_scene(self._detector, scene, output, DetectOptions.parse(options))
        return output


def planted_rows(folder: Path, side: int) -> list[dict[str, Any]]:
    """Exact statements."""
    scene = folder / "planted.tif"
    truth = make_scene(scene, side, side).astype(np.float64)
    run = _Runs(folder / "planted", PlantedDetector())
    rows: list[dict[str, Any]] = []

    def add(what: str, **figures: Any) -> None:
        rows.append({"detector": "planted", "what": what, **figures})

    for tile, overlap in _TILINGS:
        found = layer_boxes(run(scene, tile=tile, overlap=overlap, scale=1))
        same = same_boxes(found, truth, 1e-6)
        add(f"tile {tile}, overlap {overlap}", objects=len(found), planted=len(truth), same_objects=same)
    reference = layer_records(run(scene, tile=256, overlap=64, scale=1))
    for batch, readers in _FEEDS:
        other = layer_records(run(scene, tile=256, overlap=64, scale=1, batch_size=batch, readers=readers))
        add(f"batch {batch}, threads {readers}", objects=len(other[0]), same_records=other == reference)
    for tile in (512, 640, 1024):
        moved = folder / "moved.tif"
        pad(scene, moved, tile // 2)
        found = layer_boxes(run(moved, tile=tile, overlap=128, scale=1)) - [*[tile // 2] * 4, 0]
        add(f"origin moved by {tile // 2} px", objects=len(found), same_objects=same_boxes(found, truth, 1e-6))
    return rows


def model_rows(folder: Path, model: str, quick: bool) -> list[dict[str, Any]]:
    """Agreement of the layers of a real model."""
    try:
        detector = Detector(model)
    except NssaError as error:
        return [{"detector": model, "skipped": str(error)}]
    run = _Runs(folder / "model", detector)
    name = f"{detector.info.name} {detector.info.version}"
    base = run(_SCENE)
    rows: list[dict[str, Any]] = []
    tiles = (detector.info.tile,) if quick else (512, 640, 1024)
    if not quick:
        for tile, overlap in ((512, 128), (640, 256), (1024, 128), (1024, 512)):
            f1 = agreement(base, run(_SCENE, tile=tile, overlap=overlap))
            rows.append({"detector": name, "what": f"tile {tile}, overlap {overlap}", "agreement_f1": round(f1, 4)})
    records = layer_records(base)
    for batch, readers in ((16, 4),) if quick else ((1, 1), (16, 4)):
        same = layer_records(run(_SCENE, batch_size=batch, readers=readers)) == records
        rows.append({"detector": name, "what": f"batch {batch}, threads {readers}", "same_records": same})
    for tile in tiles:
        moved = folder / "moved.tif"
        with rasterio.open(_SCENE) as data:
            pad(_SCENE, moved, round(tile / 2 * detector.info.gsd / data.res[0]))
        still = base if tile == detector.info.tile else run(_SCENE, tile=tile)
        f1 = agreement(still, run(moved, tile=tile))
        rows.append({"detector": name, "what": f"origin moved by half a tile of {tile}", "agreement_f1": round(f1, 4)})
    return rows


def main() -> None:
    """Measure and print."""
    options = parser("Same objects for all tiles, batches, threads and origins.")
    options.add_argument("--model", help="also a real model on the sample scene: built-in name or package")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        rows = planted_rows(Path(name), 1500 if asked.quick else 4000)
        if asked.model:
            rows += model_rows(Path(name), asked.model, asked.quick)
    print_rows(rows)
    write_json(rows, asked.json)


if __name__ == "__main__":
    main()
