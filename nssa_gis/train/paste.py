"""Copy-paste: objects cut out of one image and laid, with a shadow, on images that have none.

After Ghiasi et al., "Simple copy-paste is a strong data augmentation" (CVPR 2021), with box-shaped soft masks in the
place of outlines, and true sizes: an object keeps its metres whatever the image it is pasted on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from nssa_gis.train.datasets import LabelledImage

#: Boxes nearer to a square than this may stand askew: their corners would carry ground of the old place along.
_MIN_ASPECT = 1.6
#: Border cut with an object, as a share of its shorter side: room for the mask to fade out.
_MARGIN = 0.25
#: Shorter sides than this (pixels of the source) are too coarse to be laid elsewhere.
_MIN_SIDE = 12.0
#: Part of the pasted mask that counts as the object when its new box is measured.
_SOLID = 0.4
#: Metres that the tops of objects stand above the ground, for the length of their shadow.
_HEIGHT = 1.6


@dataclass(frozen=True)
class CutOut:
    """One object with its soft mask.

    Attributes
    ----------
    pixels : PIL.Image.Image
        RGBA, the long side across.
    gsd : float
        Metres per pixel.
    label : int
        Class index.
    """

    pixels: Image.Image
    gsd: float
    label: int


def cut_out(images: Sequence[LabelledImage], at_most: int = 4000, seed: int = 0) -> list[CutOut]:
    """Cut the upright, well resolved objects out of labelled images.

    Parameters
    ----------
    images : sequence of LabelledImage
        Where from.
    at_most : int
        A random choice of so many, if there are more.
    seed : int
        Of the choice.

    Returns
    -------
    list of CutOut
        Possibly empty.
    """
    places = [(i, k) for i, image in enumerate(images) for k in np.flatnonzero(_usable(image))]
    order = np.random.default_rng(seed).permutation(len(places))[:at_most]
    return [_cut(images[places[n][0]], int(places[n][1])) for n in np.sort(order)]


def _usable(image: LabelledImage) -> NDArray[np.bool_]:
    """Boxes that are elongated, sharp, inside the image with their margin and clear of one another."""
    if len(image.boxes) == 0:
        return np.zeros(0, bool)
    size = image.boxes[:, 2:] - image.boxes[:, :2]
    short, long = size.min(1), size.max(1)
    margin = (short * _MARGIN)[:, None]
    low, high = image.boxes[:, :2] - margin, image.boxes[:, 2:] + margin
    height, width = image.height, image.width
    inside = (low >= 0).all(1) & (high <= (width, height)).all(1)
    apart = ~((low[:, None] < image.boxes[None, :, 2:]).all(-1) & (high[:, None] > image.boxes[None, :, :2]).all(-1))
    clear = apart.sum(1) == len(size) - 1  # all but itself
    return (long >= _MIN_ASPECT * short) & (short >= _MIN_SIDE) & inside & clear


def _cut(image: LabelledImage, number: int) -> CutOut:
    box = image.boxes[number]
    size = box[2:] - box[:2]
    margin = float(size.min()) * _MARGIN
    left, top = np.floor(box[:2] - margin).astype(int).clip(0)
    right, bottom = np.ceil(box[2:] + margin).astype(int)
    patch = Image.fromarray(image.pixels[top:bottom, left:right])
    mask = Image.new("L", patch.size, 0)
    shape = [float(box[0] - left), float(box[1] - top), float(box[2] - left), float(box[3] - top)]
    ImageDraw.Draw(mask).rounded_rectangle(shape, radius=0.3 * float(size.min()), fill=255)
    patch.putalpha(mask.filter(ImageFilter.GaussianBlur(0.06 * float(size.min()))))
    if size[1] > size[0]:
        patch = patch.transpose(Image.Transpose.ROTATE_90)
    return CutOut(patch, image.gsd, int(image.labels[number]))


class Paster:
    """Lays cut-outs on a piece of ground.

    Parameters
    ----------
    bank : sequence of CutOut
        What is laid.
    """

    def __init__(self, bank: Sequence[CutOut]) -> None:
        self.bank = list(bank)

    def lay(
        self, rng: Generator, piece: NDArray[np.uint8], gsd: float
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]:
        """Lay single objects and parked rows at true size.

        Parameters
        ----------
        rng : Generator
            Randomness.
        piece : ndarray of uint8, shape (H, W, 3)
            Ground without objects; not changed.
        gsd : float
            Its metres per pixel.

        Returns
        -------
        piece : ndarray of uint8, shape (H, W, 3)
        boxes : ndarray of float32, shape (N, 4)
            ``x0, y0, x1, y1`` in pixels of the piece.
        labels : ndarray of int64, shape (N,)
        """
        canvas = piece.astype(np.float32)
        sun = rng.uniform(0, 2 * np.pi)
        reach = _HEIGHT * rng.uniform(0.2, 1.2) / gsd
        shadow = (round(reach * np.cos(sun)), round(reach * np.sin(sun)), rng.uniform(0.1, 0.65))
        boxes: list[tuple[float, float, float, float]] = []
        labels: list[int] = []
        for _ in range(int(rng.integers(1, 5))):
            for x, y, angle in self._places(rng, piece.shape, gsd):
                item = self.bank[int(rng.integers(len(self.bank)))]
                patch = _turned(item, angle, gsd / rng.uniform(0.92, 1.08))
                box = _lay_one(canvas, patch, x, y, shadow, float(rng.uniform(0.75, 1.2)), boxes)
                if box is not None:
                    boxes.append(box)
                    labels.append(item.label)
        return (
            canvas.clip(0, 255).astype(np.uint8),
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array(labels, np.int64),
        )

    def _places(self, rng: Generator, shape: tuple[int, ...], gsd: float) -> list[tuple[float, float, float]]:
        """Give one centre and angle (degrees), or a row of them side by side."""
        x, y, angle = rng.uniform(0, shape[1]), rng.uniform(0, shape[0]), rng.uniform(0, 360)
        number = int(rng.integers(3, 8)) if rng.random() < 0.3 else 1
        step = rng.uniform(2.5, 3.2) / gsd
        # rows stand across the direction the objects look in; an image's y points down, hence the signs
        across = np.deg2rad(angle + 90)
        at = np.arange(number) * step
        kept = rng.random(number) < 0.8 if number > 1 else np.ones(1, bool)
        flips = np.where(rng.random(number) < 0.5, 0.0, 180.0)
        wobble = rng.normal(0, 2.0, number) if number > 1 else np.zeros(1)
        return [
            (x + a * np.cos(across), y - a * np.sin(across), angle + f + w)
            for a, f, w, k in zip(at, flips, wobble, kept, strict=True)
            if k
        ]


def _turned(item: CutOut, angle: float, gsd: float) -> NDArray[np.float32]:
    """Resample to ``gsd`` and turn counter-clockwise: RGBA ``(h, w, 4)``."""
    zoom = item.gsd / gsd
    size = (max(2, round(item.pixels.width * zoom)), max(2, round(item.pixels.height * zoom)))
    patch = item.pixels.resize(size, Image.Resampling.BOX if zoom < 0.75 else Image.Resampling.BILINEAR)
    return np.asarray(patch.rotate(angle, Image.Resampling.BILINEAR, expand=True), np.float32)


def _lay_one(
    canvas: NDArray[np.float32],
    patch: NDArray[np.float32],
    x: float,
    y: float,
    shadow: tuple[int, int, float],
    light: float,
    taken: Sequence[tuple[float, float, float, float]],
) -> tuple[float, float, float, float] | None:
    """Blend a patch centred on (x, y) and its shadow into the canvas; its box, or None where there is no room."""
    h, w = patch.shape[:2]
    left, top = round(x - w / 2), round(y - h / 2)
    mask = patch[..., 3] / 255
    rows, cols = np.flatnonzero((mask > _SOLID).any(1)), np.flatnonzero((mask > _SOLID).any(0))
    if len(rows) == 0 or len(cols) == 0:
        return None
    box = (left + cols[0], top + rows[0], left + cols[-1] + 1, top + rows[-1] + 1)
    height, width = canvas.shape[:2]
    if left < 0 or top < 0 or left + w > width or top + h > height:
        return None
    if any(box[0] < b[2] and box[2] > b[0] and box[1] < b[3] and box[3] > b[1] for b in taken):
        return None
    dx, dy, strength = shadow
    x0, y0 = max(left + dx, 0), max(top + dy, 0)
    x1, y1 = min(left + dx + w, width), min(top + dy + h, height)
    if x1 > x0 and y1 > y0:
        part = mask[y0 - top - dy : y1 - top - dy, x0 - left - dx : x1 - left - dx, None]
        canvas[y0:y1, x0:x1] *= 1 - strength * part
    under = canvas[top : top + h, left : left + w]
    under += mask[..., None] * (patch[..., :3] * light - under)
    return tuple(map(float, box))  # type: ignore[return-value]
