"""A model over a labelled dataset: what is scored by a protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nssa_gis.boxes.columns import GridDetections, SceneDetections
from nssa_gis.geo.grid import TileGrid
from nssa_gis.labels.table import Entry
from nssa_gis.labels.truth import ImageTruth
from nssa_gis.model.config import PAD_MULTIPLE
from nssa_gis.raster.scene import open_scene
from nssa_gis.raster.whole import read_whole
from nssa_gis.runtime.backends.protocol import Backend
from nssa_gis.runtime.package import ModelInfo
from nssa_gis.seams.merge import merge_detections

#: Images up to this side go through the network whole, larger ones in tiles of this size.
_TILE = 1536
#: Low enough for the precision-recall curve but for the last of its tail.
_FLOOR = 0.01


def spread(entries: Sequence[Entry], limit: int | None) -> list[Entry]:
    """At most ``limit`` of the images, evenly spread from the first to the last."""
    if not limit or limit >= len(entries):
        return list(entries)
    return [entries[round(k * (len(entries) - 1) / max(limit - 1, 1))] for k in range(limit)]


def only_classes(
    truths: Sequence[ImageTruth], found: Sequence[SceneDetections], used: Sequence[int]
) -> tuple[list[ImageTruth], list[SceneDetections]]:
    """Leave out classes of the model that the dataset does not label, and number the others anew.

    Parameters
    ----------
    truths, found : sequences
        Labels and detections per image; all labels are among ``used``.
    used : sequence of int
        Classes of the model to keep.
    """
    number = np.full(max(used) + 2, -1)  # its last element is the -1 of no class
    number[list(used)] = np.arange(len(used))
    known = [d.take(np.isin(d.labels, used)) for d in found]
    return (
        [replace(t, labels=number[t.labels], ignore_labels=number[t.ignore_classes]) for t in truths],
        [SceneDetections.of(d.boxes, d.scores, number[d.labels]) for d in known],
    )


def detect_entries(
    backend: Backend,
    info: ModelInfo,
    entries: Sequence[Entry],
    scale: float | None,
    gsd: float | None,
    report: Callable[[int], None] = lambda done: None,
) -> list[SceneDetections]:
    """Detect in every image.

    Parameters
    ----------
    backend : Backend
        What runs the network.
    info : ModelInfo
        The model's.
    entries : sequence of Entry
        The images.
    scale : float or None
        Enlargement; by default from the image's GSD to the model's.
    gsd : float or None
        Metres per pixel of images that state none; without it their pixels are used as they are.
    report : callable
        Takes the number of images done.

    Returns
    -------
    list of SceneDetections
        Per image, in its own pixels, by falling score.

    Raises
    ------
    NssaError
        An image cannot be read.
    """
    found = []
    for done, entry in enumerate(entries, 1):
        own = entry.gsd or gsd
        zoom = scale or (own / info.gsd if own else 1.0)
        with open_scene(entry.path) as scene:
            width, height = scene.frame.width, scene.frame.height
            w, h = max(1, round(width * zoom)), max(1, round(height * zoom))
            pixels = read_whole(scene, h, w)
        seen = detect_array(backend, info, pixels)
        boxes = seen.boxes * np.array([width / w, height / h] * 2)
        order = np.argsort(-seen.scores, kind="stable")
        found.append(SceneDetections.of(boxes, seen.scores, seen.labels).take(order))
        report(done)
    return found


def detect_array(backend: Backend, info: ModelInfo, pixels: NDArray[np.uint8]) -> SceneDetections:
    """Detect in an RGB array ``(3, H, W)`` at the model's GSD, tiled if it is large; boxes in its pixels."""
    height, width = pixels.shape[1:]
    if max(height, width) <= _TILE:
        batch = _padded(pixels, height + -height % PAD_MULTIPLE, width + -width % PAD_MULTIPLE)
        found = backend.predict(batch[None], _FLOOR)
        boxes = np.clip(found.boxes, 0, np.array([width, height] * 2))
        kept = (boxes[:, 2:] > boxes[:, :2]).all(1)
        return SceneDetections.of(boxes[kept], found.scores[kept], found.labels[kept])
    grid = TileGrid(width, height, _TILE, info.overlap, PAD_MULTIPLE)
    parts = []
    for number in range(len(grid)):
        x0, y0, x1, y1 = grid.windows([number])[0].tolist()
        found = backend.predict(_padded(pixels[:, y0:y1, x0:x1], _TILE, _TILE)[None], _FLOOR)
        boxes = np.clip(found.boxes + np.array([x0, y0] * 2), 0, np.array([width, height] * 2))
        ids = np.full(len(boxes), number)
        placed = GridDetections.of(boxes, found.scores, found.labels, ids, grid.cut_sides(boxes, ids))
        parts.append(placed.take((boxes[:, 2:] > boxes[:, :2]).all(1)))
    merged = merge_detections(GridDetections.concat(parts), grid)
    return SceneDetections(merged.boxes, merged.scores, merged.labels)


def _padded(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """``(3, H, W)`` to ``(3, height, width)``, zeros right and below."""
    room = np.zeros((3, height, width), np.uint8)
    room[:, : pixels.shape[1], : pixels.shape[2]] = pixels
    return room
