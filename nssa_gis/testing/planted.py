"""A scene of bright rectangles and a detector that finds exactly those."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.features import shapes
from rasterio.transform import Affine

from nssa_gis.boxes.columns import TileDetections
from nssa_gis.detect.detector import Detector
from nssa_gis.runtime.package import ModelInfo, ModelPackage, save_package
from nssa_gis.runtime.views import Augmentation, with_views

#: Metres per pixel of a made scene and of the planted detector.
GSD = 0.25


def make_scene(
    path: str | os.PathLike[str],
    width: int = 1000,
    height: int = 700,
    crs: str | None = "EPSG:32633",
    objects: Sequence[Sequence[int]] | None = None,
    transform: Affine | None = None,
    **profile: Any,
) -> NDArray[np.int64]:
    """Write a dark RGB scene with bright rectangles; class 0 is red, class 1 is green.

    Parameters
    ----------
    path : path
        The image, a GeoTIFF unless ``driver`` is given.
    width, height : int
        Pixels.
    crs : str or None
        None leaves the georeference out.
    objects : sequence of (x0, y0, x1, y1, class), optional
        Pixels; by default a field of rectangles of 6 to 14 px.
    transform : Affine, optional
        From pixels to map coordinates.
    **profile
        Creation options of rasterio.

    Returns
    -------
    ndarray of int64, shape (N, 5)
        ``objects``.
    """
    if objects is None:
        rng = np.random.default_rng(7)
        x, y = np.meshgrid(np.arange(8, width - 24, 36), np.arange(8, height - 24, 36))
        x0, y0 = x.ravel() + rng.integers(0, 10, x.size), y.ravel() + rng.integers(0, 10, x.size)
        size = rng.integers(6, 15, (2, x.size))
        table = np.stack([x0, y0, x0 + size[0], y0 + size[1], rng.integers(0, 2, x.size)], axis=1)
    else:
        table = np.asarray(objects, np.int64).reshape(-1, 5)
    pixels = np.full((3, height, width), 10, np.uint8)
    for left, top, right, bottom, label in table.tolist():
        pixels[label, top:bottom, left:right] = 250
    transform = transform or Affine(GSD, 0, 500000, 0, -GSD, 5300000)
    settings = {"driver": "GTiff", "width": width, "height": height, "count": 3, "dtype": "uint8"} | profile
    if crs is not None:
        settings |= {"crs": crs, "transform": transform}
    with rasterio.open(path, "w", **settings) as data:
        data.write(pixels)
    return table


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


def planted_info(**changes: Any) -> ModelInfo:
    """Describe the planted detector: classes ``car`` and ``boat``, tiles of 256 px that overlap by 64."""
    values: dict[str, Any] = {
        "name": "planted",
        "version": "1",
        "network": {},
        "classes": ("car", "boat"),
        "gsd": GSD,
        "gsd_range": (0.1, 0.5),
        "tile": 256,
        "overlap": 64,
        "licence": "CC0",
    }
    return ModelInfo(**values | changes)


def make_package(folder: str | os.PathLike[str], **changes: Any) -> ModelPackage:
    """Write ``planted.safetensors``: metadata of :func:`planted_info`, no weights."""
    path = Path(folder) / "planted.safetensors"
    info = planted_info(**changes)
    save_package(path, {}, info)
    return ModelPackage(path, info)


class PlantedBackend:
    """Finds rectangles brighter than the ground.

    Parameters
    ----------
    delay : float
        Seconds per batch: makes a run slow enough to be killed.

    Attributes
    ----------
    tiles : int
        Tiles seen so far.
    """

    description = "planted"
    batch_size = 4

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.tiles = 0

    def predict(self, batch: NDArray[np.uint8], score_threshold: float) -> TileDetections:
        """Find the rectangles; the score is a function of the area, from 0.5 to 0.9."""
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


class PlantedDetector(Detector):
    """A detector that runs a :class:`PlantedBackend`.

    Parameters
    ----------
    package : ModelPackage, optional
        From :func:`make_package`, where a model file matters.
    backend : PlantedBackend, optional
        Another one, such as one that counts or fails.
    tta : {"none", "flip", "rot", "scale"}
        Test-time augmentation.
    """

    def __init__(
        self, package: ModelPackage | None = None, backend: PlantedBackend | None = None, tta: Augmentation = "none"
    ) -> None:
        self.backend = backend or PlantedBackend()
        self.tta = tta
        self.info = planted_info() if package is None else package.info
        self.files = () if package is None else (os.fspath(package.path),)
        if package is not None:
            self._package = package
        self._backend = with_views(self.backend, tta)

    def close(self) -> None:
        """Keep the backend: it is not made again."""


def rectangles(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Boxes (N, 4) of the separate patches of a mask, from the left."""
    boxes = _corners(mask)
    if boxes is None:
        patches = shapes(mask.astype(np.uint8), mask=mask, connectivity=8)
        outlines = [np.array(shape["coordinates"][0]) for shape, _ in patches]
        boxes = np.array([np.concatenate([outline.min(0), outline.max(0)]) for outline in outlines]).reshape(-1, 4)
    return boxes[np.lexsort(boxes.T[::-1])]


def _corners(mask: NDArray[np.bool_]) -> NDArray[np.float64] | None:
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
