"""Copy-paste: cut objects out of one image and paste them, with a shadow, on images without objects.

After Ghiasi et al., "Simple copy-paste is a strong data augmentation" (CVPR 2021), with two differences: the masks are
soft boxes instead of outlines, and a pasted object keeps its size in metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from nssa_gis.labels.images import LabelledImage
from nssa_gis.raster.resample import resample_image

#: Minimum elongation of a box. In a squarer box the object may be slanted, and the corners would show its old ground.
_MIN_ASPECT = 1.6
#: Border that is cut out with an object, as a share of its shorter side; the mask fades out in it.
_MARGIN = 0.25
#: Minimum of the shorter side, pixels of the source; smaller objects are too coarse to paste.
_MIN_SIDE = 12.0
#: Part of the pasted mask that counts as the object when its new box is measured.
_SOLID = 0.4
#: Height of the objects above the ground in metres, for the length of their shadow.
_HEIGHT = 1.6
#: Objects have the same length if the logarithms of their lengths differ by at most this (a factor of 1.28).
_ALIKE = 0.25
#: Distance from one object to the next in a row, in widths of a cut-out with its margins: gaps from 0.1 m to a door.
_ROW_STEP = (0.8, 1.1)
#: Share of the pixels of an object that may overlap another one.
_COVERED = 0.02
#: Cotangent of the sun's elevation: from 70 down to 27 degrees.
_SUN = (0.35, 2.0)
#: Share of the light that a shadow removes.
_DARK = (0.1, 0.7)


@dataclass(frozen=True)
class CutOut:
    """One object with its soft mask.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (4, h, w)
        Red, green, blue, opacity; the long side across.
    gsd : float
        Metres per pixel.
    label : int
        Class index.
    """

    pixels: NDArray[np.uint8]
    gsd: float
    label: int


def cut_out(
    images: Sequence[LabelledImage], at_most: int = 4000, seed: int = 0, widest: float | None = None
) -> list[CutOut]:
    """Cut upright, well resolved objects out of labelled images.

    Parameters
    ----------
    images : sequence of LabelledImage
        Source of the objects.
    at_most : int
        Maximum number; if there are more, a random choice.
    seed : int
        Seed of the choice.
    widest : float, optional
        Maximum of the shorter side in metres; in a wider box even a long object is slanted.

    Returns
    -------
    list of CutOut
        Possibly empty.
    """
    places = [(i, k) for i, image in enumerate(images) for k in np.flatnonzero(_usable(image, widest))]
    order = np.random.default_rng(seed).permutation(len(places))[:at_most]
    return [_cut(images[places[n][0]], int(places[n][1])) for n in np.sort(order)]


def _usable(image: LabelledImage, widest: float | None) -> NDArray[np.bool_]:
    """Boxes that are elongated, sharp, inside the image with their margin, and free of other boxes."""
    if len(image.boxes) == 0:
        return np.zeros(0, bool)
    size = image.boxes[:, 2:] - image.boxes[:, :2]
    short, long = size.min(1), size.max(1)
    margin = (short * _MARGIN)[:, None]
    low, high = image.boxes[:, :2] - margin, image.boxes[:, 2:] + margin
    height, width = image.height, image.width
    inside = (low >= 0).all(1) & (high <= (width, height)).all(1)
    apart = ~((low[:, None] < image.boxes[None, :, 2:]).all(-1) & (high[:, None] > image.boxes[None, :, :2]).all(-1))
    clear = apart.sum(1) == len(size) - 1  # all other boxes
    straight = short * image.gsd <= (np.inf if widest is None else widest)
    usable: NDArray[np.bool_] = (long >= _MIN_ASPECT * short) & (short >= _MIN_SIDE) & straight & inside & clear
    return usable


def _cut(image: LabelledImage, number: int) -> CutOut:
    box = image.boxes[number]
    size = box[2:] - box[:2]
    margin = float(size.min()) * _MARGIN
    left, top = np.floor(box[:2] - margin).astype(int).clip(0)
    right, bottom = np.ceil(box[2:] + margin).astype(int)
    patch = Image.fromarray(np.ascontiguousarray(image.pixels[:, top:bottom, left:right].transpose(1, 2, 0)))
    mask = Image.new("L", patch.size, 0)
    shape = [float(box[0] - left), float(box[1] - top), float(box[2] - left), float(box[3] - top)]
    ImageDraw.Draw(mask).rounded_rectangle(shape, radius=0.3 * float(size.min()), fill=255)
    patch.putalpha(mask.filter(ImageFilter.GaussianBlur(0.06 * float(size.min()))))
    if size[1] > size[0]:
        patch = patch.transpose(Image.Transpose.ROTATE_90)
    return CutOut(np.ascontiguousarray(np.asarray(patch).transpose(2, 0, 1)), image.gsd, int(image.labels[number]))


class Paster:
    """Pastes cut-outs on a piece of ground.

    Parameters
    ----------
    bank : sequence of CutOut
        The objects.
    """

    def __init__(self, bank: Sequence[CutOut]) -> None:
        self.bank = list(bank)
        size = np.array([item.pixels.shape[1:] for item in bank]).reshape(-1, 2) * [[item.gsd] for item in bank]
        self.width, length = size[:, 0], np.log(size[:, 1])
        order = np.sort(length)
        alike = np.searchsorted(order, length + _ALIKE) - np.searchsorted(order, length - _ALIKE)
        # lengths that are rare in the bank are drawn more often
        self.length, self.chance = length, alike**-0.5 / (alike**-0.5).sum()

    def lay(
        self, rng: Generator, piece: NDArray[np.uint8], gsd: float, occupied: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]:
        """Paste single objects and parked rows at true size.

        Parameters
        ----------
        rng : Generator
            Randomness.
        piece : ndarray of uint8, shape (H, W, 3)
            Ground; not changed.
        gsd : float
            Its GSD, metres per pixel.
        occupied : ndarray of float32, shape (M, 4), optional
            ``x0, y0, x1, y1`` of objects that are already there.

        Returns
        -------
        piece : ndarray of uint8, shape (H, W, 3)
        boxes : ndarray of float32, shape (N, 4)
            ``x0, y0, x1, y1`` in pixels of the piece.
        labels : ndarray of int64, shape (N,)
        """
        canvas = piece.astype(np.float32)
        sun = rng.uniform(0, 2 * np.pi)
        reach = _HEIGHT * rng.uniform(*_SUN) / gsd
        shadow = (round(reach * np.cos(sun)), round(reach * np.sin(sun)), rng.uniform(*_DARK))
        taken = np.zeros(piece.shape[:2], bool)
        for x0, y0, x1, y1 in () if occupied is None else occupied.astype(int).clip(0):
            taken[y0 : y1 + 1, x0 : x1 + 1] = True
        boxes: list[tuple[float, float, float, float]] = []
        labels: list[int] = []
        for _ in range(int(rng.integers(1, 5))):
            for number, x, y, angle in self._places(rng, piece.shape, gsd):
                item = self.bank[number]
                patch = _turned(item, angle, gsd / rng.uniform(0.92, 1.08))
                box = _lay_one(canvas, patch, x, y, shadow, float(rng.uniform(0.75, 1.2)), taken)
                if box is not None:
                    boxes.append(box)
                    labels.append(item.label)
        return (
            canvas.clip(0, 255).astype(np.uint8),
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array(labels, np.int64),
        )

    def _places(self, rng: Generator, shape: tuple[int, ...], gsd: float) -> list[tuple[int, float, float, float]]:
        """Choose one item with its centre and angle (degrees), or a row of items of one length side by side."""
        x, y, angle = rng.uniform(0, shape[1]), rng.uniform(0, shape[0]), rng.uniform(0, 360)
        number = int(rng.integers(3, 8)) if rng.random() < 0.3 else 1
        first = int(rng.choice(len(self.bank), p=self.chance))
        alike = self.chance * (np.abs(self.length - self.length[first]) < _ALIKE)
        items = [first, *rng.choice(len(self.bank), number - 1, p=alike / alike.sum())]
        step = self.width[first] * rng.uniform(*_ROW_STEP) / gsd
        # rows run at right angles to the direction of the objects; the y of an image points down, hence the signs
        across = np.deg2rad(angle + 90)
        at = np.arange(number) * step
        kept = rng.random(number) < 0.8 if number > 1 else np.ones(1, bool)
        flips = np.where(rng.random(number) < 0.5, 0.0, 180.0)
        wobble = rng.normal(0, 2.0, number) if number > 1 else np.zeros(1)
        return [
            (int(i), x + a * np.cos(across), y - a * np.sin(across), angle + f + w)
            for i, a, f, w, k in zip(items, at, flips, wobble, kept, strict=True)
            if k
        ]


def _turned(item: CutOut, angle: float, gsd: float) -> NDArray[np.float32]:
    """Resample to ``gsd`` and rotate counter-clockwise: RGBA ``(h, w, 4)``."""
    height, width = (max(2, round(side * item.gsd / gsd)) for side in item.pixels.shape[1:])
    patch = Image.fromarray(np.ascontiguousarray(resample_image(item.pixels, height, width).transpose(1, 2, 0)))
    return np.asarray(patch.rotate(angle, Image.Resampling.BILINEAR, expand=True), np.float32)


def _lay_one(
    canvas: NDArray[np.float32],
    patch: NDArray[np.float32],
    x: float,
    y: float,
    shadow: tuple[int, int, float],
    light: float,
    taken: NDArray[np.bool_],
) -> tuple[float, float, float, float] | None:
    """Blend a patch centred on (x, y) and its shadow into the canvas; return its box, or None if there is no room.

    Objects must not cover one another (``taken``, which is updated). Their boxes may overlap, as those of vehicles
    parked side by side at a slant do.
    """
    h, w = patch.shape[:2]
    left, top = round(x - w / 2), round(y - h / 2)
    mask: NDArray[np.float32] = patch[..., 3] / np.float32(255)
    solid = mask > _SOLID
    rows, cols = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    if len(rows) == 0 or len(cols) == 0:
        return None
    box = (left + cols[0], top + rows[0], left + cols[-1] + 1, top + rows[-1] + 1)
    height, width = canvas.shape[:2]
    if left < 0 or top < 0 or left + w > width or top + h > height:
        return None
    place = taken[top : top + h, left : left + w]
    if (place & solid).sum() > _COVERED * solid.sum():
        return None
    place |= solid
    _darken(canvas, mask, left, top, shadow)
    under = canvas[top : top + h, left : left + w]
    under += mask[..., None] * (patch[..., :3] * light - under)
    return tuple(map(float, box))  # type: ignore[return-value]


def _darken(
    canvas: NDArray[np.float32], mask: NDArray[np.float32], left: int, top: int, shadow: tuple[int, int, float]
) -> None:
    """Draw the shadow of an object on the canvas: its outline, swept from its foot to the shadow of its top."""
    dx, dy, strength = shadow
    h, w = mask.shape
    swept = np.zeros((h + abs(dy), w + abs(dx)), np.float32)
    corner_x, corner_y = min(dx, 0), min(dy, 0)
    for along in np.linspace(0, 1, max(abs(dx), abs(dy)) + 1):
        x, y = round(along * dx) - corner_x, round(along * dy) - corner_y
        np.maximum(swept[y : y + h, x : x + w], mask, out=swept[y : y + h, x : x + w])
    x0, y0 = left + corner_x, top + corner_y
    rows, cols = slice(max(y0, 0), y0 + swept.shape[0]), slice(max(x0, 0), x0 + swept.shape[1])
    part = canvas[rows, cols]
    part *= 1 - strength * swept[rows.start - y0 :, cols.start - x0 :][: part.shape[0], : part.shape[1], None]
