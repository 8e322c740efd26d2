"""Seams with real labels: labelled images in small tiles, a real model, every merge, scored against the labels.

The images are the held-out ones of a recipe, at the model's GSD. "whole" is the reference without seams: the network
sees each image in one piece. AP50 uses all boxes with a score above 0.02. Precision, recall and F1 use a run at the
model's own threshold, as in `detect`: weaker candidates take part in the merge and are dropped after it.
`raw_per_object` is the number of boxes that the merge gets, per object.

``python -m benchmarks.real_seams --data-root DIR [--model NAME|FILE] [--sources A,B] [--quick] [--json FILE]``
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nssa_gis
from benchmarks.engine import parser, print_rows, write_json
from benchmarks.overlap_merge import METHODS, merge
from nssa_gis.boxes.columns import Detections, GridDetections, SceneDetections
from nssa_gis.detect.plan import CANDIDATE_SHARE
from nssa_gis.errors import NssaError
from nssa_gis.evaluate.coco import evaluate_boxes, ignored, match
from nssa_gis.geo.grid import TileGrid
from nssa_gis.labels.images import LabelledImage
from nssa_gis.labels.truth import ImageTruth
from nssa_gis.raster.resample import resample_image
from nssa_gis.runtime.backends.protocol import Backend, create_backend
from nssa_gis.runtime.package import DEFAULT_MODEL, ModelPackage, load_package
from nssa_gis.train.datasets import load_split
from nssa_gis.train.recipe import load_recipe

RECIPE = Path(nssa_gis.__file__).parent / "train" / "recipes" / "vehicles.toml"
_TILINGS = ((128, 64), (256, 64))
_FLOOR = 0.02

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sheet:
    """One image on the model's grid.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (3, H, W)
    truth : ImageTruth
        In its pixels.
    """

    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    truth: ImageTruth

    @classmethod
    def of(cls, image: LabelledImage, gsd: float) -> Sheet:
        """Resample an image to a GSD."""
        height, width = image.height, image.width
        w, h = (max(1, round(side * image.gsd / gsd)) for side in (width, height))
        scale = np.array([w / width, h / height] * 2, np.float32)
        return cls(resample_image(image.pixels, h, w), image.truth(scale))

    def window(self, x0: int, y0: int, width: int, height: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Cut out a window (1, 3, height, width); pixels outside the image are 0."""
        room = np.zeros((1, 3, height, width), np.uint8)
        part = self.pixels[:, y0 : y0 + height, x0 : x0 + width]
        room[0, :, : part.shape[1], : part.shape[2]] = part
        return room


def whole(sheet: Sheet, backend: Backend, multiple: int) -> SceneDetections:
    """Run the network on the image in one piece."""
    height, width = sheet.pixels.shape[1:]
    found = backend.predict(sheet.window(0, 0, width + -width % multiple, height + -height % multiple), _FLOOR)
    boxes, inside = _clipped(found.boxes, width, height)
    return SceneDetections.of(boxes, found.scores[inside], found.labels[inside])


def tiled(sheet: Sheet, backend: Backend, grid: TileGrid) -> GridDetections:
    """Raw detections of all tiles, as the merge gets them in a run."""
    parts = [GridDetections.empty()]
    for number, (x0, y0, x1, y1) in enumerate(grid.windows(np.arange(len(grid))).tolist()):
        found = backend.predict(sheet.window(x0, y0, x1 - x0, y1 - y0), _FLOOR)
        boxes, inside = _clipped(found.boxes + np.array([x0, y0, x0, y0]), grid.width, grid.height)
        tile = np.full(len(boxes), number)
        cut = grid.cut_sides(boxes, tile)
        parts.append(GridDetections.of(boxes, found.scores[inside], found.labels[inside], tile, cut))
    return GridDetections.concat(parts)


def _clipped(boxes: Floats, width: int, height: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Boxes clipped to an image, without those outside it, and which ones these are."""
    boxes = np.clip(boxes, 0, np.array([width, height] * 2, np.float64))
    inside = np.asarray((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    return boxes[inside], inside


def _final(found: Detections) -> SceneDetections:
    """Take the detections as those of a scene: an image is processed on its own grid."""
    return SceneDetections(found.boxes, found.scores, found.labels)


def figures(
    truths: Sequence[ImageTruth], all_: Sequence[SceneDetections], confident: Sequence[SceneDetections]
) -> dict[str, Any]:
    """AP50 of all boxes; precision, recall and F1 of the boxes that a user would get."""
    classes = 1 + max(int(np.concatenate([d.labels, t.labels, [0]]).max()) for d, t in zip(all_, truths, strict=True))
    ap50 = evaluate_boxes(truths, all_, classes).ap50
    kept = [d.take(~ignored(d, t)) for t, d in zip(truths, confident, strict=True)]
    hits = sum(int(np.count_nonzero(match(t, d))) for t, d in zip(truths, kept, strict=True))
    found, total = sum(map(len, kept)), sum(len(t.boxes) for t in truths)
    return {
        "objects": total,
        "ap50": round(ap50, 4),
        "precision": round(hits / max(found, 1), 4),
        "recall": round(hits / max(total, 1), 4),
        "f1": round(2 * hits / max(found + total, 1), 4),
    }


def rows_of(source: str, sheets: Sequence[Sheet], backend: Backend, package: ModelPackage) -> list[dict[str, Any]]:
    """Run all tilings and methods on the images of one source."""
    truths, least = [s.truth for s in sheets], package.info.score_threshold
    single = [whole(s, backend, package.info.stride) for s in sheets]
    rows = [{"source": source, "tile": "whole", "overlap": 0, "method": "none", "raw_per_object": 1.0}]
    rows[0] |= figures(truths, single, [d.take(d.scores >= least) for d in single])
    for tile, overlap in _TILINGS:
        grids = [TileGrid(s.pixels.shape[2], s.pixels.shape[1], tile, overlap, package.info.stride) for s in sheets]
        raw = [tiled(s, backend, g) for s, g in zip(sheets, grids, strict=True)]
        share = sum(map(len, raw)) / max(sum(map(len, single)), 1)
        for method in METHODS:
            merged = [_final(merge(d, g, method)) for d, g in zip(raw, grids, strict=True)]
            confident = []
            for found, grid in zip(raw, grids, strict=True):
                candidates = found.take(found.scores >= least * CANDIDATE_SHARE)
                final = _final(merge(candidates, grid, method))
                confident.append(final.take(final.scores >= least))
            row = {"source": source, "tile": tile, "overlap": overlap, "method": method}
            rows.append(row | {"raw_per_object": round(share, 2)} | figures(truths, merged, confident))
    return rows


def measure(asked: Any) -> list[dict[str, Any]]:
    """Run all sources; return the rows, or the reason why data or model is missing."""
    if not asked.data_root:
        return [{"source": "all", "skipped": "no --data-root, the folder of the labelled images"}]
    try:
        package = load_package(asked.model)
        backend = create_backend(package)
        recipe = load_recipe(asked.recipe, asked.data_root)
        held_out = load_split(recipe, "val")
    except NssaError as error:
        return [{"source": "all", "skipped": str(error)}]
    wanted = [name for name in asked.sources.split(",") if name]
    rows: list[dict[str, Any]] = []
    for images in held_out:
        images = [i for i in images if i.can_be_scored]
        if not images or (wanted and images[0].source not in wanted):
            continue
        if asked.quick:
            images = [images[i] for i in np.unique(np.linspace(0, len(images) - 1, 3).astype(int))]
        rows += rows_of(images[0].source, [Sheet.of(i, package.info.gsd) for i in images], backend, package)
    return rows or [{"source": asked.sources or "all", "skipped": "no held-out image of these sources"}]


def main() -> None:
    """Measure and print."""
    options = parser("Seams with a real model on labelled images.")
    options.add_argument("--data-root", type=Path, action="append", help="folder of the sources")
    options.add_argument("--model", default=DEFAULT_MODEL, help="built-in name or package (default %(default)s)")
    options.add_argument("--recipe", type=Path, default=RECIPE, help="recipe that states the held-out scenes")
    options.add_argument("--sources", default="kit_ais,dota_vehicles", help="of the recipe (default %(default)s)")
    asked = options.parse_args()
    rows = measure(asked)
    print_rows(rows)
    write_json(rows, asked.json)


if __name__ == "__main__":
    main()
