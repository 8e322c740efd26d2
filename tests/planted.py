"""A scene of bright rectangles and a detector that finds exactly those: the pipeline without a network."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import rasterio
from rasterio.features import shapes
from rasterio.transform import Affine

from nssa_gis.boxes.columns import TileDetections
from nssa_gis.runtime.package import ModelInfo, ModelPackage

GSD = 0.25


def make_scene(
    path: Path, width=1000, height=700, crs="EPSG:32633", objects=None, transform=None, **profile
) -> np.ndarray:
    """Write an RGB scene; class 0 is red, class 1 is green. Returns the boxes (N, 4) with the class appended."""
    if objects is None:
        rng = np.random.default_rng(7)
        x, y = np.meshgrid(np.arange(8, width - 24, 36), np.arange(8, height - 24, 36))
        x0, y0 = x.ravel() + rng.integers(0, 10, x.size), y.ravel() + rng.integers(0, 10, x.size)
        size = rng.integers(6, 15, (2, x.size))
        objects = np.stack([x0, y0, x0 + size[0], y0 + size[1], rng.integers(0, 2, x.size)], axis=1)
    pixels = np.full((3, height, width), 10, np.uint8)
    for x0, y0, x1, y1, label in objects:
        pixels[label, y0:y1, x0:x1] = 250
    transform = transform or Affine(GSD, 0, 500000, 0, -GSD, 5300000)
    settings = {"driver": "GTiff", "width": width, "height": height, "count": 3, "dtype": "uint8"} | profile
    if crs is not None:
        settings |= {"crs": crs, "transform": transform}
    with rasterio.open(path, "w", **settings) as data:
        data.write(pixels)
    return np.asarray(objects)


def make_package(folder: Path, **changes) -> ModelPackage:
    path = folder / "planted.safetensors"
    path.write_bytes(b"planted")
    values = {
        "name": "planted",
        "version": "1",
        "network": {},
        "classes": ("car", "boat"),
        "gsd": GSD,
        "gsd_range": (0.1, 0.5),
        "tile": 256,
        "overlap": 64,
        "licence": "CC0",
    } | changes
    return ModelPackage(path, ModelInfo(**values))


class PlantedBackend:
    """Finds rectangles brighter than the ground; ``delay`` seconds per batch make a run slow enough to be killed."""

    description = "planted"

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.tiles = 0

    def predict(self, batch: np.ndarray, score_threshold: float) -> TileDetections:
        time.sleep(self.delay)
        self.tiles += len(batch)
        parts = [TileDetections.empty()]
        for index, tile in enumerate(batch):
            for label in (0, 1):
                boxes = rectangles(tile[label] > 128)
                scores = 0.5 + 0.4 * ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) % 17) / 17
                found = TileDetections.of(boxes, scores, label, index)
                parts.append(found.take(scores >= score_threshold))
        return TileDetections.concat(parts)


def rectangles(mask: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) of the separate patches of a mask, from the left."""
    boxes = _corners(mask)
    if boxes is None:
        patches = shapes(mask.astype(np.uint8), mask=mask, connectivity=8)
        outlines = [np.array(shape["coordinates"][0]) for shape, _ in patches]
        boxes = np.array([np.concatenate([outline.min(0), outline.max(0)]) for outline in outlines]).reshape(-1, 4)
    return boxes[np.lexsort(boxes.T[::-1])]


def _corners(mask: np.ndarray) -> np.ndarray | None:
    """Do the same from corners, ten times faster; None unless all patches are rectangles that do not touch."""
    room = np.pad(mask, 1)
    y, x = np.nonzero(room)
    near = {(dy, dx): room[y + dy, x + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)}
    left, right, above, below = (~near[d] for d in ((0, -1), (0, 1), (-1, 0), (1, 0)))
    top_left, top_right, bottom_left = left & above, right & above, left & below
    diagonal = sum(near[-1, dx] & above & side | near[1, dx] & below & side for dx, side in ((-1, left), (1, right)))
    x0, y0, x1 = x[top_left] - 1, y[top_left] - 1, x[top_right]
    column = np.lexsort((y[bottom_left], x[bottom_left]))
    ends = y[bottom_left][column]
    if np.any(diagonal) or not len(x0) == len(x1) == len(ends):
        return None
    y1 = np.empty_like(y0)
    y1[np.lexsort((y0, x0))] = ends
    boxes = np.stack([x0, y0, x1, y1], axis=1).astype(np.float64)
    # Pieces of other shapes have corners too, but not the area and the sides that these would span.
    width, height = x1 - x0, y1 - y0
    spans = ((width * height).sum(), width.sum(), height.sum()) == (len(x), above.sum(), left.sum())
    return boxes if spans and (width > 0).all() and (height > 0).all() else None
