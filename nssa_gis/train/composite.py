"""Training crops: composites of pieces of several images, rotated, scaled and recoloured at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from nssa_gis.labels.images import LabelledImage
from nssa_gis.raster.resample import resample_image
from nssa_gis.train.augmentation import degrade, recolour, shade
from nssa_gis.train.clutter import draw_clutter
from nssa_gis.train.paste import Paster

#: A piece narrower than this is filled from a source with large images, or left black (like nodata).
_MIN_PIECE = 40
#: Share of a box that must be visible; with less it becomes an ignore region.
_VISIBLE = 0.5
#: Boxes with a shorter side below this (pixels) are dropped.
_MIN_SIDE = 3.0
#: Share of the pieces of empty images that get pasted objects; the others stay empty.
_PASTED = 0.5
#: Share of the pieces that get drawn clutter.
_CLUTTERED = 0.25
#: Number of clutter drawings to choose from.
_CLUTTER = 200
#: How often a piece is divided at most.
_UNDIVIDED = 2


@dataclass
class Labels:
    """Labels of a crop; they grow with each piece that is added.

    Attributes
    ----------
    boxes : ndarray of float32, shape (N, 4)
        ``x0, y0, x1, y1`` in pixels.
    labels : ndarray of int64, shape (N,)
        Class index.
    ignore : ndarray of float32, shape (M, 4)
        Ignore regions: no classification loss there.
    ignore_class : ndarray of int64, shape (M,)
        The class that an ignore region is for; -1 for all.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    ignore: NDArray[np.float32]
    ignore_class: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Labels:
        """No labels."""
        return cls(
            np.empty((0, 4), np.float32),
            np.empty(0, np.int64),
            np.empty((0, 4), np.float32),
            np.empty(0, np.int64),
        )

    def extend(self, other: Labels, dx: float, dy: float) -> None:
        """Add the labels of a piece whose upper left corner is at (dx, dy)."""
        shift = np.array([dx, dy, dx, dy], np.float32)
        self.boxes = np.concatenate((self.boxes, other.boxes + shift))
        self.labels = np.concatenate((self.labels, other.labels))
        self.ignore = np.concatenate((self.ignore, other.ignore + shift))
        self.ignore_class = np.concatenate((self.ignore_class, other.ignore_class))


class CompositeCrops:
    """Map-style dataset of crops; crop number i is always the same.

    A crop is filled by pieces. The first image fills it if it is large enough; otherwise the rest is divided and filled
    from other images. Each piece has its own random scale, rotation by quarter turns, mirroring and colours.

    Parameters
    ----------
    sources : sequence of sequence of LabelledImage
        Images per source.
    weights : sequence of float
        Share of pieces per source.
    size : int
        Side of a crop in pixels.
    gsd : float
        Metres per pixel at scale 1.
    seed : int
        Everything random depends on (seed, i) only.
    scale : tuple of float
        Range of the random enlargement, log-uniform.
    split : float
        Probability that a piece is divided although its image would fill it.
    paster : Paster, optional
        Pastes objects on half of the pieces of images without objects.
    clutter : bool
        A quarter of the pieces seen from above, in which every class is labelled exhaustively, get drawn roof units,
        vents and skylights that are no objects.
    whole_from : int, optional
        From this crop number on a piece is never divided if its image fills it.
    """

    def __init__(
        self,
        sources: Sequence[Sequence[LabelledImage]],
        weights: Sequence[float],
        size: int,
        gsd: float,
        seed: int = 0,
        scale: tuple[float, float] = (0.6, 1.6),
        split: float = 0.35,
        paster: Paster | None = None,
        whole_from: int | None = None,
        clutter: bool = False,
    ) -> None:
        share = np.array([w if len(s) else 0.0 for s, w in zip(sources, weights, strict=True)])
        if share.sum() == 0:
            raise ValueError("no training images")
        self.sources, self.share = list(sources), share / share.sum()
        # images with many boxes are used more often, but empty ones are used too
        self.chance = [_normalised([_interest(i) * max(1.0, i.width * i.height / 1e6) for i in s]) for s in sources]
        self.size, self.gsd, self.seed, self.scale, self.split = size, gsd, seed, scale, split
        self.paster, self.whole_from = paster, whole_from
        self.litter = Paster(draw_clutter(_CLUTTER, seed)) if clutter else None

    def __getitem__(self, number: int) -> tuple[NDArray[np.uint8], Labels]:
        """Crop ``(3, size, size)`` uint8 and its labels."""
        rng = np.random.default_rng((self.seed, number))
        canvas = np.zeros((self.size, self.size, 3), np.uint8)
        labels = Labels.empty()
        whole = self.whole_from is not None and number >= self.whole_from
        self._fill(rng, canvas, labels, 0, 0, self.size, self.size, 0 if not whole else _UNDIVIDED)
        canvas = degrade(rng, shade(rng, canvas))
        return np.ascontiguousarray(canvas.transpose(2, 0, 1)), labels

    def _fill(
        self,
        rng: Generator,
        canvas: NDArray[np.uint8],
        labels: Labels,
        x: int,
        y: int,
        w: int,
        h: int,
        depth: int,
    ) -> None:
        """Fill the rectangle ``x, y, w, h`` of the canvas with pieces."""
        if min(w, h) < _MIN_PIECE or depth > 8:
            return
        if depth < _UNDIVIDED and rng.random() < self.split:
            part = int(rng.uniform(0.35, 0.65) * max(w, h))
            self._divide(rng, canvas, labels, (x, y, w, h), part, w >= h, depth)
            return
        image, zoom = self._draw(rng)
        turn = 0 if image.upright else int(rng.integers(4))  # with mirroring from left to right: all eight orientations
        height, width = image.height, image.width
        have_w, have_h = (int(side * zoom) for side in ((height, width) if turn % 2 else (width, height)))
        take_w, take_h = min(w, have_w), min(h, have_h)
        if min(take_w, take_h) < min(_MIN_PIECE, w, h):
            self._fill(rng, canvas, labels, x, y, w, h, depth + 1)
            return
        piece, found = cut_piece(rng, image, zoom, take_w, take_h, turn)
        if self.paster and image.is_empty and rng.random() < _PASTED:
            piece, boxes, classes = self.paster.lay(rng, piece, image.gsd / zoom)
            found.boxes, found.labels = boxes, classes
        if self.litter and not image.upright and rng.random() < _CLUTTERED:
            piece, *_ = self.litter.lay(rng, piece, image.gsd / zoom, np.concatenate((found.boxes, found.ignore)))
        canvas[y : y + take_h, x : x + take_w] = recolour(rng, piece)
        labels.extend(found, x, y)
        if take_w < w:
            self._fill(rng, canvas, labels, x + take_w, y, w - take_w, h, depth + 1)
        if take_h < h:
            self._fill(rng, canvas, labels, x, y + take_h, take_w, h - take_h, depth + 1)

    def _divide(
        self,
        rng: Generator,
        canvas: NDArray[np.uint8],
        labels: Labels,
        area: tuple[int, int, int, int],
        part: int,
        across: bool,
        depth: int,
    ) -> None:
        x, y, w, h = area
        if across:
            self._fill(rng, canvas, labels, x, y, part, h, depth + 1)
            self._fill(rng, canvas, labels, x + part, y, w - part, h, depth + 1)
        else:
            self._fill(rng, canvas, labels, x, y, w, part, depth + 1)
            self._fill(rng, canvas, labels, x, y + part, w, h - part, depth + 1)

    def _draw(self, rng: Generator) -> tuple[LabelledImage, float]:
        """Choose an image and its scale, from its pixels to those of the crop."""
        source = int(rng.choice(len(self.share), p=self.share))
        image = self.sources[source][int(rng.choice(len(self.chance[source]), p=self.chance[source]))]
        low, high = self.scale
        return image, image.gsd / self.gsd * float(np.exp(rng.uniform(np.log(low), np.log(high))))


def cut_piece(
    rng: Generator, image: LabelledImage, zoom: float, width: int, height: int, turn: int
) -> tuple[NDArray[np.uint8], Labels]:
    """Cut a piece near a random object or hard negative (4 of 5 times) or anywhere; resample, rotate, mirror it.

    Parameters
    ----------
    rng : Generator
        Randomness.
    image : LabelledImage
        The image.
    zoom : float
        Pixels of the piece per pixel of the image.
    width, height : int
        Size of the piece after the rotation.
    turn : int
        Quarter turns.

    Returns
    -------
    piece : ndarray of uint8, shape (height, width, 3)
    labels : Labels
        In pixels of the piece.
    """
    out_w, out_h = (height, width) if turn % 2 else (width, height)
    whole = max(out_w, round(image.width * zoom)), max(out_h, round(image.height * zoom))
    scale = np.array([whole[0] / image.width, whole[1] / image.height] * 2, np.float32)
    focus = np.concatenate((image.boxes, image.hard_negatives))
    if len(focus) and rng.random() < 0.8:
        box = scale * focus[int(rng.choice(len(focus), p=_normalised(_area(focus) ** 0.75)))]  # large ones are rare
        x0 = (box[0] + box[2]) / 2 - rng.uniform(0.1, 0.9) * out_w
        y0 = (box[1] + box[3]) / 2 - rng.uniform(0.1, 0.9) * out_h
    else:
        x0, y0 = rng.uniform(0, whole[0] - out_w), rng.uniform(0, whole[1] - out_h)
    left, top = int(np.clip(x0, 0, whole[0] - out_w)), int(np.clip(y0, 0, whole[1] - out_h))
    piece = resample_image(image.pixels, whole[1], whole[0], (left, top, left + out_w, top + out_h)).transpose(1, 2, 0)
    origin = np.array([left, top] * 2, np.float32)
    boxes, ignore = image.boxes * scale - origin, image.ignore * scale - origin
    mirror = bool(rng.random() < 0.5)
    piece = np.rot90(piece, turn)
    piece = piece[:, ::-1] if mirror else piece
    boxes, ignore = (_turn_boxes(b, out_w, out_h, turn, mirror, width) for b in (boxes, ignore))
    return piece, _clip(boxes, image.labels, ignore, image.ignore_classes, image.not_exhaustive, width, height)


def _turn_boxes(
    boxes: NDArray[np.float32], width: int, height: int, turn: int, mirror: bool, turned_width: int
) -> NDArray[np.float32]:
    """Rotate boxes of a ``width`` x ``height`` image as ``np.rot90(image, turn)`` rotates its pixels, then mirror."""
    x0, y0, x1, y1 = boxes.T
    for _ in range(turn):
        x0, y0, x1, y1 = y0, width - x1, y1, width - x0
        width, height = height, width
    if mirror:
        x0, x1 = turned_width - x1, turned_width - x0
    return np.stack((x0, y0, x1, y1), 1)


def _clip(
    boxes: NDArray[np.float32],
    labels: NDArray[np.int64],
    ignore: NDArray[np.float32],
    ignore_class: NDArray[np.int64],
    unlabelled: NDArray[np.bool_],
    width: int,
    height: int,
) -> Labels:
    """Clip to the piece; boxes that are mostly cut away become ignore regions."""
    limit = np.array([width, height, width, height], np.float32)
    inside = np.clip(boxes, 0, limit)
    size = inside[:, 2:] - inside[:, :2]
    full = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1e-6)
    touched = (size > 0).all(1)
    good = touched & (size.prod(1) >= _VISIBLE * full) & (size.min(1, initial=np.inf) >= _MIN_SIDE)
    areas = np.clip(ignore, 0, limit)
    left = (areas[:, 2:] > areas[:, :2]).all(1)
    excluded = np.flatnonzero(unlabelled)
    frame = np.broadcast_to(np.array([0, 0, width, height], np.float32), (len(excluded), 4))
    every = np.concatenate((areas[left], inside[touched & ~good]))
    classes = np.concatenate((ignore_class[left], np.full(len(every) - left.sum(), -1), excluded))
    return Labels(
        inside[good],
        labels[good],
        np.concatenate((every, frame)),
        classes.astype(np.int64),
    )


def _interest(image: LabelledImage) -> float:
    """How often an image is used: more often with many boxes, and more often with hard negatives."""
    return float(np.sqrt(4 + len(image.boxes)) * (1 + np.sqrt(len(image.hard_negatives))))


def _area(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    area: NDArray[np.float64] = np.maximum((boxes[:, 2:] - boxes[:, :2]).astype(np.float64).prod(1), 1.0)
    return area


def _normalised(values: list[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.array(values, np.float64)
    return weights / weights.sum() if len(weights) else weights
