"""Test-time augmentation: a backend that runs several views of every tile and averages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nssa_gis.boxes.columns import TileDetections
from nssa_gis.boxes.consensus import consensus
from nssa_gis.model.config import PAD_MULTIPLE
from nssa_gis.raster.resample import resample_image
from nssa_gis.runtime.backends.protocol import Backend

Augmentation = Literal["none", "flip", "rot", "scale"]

#: Score threshold of a single view: so low that the mean does not depend on the threshold that the user asks for.
_VIEW_FLOOR = 0.02
#: Approximate scales of the ``scale`` views; the sides are rounded to multiples of 64.
_SCALES = (0.8, 1.25)

Pixels = NDArray[np.uint8]
Boxes = NDArray[np.float64]
Size = tuple[int, int]


@dataclass(frozen=True)
class View:
    """One view of a tile.

    Attributes
    ----------
    show : callable
        From tiles uint8 ``(B, C, H, W)`` to the view, contiguous.
    back : callable
        From boxes in pixels of the view, and the height and width of the tile, to boxes in pixels of the tile.
    """

    show: Callable[[Pixels], Pixels]
    back: Callable[[Boxes, Size], Boxes]


def _mirrored(across: bool, down: bool) -> View:
    def show(batch: Pixels) -> Pixels:
        return np.ascontiguousarray(batch[:, :, :: -1 if down else 1, :: -1 if across else 1])

    def back(boxes: Boxes, size: Size) -> Boxes:
        height, width = size
        x0, y0, x1, y1 = boxes.T
        x0, x1 = (width - x1, width - x0) if across else (x0, x1)
        y0, y1 = (height - y1, height - y0) if down else (y0, y1)
        return np.stack((x0, y0, x1, y1), 1)

    return View(show, back)


def _rotated(quarters: int) -> View:
    def show(batch: Pixels) -> Pixels:
        return np.ascontiguousarray(np.rot90(batch, quarters, (2, 3)))

    def back(boxes: Boxes, size: Size) -> Boxes:
        height, width = size[::-1] if quarters % 2 else size  # of the view
        x0, y0, x1, y1 = boxes.T
        for _ in range(quarters):  # each undoes one counter-clockwise quarter
            x0, y0, x1, y1 = height - y1, x0, height - y0, x1
            height, width = width, height
        return np.stack((x0, y0, x1, y1), 1)

    return View(show, back)


def _resized(factor: float) -> View:
    def view_size(size: Size) -> Size:
        height, width = (max(1, round(side * factor / PAD_MULTIPLE)) * PAD_MULTIPLE for side in size)
        return height, width

    def show(batch: Pixels) -> Pixels:
        height, width = view_size((batch.shape[2], batch.shape[3]))
        return np.stack([resample_image(tile, height, width) for tile in batch])

    def back(boxes: Boxes, size: Size) -> Boxes:
        (height, width), (seen_height, seen_width) = size, view_size(size)
        back_scale: Boxes = np.tile([width / seen_width, height / seen_height], 2)
        return boxes * back_scale

    return View(show, back)


VIEWS: dict[str, tuple[View, ...]] = {
    "flip": tuple(_mirrored(across, down) for down in (False, True) for across in (False, True)),
    "rot": tuple(map(_rotated, range(4))),
    "scale": (_mirrored(False, False), *map(_resized, _SCALES)),
}


class AugmentedBackend:
    """Run another backend on several views of every tile; scores and boxes are averaged.

    A view without a detection counts as 0, so the mean is lower than the score of one view. It is not a calibrated
    score, but it orders the detections better.

    Parameters
    ----------
    inner : Backend
        What runs the network.
    kind : {"flip", "rot", "scale"}
        Four mirror images, four quarter turns, or three sizes.
    """

    def __init__(self, inner: Backend, kind: str) -> None:
        self.inner, self.kind, self.views = inner, kind, VIEWS[kind]

    @property
    def batch_size(self) -> int:
        """Tiles per call, as for the other backend."""
        return self.inner.batch_size

    @property
    def description(self) -> str:
        """Device and precision in words, and the number of views."""
        return f"{self.inner.description}, {len(self.views)} views ({self.kind})"

    def predict(self, batch: NDArray[np.uint8], score_threshold: float) -> TileDetections:
        """Detect in tiles ``(B, C, H, W)``; see :meth:`nssa_gis.runtime.backends.protocol.Backend.predict`."""
        size = (batch.shape[2], batch.shape[3])
        parts = []
        for view in self.views:
            found = self.inner.predict(view.show(batch), min(_VIEW_FLOOR, score_threshold))
            parts.append(found.replace(boxes=view.back(found.boxes, size)))
        mean = consensus(parts)
        return mean.take(mean.scores >= score_threshold)


def with_views(backend: Backend, kind: Augmentation) -> Backend:
    """Wrap a backend, unless ``kind`` is ``none``."""
    return backend if kind == "none" else AugmentedBackend(backend, kind)
