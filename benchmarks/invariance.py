"""Whether the layer depends on anything but scene and model: tiles, overlap, batches, threads, origin.

With the planted detector of the tests the statements are exact: the same objects for every tile size and overlap
(`same_objects`), identical records for every batch size and number of threads (`same_records`). ``--model`` runs a real
model over the sample scene too; there `agreement_f1` is the F1 of one layer against the other at IoU 0.5, and a network
sees other surroundings in another tile, so that it is not 1. The shifted origin is a scene with half a tile of
masked pixels in front of its first row and column.

``python -m benchmarks.invariance [--model FILE] [--quick] [--json FILE]``
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

from benchmarks.engine import (
    ROOT,
    PlantedBackend,
    layer_boxes,
    layer_records,
    make_package,
    make_scene,
    parser,
    print_rows,
    same_boxes,
    write_json,
)
from nssa_gis.analysis.layers import agreement
from nssa_gis.detect.options import parse_options
from nssa_gis.detect.run import detect_scene
from nssa_gis.errors import NssaError
from nssa_gis.runtime.backends.protocol import Backend, create_backend
from nssa_gis.runtime.package import ModelPackage, load_package

_SCENE = ROOT / "sample_data" / "town.tif"
_TILINGS = ((512, 64), (512, 128), (640, 64), (640, 128), (640, 320), (1024, 64), (1024, 128), (1024, 512))
_FEEDS = ((1, 1), (4, 1), (16, 1), (1, 2), (4, 2), (16, 2), (1, 4), (4, 4), (16, 4))


def pad(source: Path, target: Path, by: int) -> None:
    """Copy a scene with masked pixels in front, and its origin moved so that the ground stays where it is."""
    with rasterio.open(source) as data:
        pixels, place = data.read(), data.transform @ Affine.translation(-by, -by)
        profile = data.profile | {"width": data.width + by, "height": data.height + by, "transform": place}
        profile |= {"compress": "deflate", "photometric": "rgb"}  # a second lossy compression would change pixels
    room = np.zeros((len(pixels), profile["height"], profile["width"]), pixels.dtype)
    room[:, by:, by:] = pixels
    valid = np.zeros(room.shape[1:], np.uint8)
    valid[by:, by:] = 255
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(target, "w", **profile) as data:
        data.write(room)
        data.write_mask(valid)


class _Runs:
    """Runs of one model in one folder, each with its own layer."""

    def __init__(self, folder: Path, package: ModelPackage, backend: Backend) -> None:
        self._folder, self._package, self._backend = folder, package, backend
        self._count = 0

    def __call__(self, scene: Path, **options: Any) -> Path:
        self._count += 1
        output = self._folder / f"{self._count}" / "layer.gpkg"
        output.parent.mkdir(parents=True)
        detect_scene(scene, output, parse_options(options), package=self._package, backend=self._backend)
        return output


def planted_rows(folder: Path, side: int) -> list[dict[str, Any]]:
    """Exact statements."""
    scene = folder / "planted.tif"
    truth = make_scene(scene, side, side).astype(np.float64)
    run = _Runs(folder / "planted", make_package(folder), PlantedBackend())
    rows: list[dict[str, Any]] = []

    def add(what: str, **figures: Any) -> None:
        rows.append({"detector": "planted", "what": what, **figures})

    for tile, overlap in _TILINGS:
        found = layer_boxes(run(scene, tile=tile, overlap=overlap, scale=1))
        same = same_boxes(found, truth, 1e-6)
        add(f"tile {tile}, overlap {overlap}", objects=len(found), planted=len(truth), same_objects=same)
    reference = layer_records(run(scene, tile=256, overlap=64, scale=1))
    for batch, workers in _FEEDS:
        other = layer_records(run(scene, tile=256, overlap=64, scale=1, batch_size=batch, workers=workers))
        add(f"batch {batch}, threads {workers}", objects=len(other[0]), same_records=other == reference)
    for tile in (512, 640, 1024):
        moved = folder / "moved.tif"
        pad(scene, moved, tile // 2)
        found = layer_boxes(run(moved, tile=tile, overlap=128, scale=1)) - [*[tile // 2] * 4, 0]
        add(f"origin moved by {tile // 2} px", objects=len(found), same_objects=same_boxes(found, truth, 1e-6))
    return rows


def model_rows(folder: Path, model: str, quick: bool) -> list[dict[str, Any]]:
    """Agreement of the layers of a real model."""
    try:
        package = load_package(model)
        run = _Runs(folder / "model", package, create_backend(package))
    except NssaError as error:
        return [{"detector": model, "skipped": str(error)}]
    name = f"{package.info.name} {package.info.version}"
    base = run(_SCENE)
    rows: list[dict[str, Any]] = []
    tiles = (package.info.tile,) if quick else (512, 640, 1024)
    if not quick:
        for tile, overlap in ((512, 128), (640, 256), (1024, 128), (1024, 512)):
            f1 = agreement(base, run(_SCENE, tile=tile, overlap=overlap))
            rows.append({"detector": name, "what": f"tile {tile}, overlap {overlap}", "agreement_f1": round(f1, 4)})
    records = layer_records(base)
    for batch, workers in ((16, 4),) if quick else ((1, 1), (16, 4)):
        same = layer_records(run(_SCENE, batch_size=batch, workers=workers)) == records
        rows.append({"detector": name, "what": f"batch {batch}, threads {workers}", "same_records": same})
    for tile in tiles:
        moved = folder / "moved.tif"
        with rasterio.open(_SCENE) as data:
            pad(_SCENE, moved, round(tile / 2 * package.info.gsd / data.res[0]))
        still = base if tile == package.info.tile else run(_SCENE, tile=tile)
        f1 = agreement(still, run(moved, tile=tile))
        rows.append({"detector": name, "what": f"origin moved by half a tile of {tile}", "agreement_f1": round(f1, 4)})
    return rows


def main() -> None:
    """Measure and print."""
    options = parser("Same objects whatever the tiles, batches, threads and origin.")
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
